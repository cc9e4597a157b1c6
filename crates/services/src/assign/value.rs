//! What can be assigned: JSON values, and Rust's own that are easily one.

use stickystore_core::Value;

/// What `assign` and `put` take for a value.
pub trait IntoValue {
    /// The value to keep. Text becomes a JSON string: for JSON text there is [`Value::new`].
    fn into_value(self) -> Value;
}

impl IntoValue for Value {
    fn into_value(self) -> Value {
        self
    }
}

impl IntoValue for &str {
    fn into_value(self) -> Value {
        Value::string(self)
    }
}

impl IntoValue for String {
    fn into_value(self) -> Value {
        Value::string(&self)
    }
}
