//! Reads: what is asked for a user, and the profile that the answer is. No I/O.

use stickystore_core::codec::headed::{self, Headed};
use stickystore_core::decide::not_ours;
use stickystore_core::{Damage, Damaged, Key, Keys, Profile, Read, Result, UnixMillis};

use crate::error;
use crate::layout::{self, MARK_FIELD};
use crate::wire::{Commands, Reply, Value};

/// The most entries for which room is made before they are seen.
const MOST_ROOM: usize = 1024;

/// Asks for what a read names: some fields, or all.
pub(crate) fn say_read(read: &Read, commands: &mut Commands) {
    let key = layout::storage_key(&read.subject);
    match &read.keys {
        Keys::Only(keys) => {
            let keys = keys.iter().map(Key::as_str);
            commands.push(&["HMGET", &key, MARK_FIELD].into_iter().chain(keys).collect::<Vec<_>>());
        }
        _ => commands.push(&["HGETALL", &key]),
    }
}

/// What was answered to it.
pub(crate) fn profile(keys: &Keys, answer: &Reply, now: UnixMillis) -> Result<Profile> {
    match keys {
        Keys::Only(keys) => {
            let Value::Array(texts) = answer.value() else { return Err(error::odd_answer()) };
            if texts.len() != keys.len() + 1 {
                return Err(error::odd_answer());
            }
            let names = std::iter::once(MARK_FIELD).chain(keys.iter().map(Key::as_str));
            decode(names.map(str::as_bytes).zip(texts).map(Ok), keys.len(), now)
        }
        _ => whole_profile(answer, now),
    }
}

/// A profile from the answer to HGETALL: names and texts in turn. Anything else would be a user with entries missing.
pub(crate) fn whole_profile(answer: &Reply, now: UnixMillis) -> Result<Profile> {
    let Value::Array(mut fields) = answer.value() else { return Err(error::odd_answer()) };
    let count = fields.len() / 2;
    if fields.len() != 2 * count {
        return Err(error::odd_answer());
    }
    let named = (0..count).map(|_| match (fields.next(), fields.next()) {
        (Some(Value::Text(name)), Some(text @ Value::Text(_))) => Ok((name, text)),
        _ => Err(error::odd_answer()),
    });
    decode(named, count, now)
}

/// A profile from fields with their names, at most so many of which are entries.
fn decode<'a>(
    fields: impl Iterator<Item = Result<(&'a [u8], Value<'a>)>>,
    room: usize,
    now: UnixMillis,
) -> Result<Profile> {
    let (mut epoch, mut entries, mut damaged) = (None, Vec::with_capacity(room.min(MOST_ROOM)), Vec::new());
    for field in fields {
        let (name, text) = field?;
        let text = match text {
            Value::Text(text) => text,
            Value::Nil => continue,
            _ => return Err(error::odd_answer()),
        };
        if name.is_empty() {
            let mark = headed::decode_mark(text).ok_or_else(not_ours)?;
            epoch = mark.is_live(now).then_some(mark.epoch);
            continue;
        }
        // A name that no key of ours can have is told apart as well as it can be.
        let key = match std::str::from_utf8(name) {
            Ok(name) => Key::new(name),
            Err(_) => Key::new(String::from_utf8_lossy(name)),
        };
        let key = key.or_else(|_| Key::new("?"))?;
        match headed::decode(text, now) {
            Headed::Live(entry) if key.as_str().as_bytes() == name => entries.push((key, entry)),
            Headed::Live(_) => damaged.push(Damaged::new(key, Damage::new("has a name that is no key"))),
            Headed::Ended => {}
            Headed::Damaged(damage) => damaged.push(Damaged::new(key, damage)),
        }
    }
    Ok(Profile::new(epoch, entries, damaged, now))
}
