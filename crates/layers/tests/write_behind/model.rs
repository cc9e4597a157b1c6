//! Whole lives of a queue with a journal: random saves, erasures, faults, clocks and crashes, judged by what happened.
//!
//! What was acknowledged was applied or is in a report. What was refused never happened. What was sent is what was queued. What
//! an entry is given arrives in order. What was erased stays erased.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use stickystore_core::{
    AsyncStoreExt as _, Call, Change, Clock as _, Effect, EpochCheck, Erase, ErrorKind, ManualClock, Outcome,
    Revision, Subject, Write,
};
use stickystore_layers::write_behind::{Journal, Queued, Report, Why, WriteBehind};

use crate::planted::{Fault, PATIENCE, Planted, behind, clock, entry, key, other, subject};

/// Long enough for something to happen, far too short for everything.
const MOMENT: Duration = Duration::from_millis(3);

#[derive(Debug, Clone)]
enum Step {
    Insert { user: u8, key: u8, value: u8 },
    Replace { user: u8, key: u8, value: u8 },
    Remove { user: u8, key: u8 },
    Erase { user: u8, elsewhere: bool },
    Foreign { user: u8, key: u8 },
    Fault { journal: bool, fault: Fault },
    Hold,
    Release,
    Flush,
    Later(u32),
    Crash,
    Shutdown,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::Refused(ErrorKind::Unavailable)),
        Just(Fault::Lost),
        Just(Fault::Hidden),
        Just(Fault::Half),
        Just(Fault::Refused(ErrorKind::Corrupt)),
    ];
    prop_oneof![
        6 => (0..3_u8, 0..2_u8, 0..3_u8).prop_map(|(user, key, value)| Step::Insert { user, key, value }),
        4 => (0..3_u8, 0..2_u8, 0..3_u8).prop_map(|(user, key, value)| Step::Replace { user, key, value }),
        2 => (0..3_u8, 0..2_u8).prop_map(|(user, key)| Step::Remove { user, key }),
        1 => (0..3_u8, any::<bool>()).prop_map(|(user, elsewhere)| Step::Erase { user, elsewhere }),
        1 => (0..3_u8, 0..2_u8).prop_map(|(user, key)| Step::Foreign { user, key }),
        5 => (any::<bool>(), fault).prop_map(|(journal, fault)| Step::Fault { journal, fault }),
        2 => Just(Step::Hold),
        2 => Just(Step::Release),
        3 => Just(Step::Flush),
        1 => (1..900_000_u32).prop_map(Step::Later),
        2 => Just(Step::Crash),
        1 => Just(Step::Shutdown),
    ]
}

/// What names a change for ever: the revision that it writes; of a removal there may be two of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    subject: Subject,
    key: String,
    writes: Option<Revision>,
    removes: Option<Revision>,
}

fn name(subject: &Subject, change: &Change) -> Name {
    let removes = match change {
        Change::RemoveIf(_, read) => Some(*read),
        _ => None,
    };
    let writes = change.entry().map(|entry| entry.revision);
    Name { subject: subject.clone(), key: change.key().as_str().to_owned(), writes, removes }
}

/// One life: the processes one after the other, and what they were told.
struct Life {
    store: Planted,
    journal: Planted,
    clock: ManualClock,
    handle: WriteBehind<Planted>,
    acknowledged: Vec<Name>,
    refused: Vec<Name>,
    queued: HashSet<String>,
    /// By whose erasure it is too late: how many names were there by then.
    erased: HashMap<Subject, usize>,
    /// Everything that was tried to queue, in order.
    tried: Vec<Name>,
    tickets: Vec<(Name, Queued)>,
    reported: Vec<(Subject, String, Option<Revision>)>,
}

impl Life {
    async fn begin() -> Self {
        let (store, journal, clock) = (Planted::new(), Planted::new(), clock());
        let handle = open(&store, &journal, &clock).await;
        let (acknowledged, refused, queued, erased) = Default::default();
        let (tried, tickets, reported) = Default::default();
        Self {
            store,
            journal,
            clock,
            handle,
            acknowledged,
            refused,
            queued,
            erased,
            tried,
            tickets,
            reported,
        }
    }

