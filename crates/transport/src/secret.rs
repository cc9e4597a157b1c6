//! What nothing may show.

use std::fmt;

/// A password. Nothing shows it but [`reveal`](Self::reveal).
///
/// ```
/// use stickystore_transport::Secret;
///
/// assert_eq!(format!("{:?}", Secret::new("s3cret")), "Secret");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// This one.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The text, for whoever sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
