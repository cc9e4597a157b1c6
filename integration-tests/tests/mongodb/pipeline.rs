//! The pipelines against core's tables, on random states: the same answers, the same data afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use mongodb::Collection;
use mongodb::bson::{Bson, DateTime, Document, doc};
use proptest::prelude::*;
use proptest::test_runner::{Config as Cases, TestRunner};
use stickystore_core::decide::decide_erase;
use stickystore_core::decide::{Act, Stored, decide, foreign};
use stickystore_core::{
    AsyncStoreExt as _, Call, Change, Entry, Epoch, EpochCheck, Erase, ErrorKind, Expiry, Mark, Outcome,
    Revision, Subject, UnixMillis, Value, ValueHash, Was, Write,
};
use stickystore_integration_tests::server::mongodb::Shared;
use stickystore_mongodb::{Config, MongodbStore};

use crate::bench::{behind, call, key, user};
use crate::conformance::shared;

/// By the injected clock; far from both ends.
const NOW: u64 = 1_000_000;

/// The store's grace in these tests.
const GRACE: u64 = 5_000;

/// Ended so long ago that every write may sweep it.
const LONG_AGO: u64 = NOW - GRACE - 1;

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn long(millis: u64) -> Bson {
    Bson::Int64(i64::try_from(millis).unwrap())
}

/// What stands under a key.
#[derive(Debug, Clone)]
enum Slot {
    Entry(Entry),
    Damaged(Bson),
}

impl Slot {
    fn member(&self) -> Bson {
        match self {
            Self::Entry(entry) => member(entry).into(),
            Self::Damaged(damaged) => damaged.clone(),
        }
    }
}

/// The layout, written down a second time.
fn member(entry: &Entry) -> Document {
    let expiry = if let Expiry::At(at) = entry.expiry { long(at.get()) } else { Bson::Int64(i64::MAX) };
    let mut member =
        doc! { "revision": entry.revision.to_string(), "expiry": expiry, "value": entry.value.as_str() };
    if let Some((hash, at)) = entry.was.iter().next() {
        member.insert("extra", format!("{{\"was\":[[\"{hash}\",{at}]]}}"));
    }
    member
}

/// Names of members that stand for `plain`, `a.b`, `$c`, and one with a NUL and a percent sign.
const FIELDS: [(&str, &str); 4] = [("plain", "plain"), ("a.b", "a.b"), ("$c.", "$c."), ("%\0d", "%25%00d")];

fn revision() -> impl Strategy<Value = Revision> {
    (0..4_u8).prop_map(|byte| Revision::from_bytes([byte; 8]))
}

fn epoch() -> impl Strategy<Value = Epoch> {
    (0..2_u8).prop_map(|byte| Epoch::from_bytes([byte; 8]))
}

fn time() -> impl Strategy<Value = u64> {
    let ends = vec![LONG_AGO, LONG_AGO + 1, NOW - 1, NOW, NOW + 1, NOW + 60_000, UnixMillis::MAX.get()];
    proptest::sample::select(ends)
}

fn entry() -> impl Strategy<Value = Entry> {
    let value = prop_oneof![Just("1"), Just("\"$a.b\""), Just("{\"a\": [1, 2]}"), Just("\"\u{e9}\\u0000\"")];
    (value, prop_oneof![Just(0), time()], revision(), any::<bool>()).prop_map(
        |(value, expiry, revision, was)| {
            let expiry = if expiry == 0 { Expiry::Never } else { Expiry::At(ms(expiry)) };
            let was = if was { vec![(ValueHash::of("old"), ms(5))] } else { Vec::new() };
            Entry::new(Value::new(value).unwrap(), expiry).with_revision(revision).with_was(Was::new(was))
        },
    )
}

