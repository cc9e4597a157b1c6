//! The layer as a store: reads lie under what is queued, writes wait for it and for the store's own word.
#![deny(clippy::missing_trait_methods)]

use std::time::Instant;

use stickystore_core::{
    AsyncScan, AsyncStore, AsyncStoreExt as _, Call, Cursor, Effect, Erase, Error, ErrorKind, Finding, Keys,
    Namespace, Operation, Outcome, Page, Profile, Read, Result, Severity, StoreInfo, Subject, Write,
    async_trait,
};

use super::handle::{WriteBehind, closed, fail};
use super::overlay::lay;
use super::queue::Phase;

impl<S: AsyncStore> WriteBehind<S> {
    fn admit(&self, operation: Operation) -> Result<u64> {
        let queue = self.shared().queue();
        match queue.phase {
            Phase::Open | Phase::Closing => Ok(queue.next_id),
            Phase::Closed => Err(closed().with_origin("write-behind", operation)),
        }
    }

    /// Which of these writes have to wait for something that is queued for their users.
    fn waiting(&self, writes: &[Write], before: u64) -> Vec<bool> {
        let queue = self.shared().queue();
        writes.iter().map(|write| queue.has_before(write.subject(), before)).collect()
    }

    /// Sends the queue on, waits until nothing stands before these writes any more, and writes them.
    async fn write_after(&self, call: Call, writes: &[Write], before: u64) -> Vec<Vec<Result<Outcome>>> {
        {
            let mut queue = self.shared().queue();
            writes.iter().for_each(|write| queue.skip_linger(write.subject(), Instant::now()));
        }
        self.shared().wake();
        let is_before =
            |write: &Write, queue: &super::queue::Queue| queue.has_before(write.subject(), before);
        let is_free =
            self.wait_until(call.deadline, |queue| !writes.iter().any(|write| is_before(write, queue))).await;
        if is_free {
            return self.shared().store.write(call, writes).await;
        }
        let context =
            "what is queued for this user has not been written by the deadline, and this comes after it";
        all(writes, &fail(ErrorKind::Timeout, context).with_effect(Effect::NotApplied))
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncStore for WriteBehind<S> {
    fn info(&self) -> &StoreInfo {
        &self.shared().info
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        if let Err(error) = self.admit(Operation::Read) {
            return vec![Err(error); reads.len()];
        }
        // Before the store is asked: what is settled meanwhile may be missing in its answer, and what it has is not shown twice.
        let behind: Vec<_> = {
            let queue = self.shared().queue();
            reads.iter().map(|read| queue.shown(&read.subject, &read.keys)).collect()
        };
        let answers = self.shared().store.read(call, reads).await;
        let laid = answers.into_iter().zip(behind);
        laid.map(|(answer, behind)| answer.map(|profile| lay(profile, &behind, call.now))).collect()
    }

    fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
        self.admit(Operation::Read).ok()?;
        // Before the store is asked, as in a read.
        let behind = self.shared().queue().shown(subject, keys);
        let answer = self.shared().store.at_hand(call, subject, keys)?;
        Some(answer.map(|profile| lay(profile, &behind, call.now)))
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let before = match self.admit(Operation::Write) {
            Ok(before) => before,
            Err(error) => return all(writes, &error),
        };
        let waiting = self.waiting(writes, before);
        if !waiting.contains(&true) {
            return self.shared().store.write(call, writes).await;
        }
        let part = |waits| -> Vec<Write> {
            let part = writes.iter().zip(&waiting).filter(|(_, waiting)| **waiting == waits);
            part.map(|(write, _)| write.clone()).collect()
        };
        let (later, now) = (part(true), part(false));
        let now = if now.is_empty() { Vec::new() } else { self.shared().store.write(call, &now).await };
        let later = self.write_after(call, &later, before).await;
        let (mut later, mut now) = (later.into_iter(), now.into_iter());
        let answers = waiting.iter().zip(writes).map(|(waited, write)| {
            let answer = if *waited { later.next() } else { now.next() };
            answer.unwrap_or_else(|| all(std::slice::from_ref(write), &wrong_count()).concat())
        });
        answers.collect()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let before = match self.admit(Operation::Erase) {
            Ok(before) => before,
            Err(error) => return vec![Err(error); erases.len()],
        };
        let answers = self.shared().store.erase(call, erases).await;
        {
            let mut queue = self.shared().queue();
            for (erase, answer) in erases.iter().zip(&answers) {
                // Also where nobody knows: the caller wants none of it to stand.
                if answer.as_ref().map_or_else(|error| error.effect() == Effect::Unknown, |_| true) {
                    queue.erased(&erase.subject, before, Instant::now());
                }
            }
        }
        self.shared().wake();
        answers
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.admit(Operation::Ping)?;
        self.shared().store.ping(call).await
    }

    /// As [`shutdown`](WriteBehind::shutdown), whose report can still be had by [`report`](WriteBehind::report).
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if something was left that was queued; those of closing store and journal.
    async fn close(&self, call: Call) -> Result<()> {
        let (left, not_closed) = self.end(call).await;
        if left.changes > 0 {
            let context = format!(
                "{} queued changes were not written by the deadline, {} of them are in the journal; the report says which",
                left.changes, left.journaled
            );
            let effect = if left.unknown > 0 { Effect::Unknown } else { Effect::NotApplied };
            let error = Error::new(ErrorKind::Timeout, context).with_effect(effect);
            return Err(error.with_origin("write-behind", Operation::Close));
        }
        not_closed.map_or(Ok(()), Err)
    }

    async fn diagnose(&self, call: Call) -> Vec<Finding> {
        let mut findings = self.shared().store.diagnose(call).await;
        let depth = self.depth();
        let (failures, now) = (self.shared().queue().failures, self.shared().clock.now());
        if let Some(oldest) = depth.oldest.filter(|_| failures > 0) {
            let evidence =
                format!("{} changes are queued, the oldest for {:?}", depth.changes, now.since(oldest));
            let mend = "the store takes none of what is queued: see what it says of itself";
            findings.push(Finding::new("queue-not-taken", Severity::Warning, evidence, mend));
        }
        findings
    }

    /// What the store has; what is queued is not in it. Flush first.
    fn scan(&self) -> Option<&dyn AsyncScan> {
        self.shared().store.scan().map(|_| self as &dyn AsyncScan)
    }
}

#[async_trait]
impl<S: AsyncStore> AsyncScan for WriteBehind<S> {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(Operation::Scan)?;
        self.shared().store.scan_users(call, namespace, cursor, limit).await
    }
}

/// This error as the answer to all of it.
fn all(writes: &[Write], error: &Error) -> Vec<Vec<Result<Outcome>>> {
    writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
}

fn wrong_count() -> Error {
    fail(ErrorKind::Unexpected, "the store gave another number of answers than was asked for")
}
