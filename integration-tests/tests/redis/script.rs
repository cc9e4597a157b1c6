//! The scripts against core's tables, on random states: the same answers, the same data afterwards.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use stickystore_core::decide::decide_erase;
use stickystore_core::decide::{Act, Stored, decide};
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Call, Change, Entry, Epoch, EpochCheck, Erase, Expiry, Mark,
    Outcome, Revision, Subject, UnixMillis, Value, ValueHash, Was, Write,
};
use stickystore_integration_tests::server::redis::Shared;
use stickystore_redis::{Config, RedisStore};

use crate::bench::{behind, call, key, user};

/// By the injected clock; far from both ends.
const NOW: u64 = 1_000_000;

/// The store's grace in these tests.
const GRACE: u64 = 5_000;

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

/// What stands under a key.
#[derive(Debug, Clone)]
enum Slot {
    Entry(Entry),
    Damaged(String),
}

impl Slot {
    fn text(&self) -> String {
        match self {
            Self::Entry(entry) => text(entry),
            Self::Damaged(text) => text.clone(),
        }
    }
}

/// The layout, written down a second time.
fn text(entry: &Entry) -> String {
    let expiry = if let Expiry::At(at) = entry.expiry { at.get() } else { 0 };
    let mut extra = String::new();
    if let Some((hash, at)) = entry.was.iter().next() {
        let object = format!("{{\"was\":[[\"{hash}\",{at}]]}}");
        extra = format!("+{} {object} ", object.len());
    }
    format!("1 {} {expiry} {extra}{}", entry.revision, entry.value.as_str())
}

fn revision() -> impl Strategy<Value = Revision> {
    (0..4_u8).prop_map(|byte| Revision::from_bytes([byte; 8]))
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (0..2_u8).prop_map(|byte| Epoch::from_bytes([byte; 8]))
}

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![Just(NOW - 1), Just(NOW), Just(NOW + 1), Just(NOW + 60_000), Just(UnixMillis::MAX.get())]
}

fn entry() -> impl Strategy<Value = Entry> {
    let value = prop_oneof![Just("1"), Just("\"+1 x\""), Just("{\"a\": [1, 2]}"), Just("\"\u{e9}\\u0000\"")];
    (value, prop_oneof![Just(0), time()], revision(), any::<bool>()).prop_map(
        |(value, expiry, revision, was)| {
            let expiry = if expiry == 0 { Expiry::Never } else { Expiry::At(ms(expiry)) };
            let was = if was { vec![(ValueHash::of("old"), ms(5))] } else { Vec::new() };
            Entry::new(Value::new(value).unwrap(), expiry).with_revision(revision).with_was(Was::new(was))
        },
    )
}

fn slot() -> impl Strategy<Value = Option<Slot>> {
    let damaged = prop_oneof![
        Just(""),
        Just("rubbish"),
        Just("{}"),
        Just("1"),
        Just("1 AAAAAAAAAAA"),
        Just("1 AAAAAAAAAAA 0"),
        Just("2 AAAAAAAAAAA 0 1"),
        Just("1 AAAAAAAAAAB 0 1"),
        Just("1 AAAAAAAAAAA 01 1"),
        Just("1 AAAAAAAAAAA 9007199254740992 1"),
        Just("1 AAAAAAAAAAA 99999999999999999999 1"),
        Just(" 1 AAAAAAAAAAA 0 1"),
        Just("1 AAAAAAAAAA\n 0 1"),
        Just("1 AAAAAAAAAAA -1 1"),
        Just("1 AAAAAAAAAA\u{e9} 0 1"),
        Just("1 AAAAAAAAAAA 0x 1"),
    ];
    prop_oneof![
        2 => Just(None),
        4 => entry().prop_map(|entry| Some(Slot::Entry(entry))),
        1 => damaged.prop_map(|text| Some(Slot::Damaged(text.to_owned()))),
    ]
}

fn mark() -> impl Strategy<Value = Option<Mark>> {
    proptest::option::of((epoch(), time()).prop_map(|(epoch, until)| Mark::new(epoch, ms(until))))
}

/// One in twelve users is not ours at all.
fn is_foreign() -> impl Strategy<Value = bool> {
    proptest::bool::weighted(1.0 / 12.0)
}

