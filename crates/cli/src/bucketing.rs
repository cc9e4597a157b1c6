//! Bucketing as Optimizely documents it: which variation a user falls into, from hash and traffic allocation alone.

/// The whole traffic, in the units of an allocation: a unit is 0.01 %.
pub(crate) const TRAFFIC: u32 = 10_000;

/// The seed that Optimizely's SDKs give to MurmurHash3.
const SEED: u32 = 1;

/// An experiment as a datafile has it: ranges of the traffic, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Experiment {
    pub(crate) id: &'static str,
    /// Each variation's id and the end of its range.
    pub(crate) allocation: &'static [(&'static str, u32)],
}

impl Experiment {
    /// The variation of this user, if the traffic that it falls into is allocated.
    pub(crate) fn bucket(&self, user_id: &str) -> Option<&'static str> {
        self.at(bucket_value(user_id, self.id))
    }

    /// Whether the datafile knows this variation.
    pub(crate) fn knows(&self, variation_id: &str) -> bool {
        self.allocation.iter().any(|(id, _)| *id == variation_id)
    }

    /// The variation at this place of the traffic.
    pub(crate) fn at(&self, value: u32) -> Option<&'static str> {
        self.allocation.iter().find(|(_, end)| value < *end).map(|(id, _)| *id)
    }
}

/// Where in the traffic of an experiment a user falls: below [`TRAFFIC`].
fn bucket_value(user_id: &str, experiment_id: &str) -> u32 {
    let key = format!("{user_id}{experiment_id}");
    // Reading from memory does not fail.
    let hash = murmur3::murmur3_32(&mut key.as_bytes(), SEED).unwrap_or_default();
    // hash / 2^32 * TRAFFIC in whole numbers: below TRAFFIC, so nothing is cut off.
    ((u64::from(hash) * u64::from(TRAFFIC)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_fall_where_the_sdks_own_tests_say() {
        let long = format!("a {}long ppd string", "very ".repeat(15));
        for (user, experiment, value) in [
            ("ppid1", "1886780721", 5254),
            ("ppid2", "1886780721", 4299),
            ("ppid2", "1886780722", 2434),
            ("ppid3", "1886780721", 5439),
            (&long, "1886780721", 6128),
        ] {
            assert_eq!(bucket_value(user, experiment), value, "{user}");
        }
    }

    #[test]
    fn an_unallocated_part_of_the_traffic_has_no_variation() {
        let half = Experiment { id: "e", allocation: &[("a", 2_500), ("b", 5_000)] };
        assert_eq!((half.at(2_499), half.at(2_500), half.at(5_000)), (Some("a"), Some("b"), None));
    }
}