/// Everything that can be wrong with what the pipelines look at.
fn damaged() -> impl Strategy<Value = Bson> {
    let good = doc! { "revision": "AAAAAAAAAAA", "expiry": i64::MAX, "value": "1" };
    let with = |name: &str, value: Bson| {
        let mut member = good.clone();
        member.insert(name, value);
        Bson::Document(member)
    };
    let without = |name: &str| {
        let mut member = good.clone();
        member.remove(name);
        Bson::Document(member)
    };
    let all = vec![
        Bson::Null,
        Bson::Undefined,
        Bson::Int64(5),
        "AAAAAAAAAAA".into(),
        Document::new().into(),
        vec![Bson::Document(good.clone())].into(),
        with("expiry", Bson::Null),
        with("expiry", Bson::Int32(5)),
        with("expiry", Bson::Double(5.0)),
        with("expiry", "5".into()),
        with("expiry", Bson::Int64(0)),
        with("expiry", Bson::Int64(-5)),
        with("expiry", Bson::Int64(1 << 53)),
        with("expiry", Bson::Int64(i64::MAX - 1)),
        with("expiry", vec![Bson::Int64(5)].into()),
        with("expiry", DateTime::from_millis(5).into()),
        without("expiry"),
        with("revision", Bson::Null),
        with("revision", "AAAAAAAAAAB".into()),
        with("revision", vec![Bson::from("AAAAAAAAAAA")].into()),
        without("revision"),
    ];
    proptest::sample::select(all)
}

fn slot() -> impl Strategy<Value = Option<Slot>> {
    prop_oneof![
        2 => Just(None),
        4 => entry().prop_map(|entry| Some(Slot::Entry(entry))),
        2 => damaged().prop_map(|damaged| Some(Slot::Damaged(damaged))),
    ]
}

fn mark() -> impl Strategy<Value = Option<Mark>> {
    proptest::option::of((epoch(), time()).prop_map(|(epoch, until)| Mark::new(epoch, ms(until))))
}

fn check() -> impl Strategy<Value = EpochCheck> {
    prop_oneof![Just(EpochCheck::Ignore), proptest::option::of(epoch()).prop_map(EpochCheck::Is)]
}

fn change(place: usize) -> impl Strategy<Value = Change> {
    let key = move || key(FIELDS[place].0);
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

/// Members by their names: `entries` without its order.
type Members = BTreeMap<String, Bson>;

struct Bench {
    store: MongodbStore,
    server: Collection<Document>,
    _shared: Arc<Shared>,
}

impl Bench {
    async fn open(shared: Arc<Shared>) -> Self {
        let config = Config::from_url(shared.url()).unwrap();
        let config = config.with_grace(std::time::Duration::from_millis(GRACE));
        let store = MongodbStore::new(&config).unwrap();
        Self { store, server: behind(shared.url()).await, _shared: shared }
    }

    async fn given(&self, subject: &Subject, mut document: Document) {
        document.insert("_id", MongodbStore::document_id(subject));
        self.server.insert_one(document).await.unwrap();
    }

    async fn document(&self, subject: &Subject) -> Option<Document> {
        self.server.find_one(doc! { "_id": MongodbStore::document_id(subject) }).await.unwrap()
    }

    async fn members(&self, subject: &Subject) -> Members {
        let Some(document) = self.document(subject).await else { return Members::new() };
        document.get_document("entries").unwrap().clone().into_iter().collect()
    }
}

fn document(slots: &[Option<Slot>], mark: Option<Mark>) -> Document {
    let slots = slots.iter().zip(FIELDS).filter_map(|(slot, (_, field))| Some((field, slot.as_ref()?)));
    let entries: Document = slots.map(|(field, slot)| (field.to_owned(), slot.member())).collect();
    let mut document = doc! { "v": 1, "entries": entries, "unknown": { "kept": true } };
    if let Some(mark) = mark {
        document.insert("mark", doc! { "epoch": mark.epoch.to_string(), "until": long(mark.until.get()) });
    }
    document
}

fn stored(slot: Option<&Slot>) -> Stored<'_> {
    match slot {
        None => Stored::Absent,
        Some(Slot::Entry(entry)) => Stored::Entry(entry),
        Some(Slot::Damaged(_)) => Stored::Damaged,
    }
}