fn check() -> impl Strategy<Value = EpochCheck> {
    prop_oneof![Just(EpochCheck::Ignore), proptest::option::of(epoch()).prop_map(EpochCheck::Is)]
}

fn change(name: usize) -> impl Strategy<Value = Change> {
    let key = move || key(&name.to_string());
    prop_oneof![
        entry().prop_map(move |entry| Change::Insert(key(), entry)),
        entry().prop_map(move |entry| Change::Put(key(), entry)),
        (revision(), entry())
            .prop_filter("a replacement has a revision of its own", |(read, entry)| *read != entry.revision)
            .prop_map(move |(read, entry)| Change::Replace(key(), read, entry)),
        Just(Change::Remove(key())),
        revision().prop_map(move |read| Change::RemoveIf(key(), read)),
    ]
}

/// How many keys a user may have; a write names some of them.
const KEYS: usize = 4;

type Fields = BTreeMap<String, String>;

struct Bench {
    store: RedisStore,
    server: redis::aio::MultiplexedConnection,
}

impl Bench {
    async fn open(url: &str) -> Self {
        let config = Config::from_url(url).unwrap().with_grace(std::time::Duration::from_millis(GRACE));
        Self { store: RedisStore::new(&config).unwrap(), server: behind(url).await }
    }

    /// These fields, or something that is not ours at all.
    async fn stand(&mut self, subject: &Subject, fields: &Fields, is_foreign: bool) {
        if is_foreign {
            let key = RedisStore::storage_key(subject);
            redis::cmd("SET").arg(key).arg("foreign").exec_async(&mut self.server).await.unwrap();
        } else {
            self.given(subject, fields).await;
        }
    }

    async fn given(&mut self, subject: &Subject, fields: &Fields) {
        if !fields.is_empty() {
            let key = RedisStore::storage_key(subject);
            redis::cmd("HSET").arg(key).arg(fields).exec_async(&mut self.server).await.unwrap();
        }
    }

    async fn fields(&mut self, subject: &Subject) -> Fields {
        let key = RedisStore::storage_key(subject);
        redis::cmd("HGETALL").arg(key).query_async(&mut self.server).await.unwrap()
    }

    async fn life(&mut self, subject: &Subject) -> i64 {
        let key = RedisStore::storage_key(subject);
        redis::cmd("PTTL").arg(key).query_async(&mut self.server).await.unwrap()
    }
}

fn fields(slots: &[Option<Slot>], mark: Option<Mark>) -> Fields {
    let entries =
        slots.iter().enumerate().filter_map(|(name, slot)| Some((name.to_string(), slot.as_ref()?.text())));
    let mark = mark.map(|mark| (String::new(), format!("1 {} {}", mark.epoch, mark.until)));
    entries.chain(mark).collect()
}

fn stored(slot: Option<&Slot>) -> Stored<'_> {
    match slot {
        None => Stored::Absent,
        Some(Slot::Entry(entry)) => Stored::Entry(entry),
        Some(Slot::Damaged(_)) => Stored::Damaged,
    }
}

fn at(now: u64) -> Call {
    Call::new(ms(now), call().deadline)
}

/// Runs a property on the shared server, if there is one.
fn check_all<S: Strategy>(
    cases: u32,
    input: S,
    run: &impl AsyncFn(&mut Bench, S::Value) -> Result<(), TestCaseError>,
) {
    let Ok(server) = Shared::get() else { return println!("skipped: no server") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = std::cell::RefCell::new(runtime.block_on(Bench::open(server.url())));
    let mut runner = TestRunner::new(Cases { cases, failure_persistence: None, ..Cases::default() });
    runner.run(&input, |value| runtime.block_on(run(&mut bench.borrow_mut(), value))).unwrap();
}

fn shown(outcome: &stickystore_core::Result<Outcome>) -> String {
    match outcome {
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => format!("{:?} {:?}", error.kind(), error.effect()),
    }
}

/// How many users a call may have: more than one command takes.
const USERS: std::ops::RangeInclusive<usize> = 1..=20;

/// How users are asked for.
#[derive(Debug, Clone, Copy)]
enum Asking {
    /// In one call.
    InOneCall,
    /// Each in a call of its own, at the same moment, by clocks that differ: the connection asks for them in one.
    EachAlone,
}

impl Asking {
    /// The clock of a caller whose own is this.
    fn clock(self, own: u64) -> u64 {
        match self {
            Self::InOneCall => NOW,
            Self::EachAlone => own,
        }
    }
}

fn asking() -> impl Strategy<Value = Asking> {
    prop_oneof![Just(Asking::InOneCall), Just(Asking::EachAlone)]
}

/// The clock of a caller, around what expires.
fn clock() -> impl Strategy<Value = u64> {
    NOW - 1..=NOW + 1
}

/// The answers of these calls, which come at the same moment.
async fn at_once<T: Send + 'static>(
    calls: impl Iterator<Item: Future<Output = Vec<T>> + Send + 'static>,
) -> Vec<T> {
    let calls: Vec<_> = calls.map(tokio::spawn).collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.extend(call.await.unwrap());
    }
    answers
}

