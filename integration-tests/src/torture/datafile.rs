//! What the SDKs decide by: which variations an experiment has now, and who gets one. It changes underneath them, and not
//! for all processes at the same time.

use super::dice::Dice;

/// How many keys each kind of SDK has.
pub(crate) const KEYS: u64 = 5;

/// How many variations there are; each datafile knows two of them.
const VARIATIONS: u64 = 4;

/// How many in a thousand are in no experiment's traffic: an allocation that changes with the datafile.
const OUT_OF_TRAFFIC: u64 = 150;

/// One version of the datafile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Datafile {
    /// Its number.
    pub(crate) version: u64,
}

impl Datafile {
    /// What an SDK decides for this key: to keep what it holds, or a variation of those that it knows; nothing for who is out
    /// of traffic.
    pub(crate) fn decide(self, key: u64, held: Option<&str>, dice: &mut Dice) -> Decision {
        if held.is_some_and(|variation| self.knows(key, variation)) {
            return Decision::Keep;
        }
        if dice.happens(OUT_OF_TRAFFIC) {
            return Decision::Out;
        }
        let first = self.first(key);
        Decision::Bucket(variation((first + dice.below(2)) % VARIATIONS))
    }

    /// Whether this variation is in it.
    fn knows(self, key: u64, held: &str) -> bool {
        let first = self.first(key);
        [first, (first + 1) % VARIATIONS].iter().any(|known| variation(*known) == held)
    }

    fn first(self, key: u64) -> u64 {
        // Of each experiment, the variations change with every third version, and not all at once.
        (self.version + key) / 3 % VARIATIONS
    }
}

/// What an SDK decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// What was stored is known.
    Keep,
    /// Nothing: the user is not in the experiment.
    Out,
    /// This variation, newly.
    Bucket(&'static str),
}

fn variation(number: u64) -> &'static str {
    ["red", "green", "blue", "plain"][usize::try_from(number).unwrap()]
}
