//! Identifiers: namespace, user and key, each 1 to 4 096 bytes of UTF-8, verbatim.
//!
//! No trimming, folding or normalising happens here or anywhere below: two identifiers are the same only
//! if their bytes are. How a store fits them into its own keys is its layout's business.

use std::borrow::Borrow;
use std::fmt;

use arcstr::ArcStr;

use crate::error::{Error, ErrorKind, Result};

/// The longest identifier, in bytes of UTF-8; the same on every store.
pub const MAX_ID_BYTES: usize = 4096;

fn check(what: &str, id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, format!("{what} must have at least 1 byte")));
    }
    if id.len() > MAX_ID_BYTES {
        let context = format!("{what} has {} bytes, and at most {MAX_ID_BYTES} are allowed", id.len());
        return Err(Error::new(ErrorKind::Invalid, context));
    }
    Ok(())
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 4 096 bytes of UTF-8, kept verbatim. Cheap to clone. Ordered by bytes.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(ArcStr);

        impl $name {
            /// Checks the length and keeps the text as it is.
            ///
            /// # Errors
            /// [`ErrorKind::Invalid`] if it is empty or longer than [`MAX_ID_BYTES`].
            pub fn new(id: impl AsRef<str>) -> Result<Self> {
                let id = id.as_ref();
                check($what, id)?;
                Ok(Self(id.into()))
            }

            /// The text, as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(id: &str) -> Result<Self> {
                Self::new(id)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;
            fn try_from(id: &str) -> Result<Self> {
                Self::new(id)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;
            fn try_from(id: String) -> Result<Self> {
                Self::new(id)
            }
        }
    };
}

identifier! {
    /// What separates one project, environment or SDK key from another in the same database.
    Namespace, "a namespace"
}
identifier! {
    /// Whose assignments they are, as the SDK names the user.
    UserId, "a user id"
}
identifier! {
    /// What the entry is for: an experiment, a campaign or a feature. Never the storage key.
    Key, "a key"
}

/// A user in a namespace: whose profile a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    /// The namespace.
    pub namespace: Namespace,
    /// The user.
    pub user: UserId,
}

impl Subject {
    /// This user in this namespace.
    pub fn new(namespace: Namespace, user: UserId) -> Self {
        Self { namespace, user }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_in_bytes_and_inclusive() {
        assert!(UserId::new("é".repeat(MAX_ID_BYTES / 2)).is_ok());
        let error = UserId::new("é".repeat(MAX_ID_BYTES / 2) + "x").unwrap_err();
        assert_eq!(error.context(), "a user id has 4097 bytes, and at most 4096 are allowed");
    }

    #[test]
    fn nothing_is_trimmed_folded_or_normalised() {
        for id in [" a ", "A", "\u{e9}", "e\u{301}", "\r\n", "\0", "%20", "a:b"] {
            assert_eq!(Key::new(id).unwrap().as_str(), id);
        }
        assert_ne!(Key::new("\u{e9}").unwrap(), Key::new("e\u{301}").unwrap());
    }
}
