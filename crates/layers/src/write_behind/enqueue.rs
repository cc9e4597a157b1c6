//! Queueing a write: what may be queued, waiting for room and for the journal, and the ticket that the caller gets.

use std::time::Instant;

use stickystore_core::{
    AsyncStore, Call, Change, Effect, EpochCheck, ErrorKind, Outcome, Result, Subject, Write,
};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::handle::{WriteBehind, closed, fail};
use super::lane::{Item, Slot, Stage};
use super::numbers;
use super::queue::{Phase, Room};
use super::settings::WhenFull;

/// A write that is queued: nobody has judged it yet, and it may come to nothing.
///
/// Dropping it changes nothing. Whoever wants to know what became of the write waits for [`outcomes`](Self::outcomes).
#[derive(Debug)]
pub struct Queued {
    count: usize,
    is_journaled: bool,
    told: oneshot::Receiver<Vec<Result<Outcome>>>,
}

impl<S: AsyncStore> WriteBehind<S> {
    /// Queues a write: all of its changes or, with an error, none. With a journal, it stands there when this answers.
    ///
    /// It takes inserts that carry an epoch check, replacements and conditional removals: what cannot undo anything that its
    /// writer has not seen, however late it arrives. For a put or a blind removal there is
    /// [`write`](AsyncStore::write), which waits for what is queued for that user, and for the store.
    ///
    /// A caller that gives up, or is dropped, while the journal is written to, may have queued it.
    ///
    /// # Errors
    /// | kind | effect | when |
    /// |---|---|---|
    /// | [`Invalid`](ErrorKind::Invalid) | not applied | it has a change that is never queued, or the call's time is older than the queue age |
    /// | [`TooLarge`](ErrorKind::TooLarge) | not applied | an entry is larger than the store takes, or the write than the queue |
    /// | [`Timeout`](ErrorKind::Timeout) | not applied | the queue was full until the deadline ([`WhenFull::Wait`]) |
    /// | [`Full`](ErrorKind::Full) | not applied | the queue is full ([`WhenFull::Fail`]) |
    /// | [`Timeout`](ErrorKind::Timeout) | unknown | the journal did not answer by the deadline: it is queued, or will be found after a crash, or neither |
    /// | [`Closed`](ErrorKind::Closed) | as it says | the layer was closed, or its runtime has ended |
    /// | others | as the journal says | the journal refused it; it is not queued. With an unknown effect, it may be found there after a crash |
    pub async fn enqueue(&self, call: Call, write: Write) -> Result<Queued> {
        let shared = self.shared();
        check_changes(&write)?;
        let limit = shared.store.info().limits.entry_bytes;
        if let Some(entry) =
            write.changes().iter().filter_map(Change::entry).find(|entry| entry.size_bytes() > limit)
        {
            let context = format!("an entry of {} bytes; at most {limit} are kept", entry.size_bytes());
            return Err(fail(ErrorKind::TooLarge, context));
        }
        let count = write.changes().len();
        let (tells, told) = oneshot::channel();
        if count == 0 {
            drop(tells.send(Vec::new()));
            return Ok(Queued { count, is_journaled: false, told });
        }
        let (accepts, accepted) = oneshot::channel();
        let (subject, id, is_journaled) = self.take_in(call, write, tells, accepts).await?;
        shared.wake();
        if is_journaled {
            self.wait_for_journal(call, &subject, id, accepted).await?;
        }
        Ok(Queued { count, is_journaled, told })
    }

