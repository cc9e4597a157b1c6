//! The rules: which of the lookups that are remembered a save is charged with, and what they prove for an entry. GUARD has them
//! row by row, with the trace that breaks each; here they are pure, and the tests below play the shortest of these traces.

use std::collections::VecDeque;

use serde_json::Value as Json;
use stickystore_core::{Epoch, Profile, Revision};

use super::super::super::profiles::BucketMap;
use super::parsed;

/// How a save is matched with lookups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Books {
    /// With none: it adds what is absent, under the last epoch that was seen, and replaces nothing.
    OnlyAdds,
    /// With the last one on its thread, if that was of the same user and did not fail.
    ThreadLocal,
    /// With the last one in its task.
    TaskLocal,
    /// With the last one of its user, whoever made it.
    LastLookup,
    /// With the oldest of its user, which is used up.
    Fifo,
    /// With the newest of its user, which is used up.
    Lifo,
    /// With all of its user: any of them may have shown what is replaced.
    AnyMatch,
    /// With all of its user that were answered: they have to agree on what is replaced.
    AllAgreeUnfailed,
    /// With all of its user: they have to agree, and one that failed agrees to nothing.
    AllAgree,
    /// The same with those of which all entries are in the save; if it is a single one, that is used up.
    Consistent,
}

/// A lookup that is remembered.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    /// Whose.
    pub(super) user: String,
    /// What was answered; nothing if it failed.
    pub(super) answer: Option<Profile>,
}

/// What is taken to be proved of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Proof {
    /// The saver was shown none: this is added if none is there.
    Absent,
    /// It was shown this one, and has changed it.
    Held(Revision),
    /// Nothing, or it has not changed it: what stands is left alone.
    Kept,
}

impl Books {
    /// The lookups with which a save of this map is charged, oldest first; some rules use them up.
    pub(super) fn charge(self, looked: &mut VecDeque<Looked>, user: &str, map: &BucketMap) -> Vec<Looked> {
        let charged: Vec<_> = match self {
            Self::OnlyAdds | Self::ThreadLocal | Self::TaskLocal | Self::LastLookup => {
                looked.back().cloned().into_iter().collect()
            }
            Self::Fifo => looked.pop_front().into_iter().collect(),
            Self::Lifo => looked.pop_back().into_iter().collect(),
            Self::AnyMatch | Self::AllAgree => looked.iter().cloned().collect(),
            Self::AllAgreeUnfailed => {
                looked.iter().filter(|looked| looked.answer.is_some()).cloned().collect()
            }
            Self::Consistent => take_consistent(looked, map),
        };
        charged.into_iter().filter(|looked| looked.user == user).collect()
    }

    /// What they prove for this entry of the save.
    pub(super) fn proof(self, charged: &[Looked], key: &str, saved: &Json) -> Proof {
        let seen = || charged.iter().filter_map(|looked| looked.answer.as_ref()?.get(key));
        let newest = seen().next_back().filter(|_| self != Self::OnlyAdds);
        let Some(newest) = newest else { return Proof::Absent };
        let is_untouched = seen().any(|entry| parsed(entry) == *saved);
        if is_untouched || self.has_to_agree() && !agree(charged, key) {
            return Proof::Kept;
        }
        Proof::Held(newest.revision)
    }

    fn has_to_agree(self) -> bool {
        matches!(self, Self::AllAgreeUnfailed | Self::AllAgree | Self::Consistent)
    }
}

/// The epoch that they prove: if they differ, or there are none, it is taken that the user was not erased.
pub(super) fn epoch(charged: &[Looked]) -> Option<Epoch> {
    let mut epochs = charged.iter().filter_map(|looked| looked.answer.as_ref()).map(Profile::epoch);
    let first = epochs.next()?;
    epochs.all(|epoch| epoch == first).then_some(first)?
}

/// Whether all of them showed the same instance.
fn agree(charged: &[Looked], key: &str) -> bool {
    let mut shown = charged.iter().map(|looked| Some(looked.answer.as_ref()?.get(key)?.revision));
    let first = shown.next().flatten();
    first.is_some() && shown.all(|revision| revision == first)
}

/// Those that an SDK may have had that sends all back that it was shown.
fn take_consistent(looked: &mut VecDeque<Looked>, map: &BucketMap) -> Vec<Looked> {
    let is_consistent = |looked: &Looked| {
        let mut entries = looked.answer.iter().flat_map(Profile::entries);
        entries.all(|(key, _)| !is_bucketed(key.as_str()) || map.contains_key(key.as_str()))
    };
    let consistent: Vec<_> = looked.iter().filter(|looked| is_consistent(looked)).cloned().collect();
    if consistent.len() == 1 {
        looked.retain(|looked| !is_consistent(looked));
    }
    consistent
}

