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
                f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
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
    /// Names one erasure of a user; what erasing leaves in the erase mark.
    Epoch, "an epoch"
}

pub(crate) fn encode64(bytes: [u8; 8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Strict: 11 characters, and no stray bits in the last one.
pub(crate) fn decode64(text: &str) -> Option<[u8; 8]> {
    if text.len() != ID64_TEXT_LEN {
        return None;
    }
    // What is decoded has at most as many bytes as base64 needs room for.
    let mut bytes = [0; ID64_TEXT_LEN.div_ceil(4) * 3];
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    bytes.get(..length)?.try_into().ok()
}

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

    #[test]
    fn two_are_never_the_same() {
        assert_ne!(Revision::random(), Revision::random());
    }
}