    /// Takes a write into the queue as soon as there is room.
    async fn take_in(
        &self,
        call: Call,
        write: Write,
        tells: oneshot::Sender<Vec<Result<Outcome>>>,
        accepts: oneshot::Sender<Result<()>>,
    ) -> Result<(Subject, u64, bool)> {
        let shared = self.shared();
        loop {
            let mut changed = std::pin::pin!(shared.changed.notified());
            changed.as_mut().enable();
            {
                let mut queue = shared.queue();
                if queue.phase != Phase::Open {
                    return Err(closed());
                }
                if call.remaining().is_zero() {
                    numbers::refused(queue.store, "timeout");
                    let context = format!(
                        "the deadline passed before there was room in the queue; {}",
                        queue.filling()
                    );
                    return Err(fail(ErrorKind::Timeout, context).with_effect(Effect::NotApplied));
                }
                match queue.room(&write) {
                    Room::Free => {
                        let (now, clock) = (Instant::now(), shared.clock.now());
                        // By when the call began: what it read before it waited for room is as old as that.
                        let accepted = clock.min(call.now);
                        let until = accepted.saturating_add(shared.times.queue_age);
                        if until <= clock {
                            numbers::refused(queue.store, "too-old");
                            let context = "the call's time is longer ago than anything may be queued";
                            return Err(fail(ErrorKind::Invalid, context));
                        }
                        let (id, is_journaled) = (queue.next_id, queue.is_journaled);
                        let item = Item {
                            id,
                            epoch: write.epoch(),
                            bytes: Item::size(write.changes()),
                            slots: write.changes().iter().cloned().map(Slot::new).collect(),
                            accepted,
                            until,
                            expires: now + until.since(clock),
                            stage: if is_journaled { Stage::Fresh } else { Stage::Ready },
                            record: None,
                            accepts: is_journaled.then_some(accepts),
                            tells: Some(tells),
                            is_erased: false,
                        };
                        if !is_journaled {
                            numbers::queued(queue.store, item.slots.len());
                        }
                        queue.accept(write.subject(), item, now);
                        return Ok((write.subject().clone(), id, is_journaled));
                    }
                    Room::Never => {
                        numbers::refused(queue.store, "too-large");
                        let context =
                            "the write is larger than the whole queue may be; split it, or allow more";
                        return Err(fail(ErrorKind::TooLarge, context));
                    }
                    Room::Full if shared.when_full == WhenFull::Fail => {
                        numbers::refused(queue.store, "full");
                        let context = format!("the queue is full; {}", queue.filling());
                        return Err(fail(ErrorKind::Full, context));
                    }
                    Room::Full => {}
                }
            }
            drop(timeout_at(call.deadline.into(), changed).await);
        }
    }

    async fn wait_for_journal(
        &self,
        call: Call,
        subject: &Subject,
        id: u64,
        accepted: oneshot::Receiver<Result<()>>,
    ) -> Result<()> {
        match timeout_at(call.deadline.into(), accepted).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(closed().with_effect(Effect::Unknown)),
            Err(_) => {
                let mut queue = self.shared().queue();
                let stage =
                    queue.lanes.get_mut(subject).and_then(|lane| lane.get_mut(id)).map(|item| item.stage);
                if stage == Some(Stage::Fresh) {
                    queue.remove(subject, id, Instant::now());
                    let context = "the journal was not ready by the deadline, and it is not queued";
                    return Err(fail(ErrorKind::Timeout, context).with_effect(Effect::NotApplied));
                }
                Err(fail(ErrorKind::Timeout, "the journal did not answer by the deadline; it may be queued"))
            }
        }
    }
}

impl Queued {
    /// Whether it stands in the journal, so that it outlives the process.
    pub fn is_journaled(&self) -> bool {
        self.is_journaled
    }

    /// What the store said: an answer for each change, in order. Waits until it was asked, or until the deadline.
    ///
    /// A change that is still queued then is [`ErrorKind::Timeout`], unknown: it stays queued.
    pub async fn outcomes(self, call: Call) -> Vec<Result<Outcome>> {
        let error = match timeout_at(call.deadline.into(), self.told).await {
            Ok(Ok(outcomes)) => return outcomes,
            Ok(Err(_)) => closed().with_effect(Effect::Unknown),
            Err(_) => {
                fail(ErrorKind::Timeout, "the store has not judged it by the deadline; it stays queued")
            }
        };
        vec![Err(error); self.count]
    }
}

/// Whether these changes may be queued: none of them can undo what its writer has not seen, however late it arrives.
pub(super) fn check_changes(write: &Write) -> Result<()> {
    for change in write.changes() {
        match change {
            Change::Insert(..) if write.epoch() == EpochCheck::Ignore => {
                let context = "an insert is queued with the epoch that was read, or with Is(None): without, it could bring \
                               erased data back";
                return Err(fail(ErrorKind::Invalid, context));
            }
            Change::Insert(..) | Change::Replace(..) | Change::RemoveIf(..) => {}
            _ => {
                let context = "a put or a blind removal is not queued: arriving late, it would take what it has not seen; \
                               write it through, or say what was read: replace, remove_if";
                return Err(fail(ErrorKind::Invalid, context));
            }
        }
    }
    Ok(())
}
