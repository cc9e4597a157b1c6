//! Which server keeps a user: rendezvous hashing, so that a server that comes or goes moves only its own users. No I/O.
//!
//! The hash is SipHash-2-4 under a key of zeros, over the server's name, a line feed and the item's key; the largest wins.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher24;

/// The place in `names` of the server that keeps the item with this key; the order of the names does not matter.
pub(crate) fn place_of(names: &[String], key: &str) -> usize {
    if names.len() == 1 {
        return 0;
    }
    let weighed = names.iter().enumerate().map(|(place, name)| (weight(name, key), name, place));
    weighed.max().map_or(0, |(_, _, place)| place)
}

fn weight(name: &str, key: &str) -> u64 {
    let mut hasher = SipHasher24::new();
    hasher.write(name.as_bytes());
    hasher.write(b"\n");
    hasher.write(key.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    /// Who keeps the first thousand users.
    fn keepers(servers: &[&str]) -> Vec<String> {
        let names = names(servers);
        (0..1_000).map(|i| names[place_of(&names, &format!("stickystore:n:{i}"))].clone()).collect()
    }

    #[test]
    fn the_hash_is_frozen() {
        // Computed by another implementation, which gives the reference's vectors.
        assert_eq!(weight("a:11211", "stickystore:shop:ann"), 15_878_589_237_414_162_991);
        assert_eq!(weight("b:11211", "stickystore:shop:ann"), 6_680_109_668_045_868_564);
        let keeper = |user: &str| {
            let names = names(&["a:11211", "b:11211", "c:11211"]);
            place_of(&names, &format!("stickystore:shop:{user}"))
        };
        assert_eq!(["ann", "bob", "eve", "\u{e9}"].map(keeper), [0, 0, 2, 1]);
    }

    #[test]
    fn the_order_of_the_servers_does_not_matter() {
        assert_eq!(keepers(&["a", "b", "c"]), keepers(&["c", "a", "b"]));
    }

    #[test]
    fn a_server_that_goes_moves_only_its_own_users_and_each_has_its_share() {
        let (all, less) = (keepers(&["a", "b", "c", "d"]), keepers(&["a", "b", "d"]));
        for (before, after) in all.iter().zip(&less) {
            assert!(before == after || before == "c");
        }
        for server in ["a", "b", "c", "d"] {
            let share = all.iter().filter(|keeper| *keeper == server).count();
            assert!((200..300).contains(&share), "{server} has {share} of 1000");
        }
    }
}
