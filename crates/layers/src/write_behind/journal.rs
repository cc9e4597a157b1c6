//! The journal: where it is, what is found in it at the start, and the task that writes to it.
//!
//! What one record looks like is in `record`.

use std::sync::Arc;
use std::time::Instant;

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Call, Change, Effect, Entry, EpochCheck, Error, ErrorKind, Eviction,
    Expiry, Key, MAX_CHANGES, Namespace, Operation, Outcome, Profile, Result, Sharing, Subject, UserId,
    Value, Write,
};
use tokio::sync::oneshot;

use super::lane::{Item, Record, Slot, Stage};
use super::numbers;
use super::queue::{Forget, Queue};
use super::record;
use super::report::Why;
use super::settings::{SKEW, Times, wrong};
use super::settle::{Pauses, unwritten};

/// Where journals stand in their store.
const NAMESPACE: &str = "stickystore:write-behind";
/// The name of a journal in a store that only this process can have open.
const LOCAL: &str = "local";
/// When so many bytes are in a page, nothing more is taken along.
const PAGE_BYTES: usize = 1 << 20;
/// Digits of a record's key: enough for every number, so that they sort as numbers do.
const DIGITS: usize = 20;

/// Where queued writes are written down before they are acknowledged, so that they outlive the process: any store, by rights
/// an embedded one. A record stands there until the store has judged its write.
///
/// After a crash, [`Builder::start`](super::Builder::start) queues what it finds again: the same revisions, the same epoch
/// checks, the same expiries, so that what had been applied already is known again. What is older than queue age and journal
/// age together is dropped and reported, what cannot be read is reported and stays.
///
/// What it survives is what its store survives. It holds users' ids and values in the clear.
#[derive(Debug, Clone)]
pub struct Journal {
    pub(super) store: Arc<dyn AsyncStore>,
    name: Option<UserId>,
}

impl Journal {
    /// A journal in a store that is this process's own, such as an embedded one, whose file is locked.
    pub fn new(store: impl AsyncStore) -> Self {
        Self { store: Arc::new(store), name: None }
    }

    /// A journal in a store that processes share. Each needs a name of its own, the same after a restart: two that run at once
    /// under one name would send each other's writes again. Neither loses any by it: records are never overwritten, and
    /// the one that comes second is told.
    pub fn named(store: impl AsyncStore, name: UserId) -> Self {
        Self { store: Arc::new(store), name: Some(name) }
    }

    pub(super) fn check(&self) -> Result<()> {
        let info = self.store.info();
        if self.name.is_none() && info.sharing == Sharing::Network {
            return Err(wrong(format!(
                "a journal on {} is shared by all who connect: give each process's a name of its own",
                info.scheme
            )));
        }
        if info.eviction != Eviction::Never {
            return Err(wrong(format!("a journal on {} could be forgotten to make room", info.scheme)));
        }
        Ok(())
    }

    fn subject(&self) -> Result<Subject> {
        let name = self.name.clone().map_or_else(|| UserId::new(LOCAL), Ok)?;
        Ok(Subject::new(Namespace::new(NAMESPACE)?, name))
    }

    /// Everything that stands in it.
    pub(super) async fn read(&self, call: Call) -> Result<Profile> {
        self.store.load(call, &self.subject()?).await
    }

    /// Writes a page to it: an answer for each of its changes.
    pub(super) async fn write(&self, call: Call, page: &Page) -> Vec<Result<Outcome>> {
        let changes = page.changes.iter().map(|(change, _)| change.clone()).collect();
        let write = self.subject().and_then(|subject| Write::new(subject, EpochCheck::Ignore, changes));
        match write {
            Ok(write) => self.store.write_one(call, write).await,
            Err(error) => vec![Err(error); page.changes.len()],
        }
    }
}

/// What is written to the journal in one write.
pub(super) struct Page {
    changes: Vec<(Change, Entered)>,
}

/// What a change of the journal is for.
enum Entered {
    /// The record of an item.
    Item(u64, Subject),
    Forgotten(Forget),
}

