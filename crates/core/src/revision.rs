//! Revisions and epochs: 64 random bits that say "this very one".
//!
//! They are random, not counted and not taken from the content: a count starts again after a delete, and equal
//! content comes back. Either would let a write that comes late destroy what it never saw.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, ErrorKind, Result};

/// Length of a revision, an epoch or a hash as text: 8 bytes in base64url without padding.
pub const ID64_TEXT_LEN: usize = 11;

macro_rules! id64 {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name([u8; 8]);

        impl $name {
            /// A new one, from the operating system's random numbers.
            ///
            /// Not from a generator in the process, which a fork would copy.
            pub fn random() -> Self {
                Self(random_bytes())
            }

            /// From its bytes.
            pub fn from_bytes(bytes: [u8; 8]) -> Self {
                Self(bytes)
            }

            /// Its bytes.
            pub fn to_bytes(self) -> [u8; 8] {
                self.0
            }

            /// From its text: 11 characters of base64url, as `Display` writes it.
            ///
            /// # Errors
            /// [`ErrorKind::Invalid`] for anything else.
            pub fn parse(text: &str) -> Result<Self> {
                match decode64(text) {
                    Some(bytes) => Ok(Self(bytes)),
                    None => Err(Error::new(ErrorKind::Invalid, concat!($what, " is 11 characters of base64url"))),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode64(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
    };
}

id64! {
    /// Names one write of an entry, for ever: chosen by the writer, stored in the entry, compared by the store.
    ///
    /// One logical write keeps its revision over all its attempts.
    Revision, "a revision"
}
id64! {
    /// Names one erasure of a user, and the attempt that was applied; what erasing leaves in the erase mark.
    ///
    /// The last four bits, as the last character of its text, are the attempt's number.
    Epoch, "an epoch"
}

/// The bits of an epoch's last byte that are the attempt's number.
const ATTEMPT: u8 = 0b1111;

impl Epoch {
    /// The same erasure's attempt that comes so many after this one, of sixteen.
    ///
    /// What knows of one attempt does not know of a further one: between them there may have been another erasure, of which
    /// it knows nothing.
    #[must_use]
    pub fn attempt(self, after: u8) -> Self {
        let mut bytes = self.0;
        let [.., last] = &mut bytes;
        *last = *last & !ATTEMPT | last.wrapping_add(after) & ATTEMPT;
        Self(bytes)
    }

    /// Whether both are of one erasure, whichever attempts they are.
    pub fn is_of_one_erasure(self, other: Self) -> bool {
        self.attempts().any(|attempt| attempt == other)
    }

    /// All attempts of its erasure, this one first.
    pub fn attempts(self) -> impl Iterator<Item = Self> {
        (0..=ATTEMPT).map(move |after| self.attempt(after))
    }
}

pub(crate) fn encode64(bytes: [u8; 8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Strict: 11 characters, and no stray bits in the last one. By hand, since it is done for every entry that is read.
pub(crate) fn decode64(text: impl AsRef<[u8]>) -> Option<[u8; 8]> {
    let text: &[u8; ID64_TEXT_LEN] = text.as_ref().try_into().ok()?;
    // What is no digit sets a bit that no digit has: one look at the end says whether there was any.
    let sextets = text.map(|byte| SEXTETS.get(usize::from(byte)).copied().unwrap_or(NO_SEXTET));
    let (last, first) = sextets.split_last()?;
    let is_text = first.iter().fold(*last, |all, sextet| all | sextet) < NO_SEXTET;
    // Ten sextets and four bits are 64; two bits are left over.
    let bits = first.iter().fold(0, |bits: u64, sextet| bits << 6 | u64::from(*sextet)) << 4;
    (is_text && last & 0b11 == 0).then_some((bits | u64::from(last >> 2)).to_be_bytes())
}

/// What stands in [`SEXTETS`] for a byte that is no digit of base64url.
const NO_SEXTET: u8 = 1 << 6;

/// The six bits that each byte stands for.
#[expect(clippy::indexing_slicing, reason = "it is done while compiling")]
const SEXTETS: [u8; 256] = {
    let mut sextets = [NO_SEXTET; 256];
    let digits: &[u8; NO_SEXTET as usize] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut value = 0_u8;
    while value < NO_SEXTET {
        sextets[digits[value as usize] as usize] = value;
        value += 1;
    }
    sextets
};

#[expect(
    clippy::expect_used,
    reason = "an operating system without random numbers can't keep any promise of ours"
)]
fn random_bytes() -> [u8; 8] {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_and_bytes_are_the_same_revision() {
        let revision = Revision::from_bytes([0xff, 0, 1, 2, 3, 4, 5, 0xfe]);
        assert_eq!(revision.to_string(), "_wABAgMEBf4");
        assert_eq!(Revision::parse("_wABAgMEBf4").unwrap(), revision);
    }

    #[test]
    fn what_is_not_exactly_its_text_is_refused() {
        for text in ["", "_wABAgMEBf", "_wABAgMEBf4=", "_wABAgMEBf5", "+wABAgMEBf4", "_wABAgMEBf ", "ééééé1"]
        {
            assert!(Revision::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_by_hand_is_reading_by_the_crate(text in "[A-Za-z0-9_-]{11}|[A-Za-z0-9_+/=\\PC-]{10,12}|(?s).{0,12}") {
            let crates = URL_SAFE_NO_PAD.decode(&text).ok().and_then(|bytes| <[u8; 8]>::try_from(bytes).ok());
            prop_assert_eq!(decode64(&text), crates);
        }

        #[test]
        fn any_bytes_come_back(bytes in any::<[u8; 8]>()) {
            prop_assert_eq!(decode64(encode64(bytes)), Some(bytes));
        }
    }

    #[test]
    fn attempts_of_one_erasure_differ_and_are_known_as_its_own() {
        let epoch = Epoch::from_bytes([0xff, 0, 1, 2, 3, 4, 5, 0xfe]);
        let attempts: Vec<_> = epoch.attempts().map(|attempt| attempt.to_string()).collect();
        assert_eq!(attempts[..3], ["_wABAgMEBf4", "_wABAgMEBf8", "_wABAgMEBfA"]);
        assert_eq!(attempts.iter().collect::<std::collections::BTreeSet<_>>().len(), 16);
        assert!(epoch.attempts().all(|attempt| attempt.is_of_one_erasure(epoch)));
        assert_eq!(epoch.attempt(16), epoch);
        assert!(!epoch.is_of_one_erasure(Epoch::from_bytes([0xff, 0, 1, 2, 3, 4, 5, 0xee])));
    }

    #[test]
    fn two_are_never_the_same() {
        assert_ne!(Revision::random(), Revision::random());
    }
}
