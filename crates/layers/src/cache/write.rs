//! A write under way: while it is, nothing is held of its users, and after it only what its answers tell.

use std::collections::HashMap;
use std::sync::Arc;

use stickystore_core::{AsyncStore, Outcome, Profile, Result, Subject, UnixMillis, Write};

use super::Inner;
use super::after::After;
use super::held::Held;

/// Users who are being written. One that is dropped before its answers came holds nothing of them: nobody knows what stands.
pub(super) struct Writing<'a, S: AsyncStore> {
    inner: &'a Inner<S>,
    users: HashMap<Subject, Option<Held>>,
}

impl<'a, S: AsyncStore> Writing<'a, S> {
    pub(super) fn begin<'s>(inner: &'a Arc<Inner<S>>, subjects: impl Iterator<Item = &'s Subject>) -> Self {
        let mut writing = Self { inner, users: HashMap::new() };
        for subject in subjects {
            if !writing.users.contains_key(subject) {
                let held = inner.memory.begin(subject);
                writing.users.insert(subject.clone(), held);
            }
        }
        writing
    }

    /// The write ended with these answers.
    pub(super) fn written(mut self, now: UnixMillis, writes: &[Write], answers: &[Vec<Result<Outcome>>]) {
        for (subject, held) in self.users.drain() {
            let of = writes.iter().zip(answers).filter(|(write, _)| *write.subject() == subject);
            let held = held.filter(|held| writes.len() == answers.len() && self.inner.is_fresh(held, now));
            let stands = held.as_ref().and_then(|held| stands(held, now, of));
            let at = held.as_ref().map_or(now, |held| held.at);
            self.inner.memory.end(&subject, stands.as_ref(), at);
        }
    }
}

impl<S: AsyncStore> Drop for Writing<'_, S> {
    fn drop(&mut self) {
        for subject in self.users.keys() {
            self.inner.memory.end(subject, None, UnixMillis::EPOCH);
        }
    }
}

/// What stands of a user after these writes, in their order, if their answers say so.
fn stands<'w>(
    held: &Held,
    now: UnixMillis,
    writes: impl Iterator<Item = (&'w Write, &'w Vec<Result<Outcome>>)>,
) -> Option<Profile> {
    // As of the read: what expired since stands for callers whose clock is behind.
    let mut after = After::new(&held.clone().profile(held.at));
    for (write, answers) in writes {
        let changes = write.changes();
        let is_told = changes.len() == answers.len()
            && changes
                .iter()
                .zip(answers)
                .all(|(change, answer)| after.change(change, write.epoch(), now, answer));
        if !is_told {
            return None;
        }
    }
    Some(after.profile(held.at))
}