/// Whether it is an experiment, and no campaign of another SDK.
pub(super) fn is_bucketed(key: &str) -> bool {
    key.starts_with('e')
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use stickystore_core::{Entry, Expiry, Key, UnixMillis, Value};

    use super::*;

    /// Replaces A.
    fn over_a() -> Proof {
        Proof::Held(Revision::from_bytes([7; 8]))
    }

    /// A lookup that showed `e1` as A, or nothing.
    fn showed(is_there: bool) -> Looked {
        let value = Value::new(r#"{"variation_id":"A"}"#).unwrap();
        let entry = Entry::stored(value, Expiry::Never, Revision::from_bytes([7; 8]));
        let entries = is_there.then(|| (Key::new("e1").unwrap(), entry));
        let profile = Profile::new(None, entries, Vec::new(), UnixMillis::new(1).unwrap());
        Looked { user: "u".to_owned(), answer: Some(profile) }
    }

    fn failed() -> Looked {
        Looked { user: "u".to_owned(), answer: None }
    }

    /// What each of these rules takes to be proved by a save of B, after these lookups.
    fn proofs<const N: usize>(rules: [Books; N], looked: &[Looked]) -> [Proof; N] {
        let b = json!({ "variation_id": "B" });
        let map = BucketMap::from_iter([("e1".to_owned(), b.clone())]);
        rules.map(|rule| rule.proof(&rule.charge(&mut looked.to_vec().into(), "u", &map), "e1", &b))
    }

    #[test]
    fn who_consumes_charges_a_save_with_what_another_was_shown() {
        // T1: r2 was shown nothing and r1 was shown A, which r1 saves first.
        let mut looked = VecDeque::from([showed(false), showed(true)]);
        let (b, map) = (json!({ "variation_id": "B" }), BucketMap::new());
        let mut save = |rule: Books| rule.proof(&rule.charge(&mut looked, "u", &map), "e1", &b);
        assert_eq!((save(Books::Fifo), save(Books::Fifo)), (Proof::Absent, over_a()), "r1, then r2");
        // r2 was shown nothing, r1 was shown A and saves nothing; r2 saves.
        assert_eq!(proofs([Books::Lifo], &[showed(false), showed(true)]), [over_a()]);
    }

    #[test]
    fn after_a_lookup_that_failed_all_but_two_take_another_for_the_savers() {
        // T2: r1's lookup failed, r2 was shown A, and r1 saves.
        let weak = [Books::ThreadLocal, Books::TaskLocal, Books::LastLookup, Books::Lifo, Books::AnyMatch];
        let looked = [failed(), showed(true)];
        assert_eq!(proofs(weak, &looked), [over_a(); 5]);
        assert_eq!(proofs([Books::AllAgreeUnfailed], &looked), [over_a()]);
        assert_eq!(proofs([Books::AllAgree, Books::Consistent], &looked), [Proof::Kept; 2]);
    }

    #[test]
    fn an_answer_that_its_caller_did_not_wait_for_is_proof_by_every_rule_that_has_any() {
        // T3: r1 was answered A, and had given up.
        let rules = [Books::ThreadLocal, Books::Fifo, Books::AnyMatch, Books::AllAgree, Books::Consistent];
        assert_eq!(proofs(rules, &[showed(true)]), [over_a(); 5]);
        assert_eq!(proofs([Books::OnlyAdds], &[showed(true)]), [Proof::Absent]);
    }

    #[test]
    fn what_an_sdk_prunes_leaves_the_lookup_of_another_as_the_only_consistent_one() {
        // r1 was shown A and e2, which it does not send back; r2 was shown A alone, and used up by r1.
        let mut pruned = showed(true);
        let e2 = Entry::stored(
            Value::new(r#"{"variation_id":"C"}"#).unwrap(),
            Expiry::Never,
            Revision::from_bytes([7; 8]),
        );
        let a = showed(true).answer.unwrap().into_iter();
        let both = a.chain([(Key::new("e2").unwrap(), e2)]);
        pruned.answer = Some(Profile::new(None, both, Vec::new(), UnixMillis::new(1).unwrap()));
        let mut looked = VecDeque::from([pruned, showed(true)]);
        let map = BucketMap::from_iter([("e1".to_owned(), json!({ "variation_id": "B" }))]);
        let charged = Books::Consistent.charge(&mut looked, "u", &map);
        assert_eq!(charged.len(), 1);
        assert_eq!(looked.len(), 1, "r2's is used up");
    }

    #[test]
    fn who_only_adds_adds_again_what_was_sent_back_untouched() {
        let a = json!({ "variation_id": "A" });
        assert_eq!(Books::OnlyAdds.proof(&[showed(true)], "e1", &a), Proof::Absent);
        assert_eq!(Books::AnyMatch.proof(&[showed(true)], "e1", &a), Proof::Kept);
    }

    #[test]
    fn a_lookup_of_another_user_proves_nothing() {
        let mut looked = VecDeque::from([Looked { user: "v".to_owned(), ..showed(true) }]);
        assert!(Books::ThreadLocal.charge(&mut looked, "u", &BucketMap::new()).is_empty());
    }
}