#[test]
fn the_write_script_is_cores_table_for_each_of_its_users() {
    let changes = (change(0), change(1), change(2), change(3), 1..=KEYS);
    let one = (proptest::collection::vec(slot(), KEYS), mark(), check(), changes, is_foreign(), clock());
    let users = proptest::collection::vec(one, USERS);
    check_all(250, (asking(), users), &async |bench, (asking, users)| {
        let (mut writes, mut expected) = (Vec::new(), Vec::new());
        for (slots, mark, check, (a, b, c, d, count), is_foreign, _) in &users {
            let subject = user("ann");
            let stands = fields(slots, *mark);
            bench.stand(&subject, &stands, *is_foreign).await;
            let changes = [a, b, c, d].into_iter().take(*count).cloned().collect();
            writes.push(Write::new(subject, *check, changes).unwrap());
            expected.push(stands);
        }
        let answers = match asking {
            Asking::InOneCall => bench.store.write(at(NOW), &writes).await,
            Asking::EachAlone => {
                let calls = writes.iter().zip(&users).map(|(write, (.., clock))| {
                    let (store, write, call) = (bench.store.clone(), write.clone(), at(*clock));
                    async move { store.write(call, &[write]).await }
                });
                at_once(calls).await
            }
        };
        prop_assert_eq!(answers.len(), writes.len());
        for (((write, answers), (slots, mark, check, _, is_foreign, clock)), mut expected) in
            writes.iter().zip(&answers).zip(&users).zip(expected)
        {
            let now = ms(asking.clock(*clock));
            for ((change, slot), answer) in write.changes().iter().zip(slots).zip(answers) {
                let is_sent = change.entry().is_none_or(|entry| entry.is_live(now));
                if *is_foreign && is_sent {
                    prop_assert_eq!(shown(answer), "Corrupt NotApplied");
                    continue;
                }
                let decision = decide(change, stored(slot.as_ref()), *check, *mark, now);
                prop_assert_eq!(shown(answer), shown(&decision.outcome), "{:?} on {:?}", change, slot);
                match (decision.act, change.entry()) {
                    (Act::Write, Some(entry)) => drop(expected.insert(change.key().to_string(), text(entry))),
                    (Act::Delete, _) => drop(expected.remove(change.key().as_str())),
                    _ => {}
                }
            }
            if !is_foreign {
                prop_assert_eq!(bench.fields(write.subject()).await, expected);
            }
        }
        Ok(())
    });
}