    fn call(&self, time: Duration) -> Call {
        Call::new(self.clock.now(), Instant::now() + time)
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Insert { user, key: at, value } => {
                let subject = subject(&user.to_string());
                let Ok(profile) = self.handle.load(self.call(PATIENCE), &subject).await else { return };
                let change = Change::Insert(key(&at.to_string()), entry(&value.to_string()));
                self.enqueue(subject, EpochCheck::Is(profile.epoch()), change).await;
            }
            Step::Replace { user, key: at, value } => {
                let Some((subject, read)) = self.stored(user, at).await else { return };
                let change = Change::Replace(key(&at.to_string()), read, entry(&value.to_string()));
                self.enqueue(subject, EpochCheck::Ignore, change).await;
            }
            Step::Remove { user, key: at } => {
                let Some((subject, read)) = self.stored(user, at).await else { return };
                let change = Change::RemoveIf(key(&at.to_string()), read);
                self.enqueue(subject, EpochCheck::Ignore, change).await;
            }
            Step::Erase { user, elsewhere } => {
                let subject = subject(&user.to_string());
                let erase = Erase::new(subject.clone(), self.clock.now());
                self.erased.insert(subject, self.tried.len());
                if elsewhere {
                    other(&self.store).erase_one(self.call(PATIENCE), erase).await.unwrap();
                } else {
                    self.handle.erase_one(self.call(PATIENCE), erase).await.unwrap();
                }
            }
            Step::Foreign { user, key: at } => {
                let foreign = entry("foreign");
                let subject = subject(&user.to_string());
                other(&self.store)
                    .put(self.call(PATIENCE), &subject, key(&at.to_string()), foreign)
                    .await
                    .unwrap();
            }
            Step::Fault { journal, fault } => {
                let place = if journal { &self.journal } else { &self.store };
                place.plant([fault]);
            }
            Step::Hold => self.store.hold(),
            Step::Release => self.store.release(),
            Step::Flush => {
                let report = self.handle.flush(self.call(MOMENT)).await;
                self.read(report);
            }
            Step::Later(millis) => {
                // No call is under way for longer than an attempt may be.
                self.store.release();
                self.store.quiet().await;
                self.clock.advance(Duration::from_millis(u64::from(millis)));
            }
            Step::Crash => {
                let report = self.handle.report();
                self.read(report);
                self.reopen().await;
            }
            Step::Shutdown => {
                let report = self.handle.shutdown(self.call(MOMENT)).await;
                self.read(report);
                self.reopen().await;
            }
        }
    }

    async fn stored(&self, user: u8, at: u8) -> Option<(Subject, Revision)> {
        let subject = subject(&user.to_string());
        let profile = self.handle.load(self.call(PATIENCE), &subject).await.ok()?;
        Some((subject, profile.get(&at.to_string())?.revision))
    }

    async fn enqueue(&mut self, subject: Subject, epoch: EpochCheck, change: Change) {
        let name = name(&subject, &change);
        self.tried.push(name.clone());
        self.queued.insert(format!("{subject:?} {epoch:?} {change:?}"));
        let write = Write::new(subject, epoch, vec![change]).unwrap();
        match self.handle.enqueue(self.call(PATIENCE), write).await {
            Ok(queued) => {
                assert!(queued.is_journaled());
                self.acknowledged.push(name.clone());
                self.tickets.push((name, queued));
            }
            Err(error) if error.effect() == Effect::NotApplied => self.refused.push(name),
            Err(_) => {}
        }
    }

    fn read(&mut self, report: Report) {
        assert_eq!((report.omitted, report.damaged.len()), (0, 0));
        for unwritten in report.unwritten {
            // The next process has it.
            if !(matches!(unwritten.why, Why::Left(_)) && unwritten.journaled) {
                let at = unwritten.key.as_str().to_owned();
                self.reported.push((unwritten.subject, at, unwritten.revision));
            }
        }
    }

    /// The process ends as it is, and another begins. The store goes on with what it was sent, or does not.
    async fn reopen(&mut self) {
        let next = loop {
            // A journal that does not answer is waited for.
            if let Ok(next) = opened(&self.store, &self.journal, &self.clock).await {
                break next;
            }
        };
        self.handle = next;
    }

    async fn end(mut self) {
        self.store.mend();
        self.journal.mend();
        self.store.release();
        let report = self.handle.flush(self.call(PATIENCE)).await;
        assert_eq!(report.pending, 0);
        self.read(report);
        let judged = self.store.judged();
        let done = judged.iter().filter(|judged| {
            judged.outcome.is_applied() || matches!(judged.outcome, Outcome::Unchanged | Outcome::WasAbsent)
        });
        let done: Vec<_> = done.map(|judged| name(&judged.subject, &judged.change)).collect();
        self.nothing_is_lost(&done);
        self.nothing_refused_happened();
        self.nothing_else_was_sent();
        self.order_was_kept(&done);
        self.nothing_came_back();
        let place = Subject::new(
            stickystore_core::Namespace::new("stickystore:write-behind").unwrap(),
            stickystore_core::UserId::new("local").unwrap(),
        );
        let call = Call::new(clock().now(), Instant::now() + PATIENCE);
        assert!(other(&self.journal).load(call, &place).await.unwrap().is_empty(), "the journal is empty");
        self.tickets_told_the_truth(&done).await;
    }

    fn nothing_is_lost(&self, done: &[Name]) {
        for name in &self.acknowledged {
            let is_reported = self.reported.contains(&(name.subject.clone(), name.key.clone(), name.writes));
            assert!(
                done.contains(name) || is_reported,
                "{name:?} was acknowledged, and neither written nor reported"
            );
        }
    }

    fn nothing_refused_happened(&self) {
        for judged in self.store.judged() {
            let name = name(&judged.subject, &judged.change);
            // A removal may have been tried twice, with one name.
            let is_once = self.tried.iter().filter(|tried| **tried == name).count() == 1;
            assert!(!(is_once && self.refused.contains(&name)), "{name:?} was refused, and sent");
        }
    }

    fn nothing_else_was_sent(&self) {
        for write in self.store.sent().iter().flatten() {
            for change in write.changes() {
                let sent = format!("{:?} {:?} {change:?}", write.subject(), write.epoch());
                assert!(self.queued.contains(&sent), "{sent} was sent, and never queued");
            }
        }
    }

    fn order_was_kept(&self, done: &[Name]) {
        let mut last: HashMap<(&Subject, &str), usize> = HashMap::new();
        for name in &self.acknowledged {
            // The first time that it came to something; a removal that stands for two is left out.
            let is_twice = self.acknowledged.iter().filter(|other| *other == name).count() > 1;
            let Some(place) = done.iter().position(|other| other == name).filter(|_| !is_twice) else {
                continue;
            };
            let before = last.insert((&name.subject, &name.key), place);
            assert!(before.is_none_or(|before| before < place), "{name:?} overtook another");
        }
    }

    fn nothing_came_back(&self) {
        for (subject, tried) in &self.erased {
            let before: HashSet<_> = self.tried.iter().take(*tried).filter_map(|name| name.writes).collect();
            let profile = self.store.profile(subject.user.as_str());
            for (key, entry) in profile.entries() {
                assert!(!before.contains(&entry.revision), "{key} of an erased user came back");
            }
        }
    }

    async fn tickets_told_the_truth(self, done: &[Name]) {
        for (name, ticket) in self.tickets {
            let outcome = ticket.outcomes(Call::new(clock().now(), Instant::now())).await.remove(0);
            if outcome.is_ok_and(|outcome| outcome.is_applied()) {
                assert!(done.contains(&name), "{name:?} was told to be written");
            }
        }
    }
}

async fn open(store: &Planted, journal: &Planted, clock: &ManualClock) -> WriteBehind<Planted> {
    opened(store, journal, clock).await.unwrap()
}

async fn opened(
    store: &Planted,
    journal: &Planted,
    clock: &ManualClock,
) -> stickystore_core::Result<WriteBehind<Planted>> {
    let builder = behind(store).attempt(Duration::from_secs(50)).clock(clock.clone());
    let call = Call::new(clock.now(), Instant::now() + PATIENCE);
    builder.journal(Journal::new(journal.clone())).start(call).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_acknowledged_is_written_or_reported(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut life = Life::begin().await;
            for step in steps {
                life.step(step).await;
            }
            life.end().await;
        });
    }
}
