//! The value of an entry: JSON text, kept byte for byte.
//!
//! What the text means is a service's business.

use std::borrow::Cow;
use std::fmt;

use arcstr::ArcStr;

use crate::error::Result;
use crate::json;

/// Validated JSON text. Cheap to clone, equal only if the bytes are.
///
/// It is text and not a tree so that numbers of any size, member order and duplicates come out as they went
/// in, on every store. `Debug` shows its length, never its content.
///
/// ```
/// use stickystore_core::Value;
///
/// let value = Value::new(r#"{"variation_id":"18446744073709551616"}"#)?;
/// assert_eq!(value.as_str(), r#"{"variation_id":"18446744073709551616"}"#);
/// assert!(Value::new("{oops}").is_err());
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value(ArcStr);

impl Value {
    /// Checks that the text is one JSON value and keeps it as it is. White space around it is not part of it and goes;
    /// inside it stays.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if it is not.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        json::validate(text)?;
        Ok(Self(text.trim_matches(json::is_space).into()))
    }

    /// The JSON string with this content.
    pub fn string(content: &str) -> Self {
        Self(json::quoted(content).into())
    }

    /// What it says if it is a JSON string, as `red` of `"red"`.
    pub fn as_string(&self) -> Option<Cow<'_, str>> {
        json::as_string(&self.0)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many bytes it has: what limits are compared with.
    pub fn len_bytes(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}

impl AsRef<str> for Value {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Value {
    type Err = crate::Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_content() {
        assert_eq!(format!("{:?}", Value::new("\"secret\"").unwrap()), "Value(8 bytes)");
    }

    #[test]
    fn white_space_around_is_not_part_of_it_and_inside_stays() {
        assert_eq!(Value::new(" \r\n\t{ \"a\" : 1 }\n").unwrap().as_str(), "{ \"a\" : 1 }");
        assert!(Value::new("\u{a0}1").is_err(), "only JSON's own white space");
    }

    #[test]
    fn only_one_json_value_is_a_value() {
        for text in ["null", "{ }", "-0.0e+10", "\"\"", "[1,{\"a\":null}]"] {
            assert_eq!(Value::new(text).unwrap().as_str(), text);
        }
        for text in ["", "nul", "1 2", "{\"a\":}", "'a'", "NaN", "\"\n\""] {
            assert!(Value::new(text).is_err(), "{text}");
        }
    }
}
