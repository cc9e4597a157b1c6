//! What the store costs beside the bare driver, in the same run: `STICKYSTORE_MONGODB_URL=.. cargo run --release -p
//! stickystore-mongodb --example mongodb_figures`.
//!
//! One caller, then 64. Each figure is the median time of a call in microseconds, ours and the driver's, and how ours
//! compares. A load of five entries stands beside a typed `find_one` of a document with five members, which judges neither
//! expiry nor marks; a read of 100 users beside one typed find of 100; an insert beside a find-and-modify that sets a member
//! unless it is there, written by hand. All with majorities and the same pool.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example that stops says why")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, ReturnDocument, WriteConcern};
use mongodb::{Client, Collection};
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Call, Entry, EpochCheck, Expiry, Key, Namespace, Read, Revision,
    Subject, SystemClock, Ttl, UserId, Value,
};
use stickystore_mongodb::{Config, MongodbStore};

const CALLS: usize = 3_200;
const ROUNDS: usize = 4;
const BATCH: usize = 100;
const POOL: u32 = 64;
const VALUE: &str = "{\"variation_id\":\"18446744073709551616\"}";
const LIFE: Duration = Duration::from_secs(3_600);

#[derive(Debug, serde::Deserialize)]
struct Bare {
    entries: HashMap<String, Member>,
}

#[derive(Debug, serde::Deserialize)]
struct Member {
    value: String,
}

#[tokio::main]
async fn main() {
    let url = std::env::var("STICKYSTORE_MONGODB_URL").unwrap_or_else(|_| "mongodb://127.0.0.1".to_owned());
    let config = Config::from_url(&url).unwrap().with_collection("figures").unwrap();
    let store = MongodbStore::connect(&config, within()).await.unwrap();
    let mut options = ClientOptions::parse(&url).await.unwrap();
    options.max_pool_size = Some(POOL);
    options.write_concern = Some(WriteConcern::majority());
    options.read_concern = Some(ReadConcern::majority());
    let bare: Collection<Bare> =
        Client::with_options(options).unwrap().database("stickystore").collection("bare");
    for callers in [1, 64] {
        println!("{callers} callers: microseconds, ours / bare = ratio (of each round)");
        let users: Vec<_> = (0..CALLS).map(|_| subject()).collect();
        for what in ["insert", "load of 5", "read of 100"] {
            let some = if what == "read of 100" { CALLS / 16 } else { CALLS };
            if what == "load of 5" {
                for user in &users {
                    fill(&store, &bare, user).await;
                }
            }
            let mut ratios = Vec::new();
            let (mut all_ours, mut all_theirs) = (Vec::new(), Vec::new());
            // In turn, so that what the machine does besides meets both.
            for round in users[..some].chunks(some / ROUNDS) {
                let batch = &users[..BATCH];
                let ours = time(callers, round, |user| our(what, store.clone(), user, batch.to_vec())).await;
                let theirs =
                    time(callers, round, |user| their(what, bare.clone(), user, batch.to_vec())).await;
                ratios.push(ratio(median(&ours), median(&theirs)));
                all_ours.extend(ours);
                all_theirs.extend(theirs);
            }
            let (ours, theirs) = (median(&all_ours), median(&all_theirs));
            println!(
                "{what:>12} {:>6} / {:>6} = {:.2} ({ratios:.2?})",
                ours.as_micros(),
                theirs.as_micros(),
                ratio(ours, theirs)
            );
        }
    }
}

async fn our(what: &'static str, store: MongodbStore, user: Subject, batch: Vec<Subject>) {
    match what {
        "insert" => {
            let inserted =
                store.insert(within(), &user, EpochCheck::Is(None), key(0), entry()).await.unwrap();
            assert_eq!(inserted, stickystore_core::Outcome::Inserted);
        }
        "load of 5" => assert_eq!(store.load(within(), &user).await.unwrap().len(), 5),
        _ => {
            let reads: Vec<_> = batch.into_iter().map(Read::all).collect();
            for profile in store.read(within(), &reads).await {
                assert_eq!(profile.unwrap().len(), 5);
            }
        }
    }
}

async fn their(what: &'static str, bare: Collection<Bare>, user: Subject, batch: Vec<Subject>) {
    match what {
        "insert" => {
            let member =
                doc! { "revision": Revision::random().to_string(), "expiry": i64::MAX, "value": VALUE };
            let set = doc! { "$set": { "entries.k0": { "$ifNull": ["$entries.k0", member] } } };
            let bare = bare.clone_with_type::<Document>();
            let before = bare
                .find_one_and_update(doc! { "_id": id(&user) }, vec![set])
                .upsert(true)
                .return_document(ReturnDocument::Before);
            assert_eq!(before.await.unwrap(), None);
        }
        "load of 5" => {
            let found = bare.find_one(doc! { "_id": id(&user) }).await.unwrap().unwrap();
            assert_eq!(found.entries.values().filter(|member| member.value == VALUE).count(), 5);
        }
        _ => {
            let ids: Vec<_> = batch.iter().map(id).collect();
            let found = bare.find(doc! { "_id": { "$in": ids } }).await.unwrap();
            let found: Vec<Bare> = found.try_collect().await.unwrap();
            assert!(found.len() == BATCH && found.iter().all(|user| user.entries.len() == 5));
        }
    }
}

/// Five entries for both.
async fn fill(store: &MongodbStore, bare: &Collection<Bare>, user: &Subject) {
    let change = |place| stickystore_core::Change::Put(key(place), entry());
    let write = stickystore_core::Write::new(user.clone(), EpochCheck::Ignore, (0..5).map(change).collect());
    store.write_one(within(), write.unwrap()).await;
    let member = doc! { "revision": Revision::random().to_string(), "expiry": i64::MAX, "value": VALUE };
    let entries: Document = (0..5).map(|place| (format!("k{place}"), member.clone().into())).collect();
    let set = doc! { "$set": { "entries": entries } };
    bare.update_one(doc! { "_id": id(user) }, set).upsert(true).await.unwrap();
}

/// How long each call takes, so many at a time.
async fn time<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    users: &[Subject],
    call: impl Fn(Subject) -> F,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(users.len());
    for group in users.chunks(callers) {
        let calls = group.iter().map(|user| {
            let call = call(user.clone());
            tokio::spawn(async move {
                let began = Instant::now();
                call.await;
                began.elapsed()
            })
        });
        for call in calls.collect::<Vec<_>>() {
            times.push(call.await.unwrap());
        }
    }
    times
}

fn id(user: &Subject) -> String {
    format!("{}:{}", user.namespace, user.user)
}

fn key(place: usize) -> Key {
    Key::new(format!("k{place}")).unwrap()
}

fn entry() -> Entry {
    let expiry = Expiry::after(within().now, Ttl::new(LIFE).unwrap()).unwrap();
    Entry::new(Value::new(VALUE).unwrap(), expiry)
}

fn within() -> Call {
    Call::within(&SystemClock, Duration::from_secs(30))
}

fn subject() -> Subject {
    Subject::new(Namespace::new("figures").unwrap(), UserId::new(Revision::random().to_string()).unwrap())
}

fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(ours: Duration, theirs: Duration) -> f64 {
    ours.as_secs_f64() / theirs.as_secs_f64()
}