#[test]
fn the_erase_script_is_cores_table_for_each_of_its_users() {
    let one = (proptest::collection::vec(slot(), KEYS), mark(), epoch(), time(), is_foreign(), clock());
    let users = proptest::collection::vec(one, USERS);
    check_all(150, (asking(), users), &async |bench, (asking, users)| {
        let (mut erases, mut given) = (Vec::new(), Vec::new());
        for (slots, mark, epoch, until, is_foreign, _) in &users {
            let subject = user("ann");
            let stands = fields(slots, *mark);
            bench.stand(&subject, &stands, *is_foreign).await;
            erases.push(Erase::new(subject, ms(*until)).with_epoch(*epoch).with_mark_until(ms(*until)));
            given.push(stands);
        }
        let answers = match asking {
            Asking::InOneCall => bench.store.erase(at(NOW), &erases).await,
            Asking::EachAlone => {
                let calls = erases.iter().zip(&users).map(|(erase, (.., clock))| {
                    let (store, erase, call) = (bench.store.clone(), erase.clone(), at(*clock));
                    async move { store.erase(call, &[erase]).await }
                });
                at_once(calls).await
            }
        };
        prop_assert_eq!(answers.len(), erases.len());
        for (((erase, answer), (slots, mark, _, _, is_foreign, clock)), given) in
            erases.iter().zip(answers).zip(&users).zip(given)
        {
            let now = ms(asking.clock(*clock));
            let stood = slots.iter().flatten().any(|slot| match slot {
                Slot::Entry(entry) => entry.is_live(now),
                Slot::Damaged(_) => true,
            });
            // What is foreign is seen whole or not at all.
            let (mark, stood) = if *is_foreign { (None, true) } else { (*mark, stood) };
            let decision = decide_erase(erase, mark, stood, now).map_err(|error| error.kind());
            let answer = answer.map_err(|error| error.kind());
            prop_assert_eq!(answer, decision.map(|decision| decision.stood));
            match decision {
                Ok(decision) if decision.leave.is_some() => {
                    prop_assert_eq!(bench.fields(&erase.subject).await, fields(&[], decision.leave));
                }
                _ if *is_foreign => {}
                _ => prop_assert_eq!(bench.fields(&erase.subject).await, given),
            }
        }
        Ok(())
    });
}

#[test]
fn the_life_of_a_hash_covers_everything_in_it_and_only_ever_grows() {
    let lives = prop_oneof![Just(None), (1..100_000_u64).prop_map(Some)];
    check_all(
        200,
        proptest::collection::vec((0..KEYS, lives, any::<bool>()), 1..8),
        &async |bench, writes| {
            let subject = user("ann");
            let mut longest = Some(0);
            for (name, life, is_erase) in writes {
                if is_erase {
                    let until = ms(NOW + life.unwrap_or(7));
                    let erase = Erase::new(subject.clone(), ms(NOW)).with_mark_until(until);
                    bench.store.erase_one(at(NOW), erase).await.unwrap();
                    let fields = bench.fields(&subject).await;
                    let until: u64 = fields[""].rsplit(' ').next().unwrap().parse().unwrap();
                    longest = Some(until - NOW);
                } else {
                    let expiry = life.map_or(Expiry::Never, |life| Expiry::At(ms(NOW + life)));
                    let entry = Entry::new(Value::new("1").unwrap(), expiry);
                    bench.store.put(at(NOW), &subject, key(&name.to_string()), entry).await.unwrap();
                    longest = longest.zip(life).map(|(longest, life)| longest.max(life));
                }
                match (longest, bench.life(&subject).await) {
                    (None, life) => prop_assert_eq!(life, -1),
                    (Some(longest), life) => {
                        // What has gone by since, on a slow machine.
                        let most = i64::try_from(longest + GRACE).unwrap();
                        prop_assert!((most - 3_000..=most).contains(&life), "{} is not {}", life, most);
                    }
                }
            }
            Ok(())
        },
    );
}

#[test]
fn a_damaged_mark_makes_the_user_foreign() {
    check_all(1, Just(()), &async |bench, ()| {
        for damaged in
            ["", "rubbish", "1 AAAAAAAAAAA", "1 AAAAAAAAAAA 0", "1 AAAAAAAAAAA 7 ", "1 AAAAAAAAAAA 07"]
        {
            let subject = user("ann");
            let given = Fields::from([(String::new(), damaged.to_owned())]);
            bench.given(&subject, &given).await;
            let kind = |error: stickystore_core::Error| error.kind();
            let corrupt = stickystore_core::ErrorKind::Corrupt;
            prop_assert_eq!(bench.store.load(at(NOW), &subject).await.map_err(kind).unwrap_err(), corrupt);
            let entry = Entry::new(Value::new("1").unwrap(), Expiry::Never);
            let put = bench.store.put(at(NOW), &subject, key("k"), entry).await;
            prop_assert_eq!(put.map_err(kind).unwrap_err(), corrupt);
            prop_assert_eq!(bench.fields(&subject).await, given);
            prop_assert!(bench.store.erase_one(at(NOW), Erase::new(subject.clone(), ms(NOW))).await.unwrap());
            prop_assert!(bench.store.load(at(NOW), &subject).await.unwrap().epoch().is_some());
        }
        bench.store.ping(call()).await.unwrap();
        Ok(())
    });
}
