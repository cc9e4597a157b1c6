//! A user as JSON: everything that is kept, for whoever asks what is kept.

use stickystore_core::json::ObjectWriter;
use stickystore_core::{Expiry, Profile, Subject};

/// `{"namespace":..,"user":..,"entries":{"<key>":{"value":..,"expires_ms":..,"revision":".."}},"damaged":{"<key>":"<why>"}}`;
/// an entry without an end has no `expires_ms`.
pub(crate) fn to_json(subject: &Subject, profile: &Profile) -> String {
    let mut entries = ObjectWriter::new();
    for (key, entry) in profile.entries() {
        let mut object = ObjectWriter::new();
        object.raw("value", entry.value.as_str());
        if let Expiry::At(end) = entry.expiry {
            object.number("expires_ms", end.get());
        }
        object.string("revision", &entry.revision.to_string());
        entries.raw(key.as_str(), &object.finish());
    }
    let mut damaged = ObjectWriter::new();
    for one in profile.damaged() {
        damaged.string(one.key.as_str(), &one.damage.to_string());
    }
    let mut user = ObjectWriter::new();
    user.string("namespace", subject.namespace.as_str());
    user.string("user", subject.user.as_str());
    user.raw("entries", &entries.finish());
    user.raw("damaged", &damaged.finish());
    user.finish()
}
