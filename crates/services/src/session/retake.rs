//! An insert of a commit that met a retired value: it is looked at again and replaced, unless the user was erased since.
//! No I/O.

use stickystore_core::{
    Call, Change, Effect, Entry, EpochCheck, Profile, Read, Result, UnixMillis, ValueHash, Write,
};

use super::sent::{Became, Sent};
use crate::report::{Saved, Why};
use crate::settings::Settings;

/// The inserts that met something retired, by their places.
#[derive(Default)]
pub(super) struct Retakes {
    met: Vec<(usize, Entry)>,
    /// Those that are sent again.
    sent: Vec<usize>,
}

impl Retakes {
    /// Takes what a change has met, if that is retired and not what it would write.
    pub(super) fn takes(&mut self, at: usize, sent: &Sent, winner: &Entry, settings: &Settings) -> bool {
        let (ours, stands) = (sent.name(), sent.pending.shape.name(&winner.value));
        let is_insert = matches!(sent.pending.change, Change::Insert(..));
        let is_retired =
            stands.as_ref().is_some_and(|stands| settings.retired().has(sent.key.as_str(), stands));
        let takes = is_insert && is_retired && ours != stands;
        if takes {
            self.met.push((at, winner.clone()));
        }
        takes
    }

    /// What has to be read of it.
    pub(super) fn reads(&self, sent: &[Sent]) -> Vec<Read> {
        self.met.iter().filter_map(|(at, _)| Some(sent.get(*at)?.read())).collect()
    }

    /// What stands there now.
    pub(super) fn were_read(
        &mut self,
        sent: &mut [Sent],
        answers: Vec<Result<Profile>>,
        call: Call,
        settings: &Settings,
    ) {
        for ((at, met), answer) in std::mem::take(&mut self.met).into_iter().zip(answers) {
            let Some(sent) = sent.get_mut(at) else { continue };
            match judge(sent, &met, answer, call.now, settings) {
                Ok(change) => {
                    sent.send_again(change, met.value);
                    self.sent.push(at);
                }
                Err(became) => sent.became = became,
            }
        }
    }

    /// What is sent again, each for itself.
    pub(super) fn writes(&self, sent: &[Sent]) -> Vec<Write> {
        self.sent.iter().filter_map(|at| sent.get(*at)?.write()).collect()
    }

    /// The places of what was sent again.
    pub(super) fn take_sent(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.sent)
    }
}

/// The replacement of what was met; or what became of the insert.
fn judge(
    sent: &Sent,
    met: &Entry,
    answer: Result<Profile>,
    now: UnixMillis,
    settings: &Settings,
) -> std::result::Result<Change, Became> {
    let kept = |why, stands: &Entry| {
        let saved = Saved::Kept { why, winner: Some(stands.value.clone()) };
        Became::Stands(Some(Box::new(stands.clone())), saved)
    };
    // A layer below may have sent the insert twice: it can come late, once what it met has gone.
    let stored = answer
        .map_err(|error| Became::Failed(Saved::Failed { error: error.with_effect(Effect::Unknown) }))?;
    let gone = || Became::Lost(Saved::Kept { why: Why::Gone, winner: None });
    let stands = stored.get(sent.key.as_str()).ok_or_else(gone)?;
    if stands.revision != met.revision {
        return Err(kept(Why::Raced, stands));
    }
    if stored.epoch().is_some() && sent.epoch != EpochCheck::Is(stored.epoch()) {
        return Err(kept(Why::Erased, stands));
    }
    let hash = |name: Option<String>| ValueHash::of(&name.unwrap_or_default());
    let (old, new) = (hash(sent.pending.shape.name(&stands.value)), hash(sent.name()));
    let was = stands.was.after_replacing(old, new, now, settings.replace_back_after());
    let (Some(was), Some(entry)) = (was, sent.pending.change.entry()) else {
        return Err(kept(Why::War, stands));
    };
    let entry = entry.clone().with_was(was).with_unknown(stands.unknown.clone());
    Ok(Change::Replace(sent.key.clone(), stands.revision, entry))
}