/// Whether every write may sweep it.
fn is_swept(member: &Bson) -> bool {
    let expiry = member.as_document().and_then(|member| member.get_i64("expiry").ok());
    expiry == Some(i64::try_from(LONG_AGO).unwrap())
}

fn now() -> Call {
    Call::new(ms(NOW), call().deadline)
}

/// Runs a property on the shared server, if there is one.
fn check_all<S: Strategy>(
    cases: u32,
    input: S,
    run: &impl AsyncFn(&Bench, S::Value) -> Result<(), TestCaseError>,
) {
    let Ok(server) = shared() else { return println!("skipped: no server") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bench = runtime.block_on(Bench::open(server));
    let mut runner = TestRunner::new(Cases { cases, failure_persistence: None, ..Cases::default() });
    runner.run(&input, |value| runtime.block_on(run(&bench, value))).unwrap();
}

fn shown(outcome: &stickystore_core::Result<Outcome>) -> String {
    match outcome {
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => format!("{:?} {:?}", error.kind(), error.effect()),
    }
}

#[test]
fn the_write_pipeline_is_cores_table() {
    let changes = (change(0), change(1), change(2), change(3), 1..=FIELDS.len());
    let input = (proptest::collection::vec(slot(), FIELDS.len()), mark(), check(), changes, any::<bool>());
    check_all(800, input, &async |bench, (mut slots, mut mark, check, (a, b, c, d, count), is_there)| {
        let subject = user("ann");
        if is_there {
            bench.given(&subject, document(&slots, mark)).await;
        } else {
            (slots, mark) = (vec![None; FIELDS.len()], None);
        }
        let mut expected = bench.members(&subject).await;
        let changes: Vec<_> = [a, b, c, d].into_iter().take(count).collect();
        let write = Write::new(subject.clone(), check, changes.clone()).unwrap();
        let answers = bench.store.write_one(now(), write).await;
        for (((change, slot), (_, field)), answer) in changes.iter().zip(&slots).zip(FIELDS).zip(&answers) {
            let decision = decide(change, stored(slot.as_ref()), check, mark, ms(NOW));
            prop_assert_eq!(shown(answer), shown(&decision.outcome), "{:?} on {:?}", change, slot);
            match (decision.act, change.entry()) {
                (Act::Write, Some(entry)) => {
                    expected.insert(field.to_owned(), member(entry).into());
                }
                (Act::Delete, _) => drop(expected.remove(field)),
                _ => {}
            }
        }
        if answers.iter().any(|answer| !matches!(answer, Ok(Outcome::Expired))) {
            expected.retain(|_, member| !is_swept(member));
        }
        prop_assert_eq!(bench.members(&subject).await, expected);
        if is_there {
            let after = bench.document(&subject).await.unwrap();
            let before = document(&[], mark);
            for kept in ["v", "mark", "unknown"] {
                prop_assert_eq!(after.get(kept), before.get(kept), "{}", kept);
            }
        }
        Ok(())
    });
}

#[test]
fn the_erase_pipeline_is_cores_table() {
    let input = (proptest::collection::vec(slot(), FIELDS.len()), mark(), epoch(), time());
    check_all(400, input, &async |bench, (slots, mark, epoch, until)| {
        let subject = user("ann");
        bench.given(&subject, document(&slots, mark)).await;
        let given = bench.document(&subject).await.unwrap();
        let erase = Erase::new(subject.clone(), ms(until)).with_epoch(epoch).with_mark_until(ms(until));
        let stood = slots.iter().flatten().any(|slot| match slot {
            Slot::Entry(entry) => entry.is_live(ms(NOW)),
            Slot::Damaged(_) => true,
        });
        let answer = bench.store.erase_one(now(), erase.clone()).await.map_err(|error| error.kind());
        let decision = decide_erase(&erase, mark, stood, ms(NOW)).map_err(|error| error.kind());
        prop_assert_eq!(answer, decision.map(|decision| decision.stood));
        let mut left = bench.document(&subject).await.unwrap();
        match decision {
            Ok(decision) if decision.leave.is_some() => {
                prop_assert!(left.remove("sweep").is_some(), "a mark ends");
                let mut expected = document(&[], decision.leave);
                expected.remove("unknown");
                expected.insert("_id", MongodbStore::document_id(&subject));
                let sorted = |document: Document| document.into_iter().collect::<BTreeMap<_, _>>();
                prop_assert_eq!(sorted(left), sorted(expected));
            }
            _ => prop_assert_eq!(left, given),
        }
        Ok(())
    });
}

#[test]
fn a_document_is_swept_after_all_that_is_in_it_and_only_ever_later() {
    let lives = prop_oneof![Just(None), (1..100_000_u64).prop_map(Some)];
    let step = (0..FIELDS.len(), lives, 0..3_u8);
    check_all(200, proptest::collection::vec(step, 1..8), &async |bench, steps| {
        let subject = user("ann");
        // What stands there by name, and how long the longest life was since none was endless.
        let (mut lives, mut longest) = (BTreeMap::new(), 0);
        for (place, life, kind) in steps {
            let name = FIELDS[place].0;
            if kind == 0 {
                let mark = life.unwrap_or(7);
                let erase = Erase::new(subject.clone(), ms(NOW)).with_mark_until(ms(NOW + mark));
                bench.store.erase_one(now(), erase).await.unwrap();
                lives.clear();
                let document = bench.document(&subject).await.unwrap();
                let until = document.get_document("mark").unwrap().get_i64("until").unwrap();
                longest = u64::try_from(until).unwrap() - NOW;
                lives.insert("", Some(longest));
            } else if kind == 1 {
                bench.store.remove(now(), &subject, key(name)).await.unwrap();
                lives.remove(name);
            } else {
                let expiry = life.map_or(Expiry::Never, |life| Expiry::At(ms(NOW + life)));
                let entry = Entry::new(Value::new("1").unwrap(), expiry);
                bench.store.put(now(), &subject, key(name), entry).await.unwrap();
                lives.insert(name, life);
            }
            let Some(document) = bench.document(&subject).await else { continue };
            let sweep = document.get_datetime("sweep").ok().map(|at| at.timestamp_millis());
            if lives.values().any(Option::is_none) {
                prop_assert_eq!(sweep, None, "{:?}", lives);
                longest = 0;
                continue;
            }
            longest = lives.values().flatten().copied().fold(longest, u64::max);
            let least = i64::try_from(longest + GRACE).unwrap();
            let from_now = sweep.unwrap() - DateTime::now().timestamp_millis();
            // What has gone by since, on a slow machine.
            prop_assert!((least - 5_000..=least).contains(&from_now), "{} is not {}", from_now, least);
        }
        Ok(())
    });
}

#[test]
fn a_document_that_is_not_ours_stays_as_it_is_until_it_is_erased() {
    let mark = doc! { "epoch": "AAAAAAAAAAA", "until": long(NOW + 5) };
    let with_mark = |name: &str, value: Bson| {
        let mut mark = mark.clone();
        mark.insert(name, value);
        doc! { "v": 1, "entries": {}, "mark": mark }
    };
    let all = vec![
        doc! { "x": 1 },
        doc! { "entries": {} },
        doc! { "v": 1 },
        doc! { "v": 2, "entries": {} },
        doc! { "v": 1_i64, "entries": {} },
        doc! { "v": 1.0, "entries": {} },
        doc! { "v": "1", "entries": {} },
        doc! { "v": 1, "entries": Bson::Null },
        doc! { "v": 1, "entries": [] },
        doc! { "v": 1, "entries": [{ "k": 1 }] },
        doc! { "v": 1, "entries": "x" },
        doc! { "v": 1, "entries": {}, "mark": Bson::Null },
        doc! { "v": 1, "entries": {}, "mark": "AAAAAAAAAAA" },
        doc! { "v": 1, "entries": {}, "mark": [&mark] },
        with_mark("epoch", Bson::Null),
        with_mark("epoch", "AAAAAAAAAAB".into()),
        with_mark("epoch", "AAAAAAAAAAA\n".into()),
        with_mark("epoch", Bson::Symbol("AAAAAAAAAAA".into())),
        with_mark("epoch", vec![Bson::from("AAAAAAAAAAA")].into()),
        with_mark("until", Bson::Null),
        with_mark("until", Bson::Int32(5)),
        with_mark("until", Bson::Double(5.0)),
        with_mark("until", Bson::Int64(0)),
        with_mark("until", Bson::Int64(-1)),
        with_mark("until", Bson::Int64(1 << 53)),
        with_mark("until", DateTime::from_millis(5).into()),
    ];
    let input = (proptest::sample::select(all), change(0), change(1), check());
    check_all(300, input, &async |bench, (document, a, b, check)| {
        let subject = user("ann");
        bench.given(&subject, document).await;
        let given = bench.document(&subject).await.unwrap();
        let kind = |error: stickystore_core::Error| error.kind();
        prop_assert_eq!(bench.store.load(now(), &subject).await.map_err(kind), Err(ErrorKind::Corrupt));
        prop_assert_eq!(
            bench.store.get(now(), &subject, &key("plain")).await.map_err(kind),
            Err(ErrorKind::Corrupt)
        );
        let changes = vec![a, b];
        let write = Write::new(subject.clone(), check, changes.clone()).unwrap();
        let answers = bench.store.write_one(now(), write).await;
        for (change, answer) in changes.iter().zip(&answers) {
            prop_assert_eq!(shown(answer), shown(&foreign(change, ms(NOW))));
        }
        prop_assert_eq!(bench.document(&subject).await.unwrap(), given);
        prop_assert!(bench.store.erase_one(now(), Erase::new(subject.clone(), ms(NOW))).await.unwrap());
        prop_assert!(bench.store.load(now(), &subject).await.unwrap().epoch().is_some());
        Ok(())
    });
}

#[test]
fn a_revision_that_is_named_goes_whatever_stands_behind_it() {
    let behind = |value: Bson| doc! { "revision": "AAAAAAAAAAA", "expiry": i64::MAX, "value": value };
    let mut more = behind("1".into());
    more.insert("extra", "not members");
    check_all(1, Just(()), &async |bench, ()| {
        for member in [behind(Bson::Null), behind("nul".into()), behind(5.into()), more.clone()] {
            let (read, other) = (Revision::from_bytes([0; 8]), Revision::from_bytes([1; 8]));
            let new = || Entry::new(Value::new("2").unwrap(), Expiry::Never);
            let subject = user("ann");
            bench.given(&subject, doc! { "v": 1, "entries": { "k": &member } }).await;
            let profile = bench.store.load(now(), &subject).await.unwrap();
            prop_assert_eq!((profile.len(), profile.damaged().len()), (0, 1), "{:?}", member);
            for change in [
                Change::Insert(key("k"), new()),
                Change::Replace(key("k"), other, new()),
                Change::RemoveIf(key("k"), other),
            ] {
                let answer = bench.store.change(now(), &subject, EpochCheck::Ignore, change).await;
                prop_assert_eq!(answer.map_err(|error| error.kind()), Err(ErrorKind::Corrupt));
            }
            prop_assert_eq!(&bench.members(&subject).await["k"], &Bson::Document(member.clone()));
            let replaced = bench.store.replace(now(), &subject, key("k"), read, new()).await;
            prop_assert_eq!(shown(&replaced), "Replaced");
            prop_assert_eq!(bench.store.load(now(), &subject).await.unwrap().len(), 1);
            let subject = user("bob");
            bench.given(&subject, doc! { "v": 1, "entries": { "k": &member } }).await;
            let removed = bench.store.remove_if(now(), &subject, key("k"), read).await;
            prop_assert_eq!(shown(&removed), "Removed");
            prop_assert!(bench.store.load(now(), &subject).await.unwrap().is_empty());
        }
        Ok(())
    });
}
