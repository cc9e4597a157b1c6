//! What stands in Redis: keys and field names of layout version 1. No I/O.
//!
//! A user is one hash, an entry one field of it, in core's [`headed`](stickystore_core::codec::headed) text. The scripts
//! read the same heads; a property test on the real server holds the two together.

use stickystore_core::{Namespace, Subject, UserId};

/// What all keys begin with: the `~stickystore:*` of an access list.
pub(crate) const PREFIX: &str = "stickystore:";

/// The field of the erase mark; keys are never empty.
pub(crate) const MARK_FIELD: &str = "";

/// The key of a user's hash: `stickystore:<namespace>:<user>`.
///
/// Both are percent-encoded where they have to be, so that the key is injective, has no hash tag of its own and means
/// nothing to a pattern. It is at most three times as long as the ids, far below what Redis takes.
pub(crate) fn storage_key(subject: &Subject) -> String {
    let user = subject.user.as_str();
    let mut key = namespace_prefix(&subject.namespace, user.len());
    push_escaped(&mut key, user);
    key
}

/// The pattern that exactly the keys of this namespace match.
pub(crate) fn pattern(namespace: &Namespace) -> String {
    namespace_prefix(namespace, 1) + "*"
}

/// The user whose key in this namespace it is; nothing if it is nobody's.
pub(crate) fn user_of(key: &[u8], namespace: &Namespace) -> Option<UserId> {
    let escaped = std::str::from_utf8(key).ok()?.strip_prefix(&namespace_prefix(namespace, 0))?;
    let user = percent_encoding::percent_decode_str(escaped).decode_utf8().ok()?;
    let user = UserId::new(user.as_ref()).ok()?;
    // Only what we would have written ourselves.
    let mut again = String::new();
    push_escaped(&mut again, user.as_str());
    (again == escaped).then_some(user)
}

/// With room for so many bytes behind it.
fn namespace_prefix(namespace: &Namespace, room: usize) -> String {
    let namespace = namespace.as_str();
    let mut prefix = String::with_capacity(PREFIX.len() + namespace.len() + ":".len() + room);
    prefix.push_str(PREFIX);
    push_escaped(&mut prefix, namespace);
    prefix.push(':');
    prefix
}

/// Escapes what separates (`:`), what escapes (`%`), hash tags, patterns, and what terminals and logs choke on.
fn push_escaped(out: &mut String, id: &str) {
    // Most ids have nothing of it.
    if !id.bytes().any(is_escaped) {
        return out.push_str(id);
    }
    for char in id.chars() {
        if u8::try_from(char).is_ok_and(is_escaped) {
            out.push_str(&format!("%{:02X}", u32::from(char)));
        } else {
            out.push(char);
        }
    }
}

fn is_escaped(byte: u8) -> bool {
    matches!(byte, 0..=b' ' | b'\x7f' | b':' | b'%' | b'{' | b'}' | b'*' | b'?' | b'[' | b']' | b'\\' | b'"')
}

#[cfg(test)]
mod tests;
