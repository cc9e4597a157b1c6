//! The goals of a record: a set that keeps its order, written as one string.

use std::collections::HashSet;

/// What stands between two goals.
const SEPARATOR: &str = "_vwo_";

/// The goals that a user has reached, each once, in the order in which they came.
///
/// The SDKs write them as one string, joined by `_vwo_`. So goals whose identifiers contain that, or end in `_vwo`,
/// cannot be told apart: by us as little as by the SDKs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Goals(Vec<String>);

impl Goals {
    /// Reads the SDK's string. A separator at its end, which Java leaves, means nothing.
    pub(super) fn parse(text: &str) -> Self {
        let mut seen = HashSet::new();
        let goals = text.split(SEPARATOR).filter(|goal| !goal.is_empty() && seen.insert(*goal));
        Self(goals.map(str::to_owned).collect())
    }

    /// The SDK's string.
    pub(super) fn to_text(&self) -> String {
        self.0.join(SEPARATOR)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Takes in what it does not have, behind what it has, and says what that was.
    pub(super) fn unite(&mut self, others: &Self) -> Vec<String> {
        let new = others.without(self);
        self.0.extend_from_slice(&new.0);
        new.0
    }

    /// Those that are not among the others.
    pub(super) fn without(&self, others: &Self) -> Self {
        let others: HashSet<_> = others.iter().collect();
        Self(self.0.iter().filter(|goal| !others.contains(goal.as_str())).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn united(a: &Goals, b: &Goals) -> Goals {
        let mut goals = a.clone();
        goals.unite(b);
        goals
    }

    fn set(goals: &Goals) -> BTreeSet<&str> {
        goals.iter().collect()
    }

    /// Any goals but those that the SDKs' format cannot tell apart.
    fn goals() -> impl Strategy<Value = Goals> {
        let goal = "[a-z_-]{1,8}"
            .prop_filter("cannot be told apart", |goal| !goal.contains(SEPARATOR) && !goal.ends_with("_vwo"));
        proptest::collection::vec(goal, 0..8).prop_map(|goals| Goals::parse(&goals.join(SEPARATOR)))
    }

    #[test]
    fn separators_at_the_ends_and_empty_goals_mean_nothing() {
        for text in ["a_vwo_b", "a_vwo_b_vwo_", "_vwo_a_vwo__vwo_b", "a_vwo_b_vwo_a"] {
            assert_eq!(Goals::parse(text).iter().collect::<Vec<_>>(), ["a", "b"], "{text}");
        }
        assert!(Goals::parse("").is_empty() && Goals::parse("_vwo_").is_empty());
    }

    proptest! {
        #[test]
        fn a_union_has_all_of_both_and_keeps_the_order(a in goals(), b in goals()) {
            let both = united(&a, &b);
            prop_assert_eq!(set(&both), set(&a).union(&set(&b)).copied().collect());
            prop_assert_eq!(both.iter().take(a.iter().len()).collect::<Vec<_>>(), a.iter().collect::<Vec<_>>());
            let new = Goals(both.0.iter().skip(a.iter().len()).cloned().collect());
            prop_assert_eq!(new, b.without(&a));
        }

        #[test]
        fn as_sets_unions_commute_and_a_second_one_adds_nothing(a in goals(), b in goals()) {
            let (both, other) = (united(&a, &b), united(&b, &a));
            prop_assert_eq!(set(&both), set(&other));
            prop_assert_eq!(united(&both, &b), both);
        }

        #[test]
        fn the_sdks_string_says_the_same_goals(a in goals()) {
            prop_assert_eq!(Goals::parse(&a.to_text()), a);
        }

        #[test]
        fn any_string_is_read_and_none_makes_an_empty_goal_or_one_twice(text in any::<String>()) {
            let goals = Goals::parse(&text);
            prop_assert!(goals.iter().all(|goal| !goal.is_empty()));
            prop_assert_eq!(set(&goals).len(), goals.iter().len());
        }
    }
}