impl Page {
    /// The answer to all of it.
    pub(super) fn refused(&self, error: &Error) -> Vec<Result<Outcome>> {
        vec![Err(error.clone()); self.changes.len()]
    }
}

impl Queue {
    /// What is to be written to the journal now.
    pub(super) fn page(&mut self, now: Instant) -> Option<Page> {
        let mut page = Page { changes: Vec::new() };
        let mut bytes = 0;
        while page.changes.len() < MAX_CHANGES && bytes < PAGE_BYTES {
            let Some((id, subject)) = self.fresh.pop_first() else { break };
            let Some(item) = self.lanes.get_mut(&subject).and_then(|lane| lane.get_mut(id)) else { continue };
            let (Some(value), Ok(key)) = (text(&subject, item), key(id)) else {
                let accepts = item.accepts.take();
                let error = Error::new(ErrorKind::Unexpected, "it cannot be written down");
                self.refuse(&subject, id, &error.with_effect(Effect::NotApplied), accepts, now);
                continue;
            };
            let entry = Entry::new(value, Expiry::Never);
            bytes += item.bytes;
            item.stage = Stage::Journaling;
            item.record = Some(Record { key: key.clone(), revision: entry.revision });
            page.changes.push((Change::Insert(key, entry), Entered::Item(id, subject)));
        }
        if self.forget_rests.is_none_or(|rests| rests <= now) {
            let most = MAX_CHANGES - page.changes.len();
            let rest = self.forget.split_off(most.min(self.forget.len()));
            for forget in std::mem::replace(&mut self.forget, rest) {
                let Record { key, revision } = forget.record.clone();
                page.changes.push((Change::RemoveIf(key, revision), Entered::Forgotten(forget)));
            }
        }
        (!page.changes.is_empty()).then_some(page)
    }

    /// Takes in what the journal answered to a page.
    pub(super) fn journaled(
        &mut self,
        page: Page,
        answers: Vec<Result<Outcome>>,
        now: Instant,
        pauses: &impl Pauses,
    ) {
        let mut kept = Vec::new();
        let mut is_forgetting = false;
        for ((_, entered), answer) in page.changes.into_iter().zip(answers) {
            match (entered, answer) {
                (Entered::Item(id, subject), answer) => self.recorded(id, &subject, answer, now),
                // Another's record, if it was kept: not ours to remove.
                (Entered::Forgotten(forget), Ok(_)) => {
                    is_forgetting = true;
                    match forget.item {
                        Some((id, subject)) => drop(self.remove(&subject, id, now)),
                        // None are counted any more after closing.
                        None => self.orphans = self.orphans.saturating_sub(1),
                    }
                }
                (Entered::Forgotten(forget), Err(_)) => kept.push(forget),
            }
        }
        if !kept.is_empty() {
            self.forget_failures = self.forget_failures.saturating_add(1);
            self.forget_rests = Some(now + pauses.after(self.forget_failures));
            // In their order, before what came since.
            kept.append(&mut self.forget);
            self.forget = kept;
        } else if is_forgetting {
            (self.forget_failures, self.forget_rests) = (0, None);
        }
    }

    fn recorded(&mut self, id: u64, subject: &Subject, answer: Result<Outcome>, now: Instant) {
        let Some(item) = self.lanes.get_mut(subject).and_then(|lane| lane.get_mut(id)) else { return };
        let accepts = item.accepts.take();
        let error = match answer {
            Ok(Outcome::Inserted) => {
                item.stage = Stage::Ready;
                numbers::queued(self.store, item.slots.len());
                if item.is_erased {
                    self.drop_erased(subject, id, now);
                }
                self.schedule(subject, now + self.linger);
                // Nobody may wait any more: it is queued all the same.
                accepts.map(|accepts| accepts.send(Ok(())));
                return;
            }
            Ok(_) => shared_journal(),
            Err(error) => error,
        };
        self.refuse(subject, id, &error, accepts, now);
    }

    /// Takes an item out that could not be written to the journal.
    fn refuse(
        &mut self,
        subject: &Subject,
        id: u64,
        error: &Error,
        accepts: Option<oneshot::Sender<Result<()>>>,
        now: Instant,
    ) {
        let effect = error.effect();
        let record = self.remove(subject, id, now).and_then(|item| item.record);
        // It may stand there all the same, and would be found after a crash.
        if let Some(record) = record.filter(|_| effect == Effect::Unknown) {
            self.forget_orphan(record);
        }
        numbers::refused(self.store, "journal");
        let context = "what was to be queued could not be written to the journal, and is not queued";
        let refused = Error::new(error.kind(), context).with_origin("write-behind", Operation::Write);
        accepts.map(|accepts| accepts.send(Err(refused.with_effect(effect).with_source(error.clone()))));
    }

    /// Queues again what was found in the journal.
    pub(super) fn replay(
        &mut self,
        found: Profile,
        clock: stickystore_core::UnixMillis,
        times: Times,
        now: Instant,
    ) {
        let life = times.queue_age.saturating_add(times.journal_age);
        for damaged in found.damaged() {
            self.skip(&damaged.key);
            self.ledger.damaged(damaged.key.clone(), damaged.damage);
        }
        for (key, entry) in found {
            self.skip(&key);
            let (id, decoded) = match (number(&key), record::decode(entry.value.as_str())) {
                (Some(id), Ok(decoded)) => (id, decoded),
                (None, _) => {
                    let damage = stickystore_core::Damage::new("has a key that is no record's");
                    self.ledger.damaged(key, damage);
                    continue;
                }
                (_, Err(damage)) => {
                    self.ledger.damaged(key, damage);
                    continue;
                }
            };
            let (write, accepted) = decoded;
            let record = Record { key, revision: entry.revision };
            let until = accepted.saturating_add(life);
            // From later than now: a clock was set back, and nobody knows how old it is.
            if until <= clock || accepted > clock.saturating_add(SKEW) {
                self.too_old(&write, record);
                continue;
            }
            let item = Item {
                id,
                epoch: write.epoch(),
                bytes: Item::size(write.changes()),
                slots: write.changes().iter().cloned().map(Slot::new).collect(),
                accepted,
                until,
                expires: now + until.since(clock),
                stage: Stage::Ready,
                record: Some(record),
                accepts: None,
                tells: None,
                is_erased: false,
            };
            numbers::queued(self.store, item.slots.len());
            self.accept(write.subject(), item, now);
        }
    }

    fn too_old(&mut self, write: &Write, record: Record) {
        for change in write.changes() {
            let slot = Slot::new(change.clone());
            self.ledger.unwritten(unwritten(write.subject(), &slot, Why::TooOld, false));
        }
        numbers::dropped(self.store, Why::TooOld.as_str(), write.changes().len());
        self.forget_orphan(record);
    }

    /// Has a record taken out of the journal that stands for nothing that is queued.
    fn forget_orphan(&mut self, record: Record) {
        self.orphans += 1;
        self.forget.push(Forget { record, item: None });
    }

    /// Leaves this key alone: what stands there is another's, or was before us.
    fn skip(&mut self, key: &Key) {
        if let Some(id) = number(key) {
            self.next_id = self.next_id.max(id.saturating_add(1));
        }
    }
}

fn text(subject: &Subject, item: &Item) -> Option<Value> {
    let changes = item.slots.iter().map(|slot| slot.change.clone()).collect();
    record::encode(&Write::new(subject.clone(), item.epoch, changes).ok()?, item.accepted)
}

fn key(id: u64) -> Result<Key> {
    Key::new(format!("{id:0DIGITS$}"))
}

fn number(key: &Key) -> Option<u64> {
    let text = key.as_str();
    let is_one = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_one)
}

fn shared_journal() -> Error {
    let context = "another process writes to this journal: give each a name of its own";
    Error::new(ErrorKind::Config, context).with_origin("write-behind", Operation::Write)
}
