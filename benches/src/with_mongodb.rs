//! MongoDB: beside the bare driver with majorities, typed documents and a pool of 64, as applications use it.
//!
//! A load stands beside a typed `find_one`, which judges neither expiry nor marks; the batch is one find of as many users as
//! there are callers. A put stands beside a find-and-modify that sets one member; there is no batch of those.

use std::collections::HashMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::options::{ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Collection};
use stickystore_core::{Revision, Subject};
use stickystore_mongodb::{Config, MongodbStore};

use crate::Options;
use crate::measure::{Contender, Effort};
use crate::ours::{self, ENTRIES};
use crate::rows::Row;
use crate::words::{VALUE, nth, users};

/// How many times as long an operation takes as one of Redis, about.
const SLOWER: usize = 8;

const POOL: u32 = 64;

#[derive(Debug, serde::Deserialize)]
struct Bare {
    entries: HashMap<String, Member>,
}

#[derive(Debug, serde::Deserialize)]
struct Member {
    value: String,
}

pub(crate) async fn rows(options: &Options) -> Vec<Row> {
    let config = Config::from_url(&options.url).expect("a URL of MongoDB");
    let store = MongodbStore::new(&config).expect("a store");
    let users = users(options.users);
    ours::fill(&store, &users).await;
    let mut bare = ClientOptions::parse(&options.url).await.expect("a URL of MongoDB");
    bare.max_pool_size = Some(POOL);
    bare.write_concern = Some(WriteConcern::majority());
    bare.read_concern = Some(ReadConcern::majority());
    let bare: Collection<Bare> =
        Client::with_options(bare).expect("a client").database("stickystore").collection("bare");
    let documents: Vec<Document> =
        users.iter().map(|user| doc! { "_id": name(user), "entries": members() }).collect();
    bare.clone_with_type().insert_many(documents).await.expect("inserts");
    let options = Options { effort: Effort::divided(options.effort, SLOWER), ..options.clone() };
    ours::rows(&options, "mongodb", &["load", "put with TTL"], &store, &users, async |operation, callers| {
        let mut theirs = vec![one(&bare, operation, callers, &users)];
        if operation == "load" {
            theirs.push(batch(&bare, callers, &users));
        }
        theirs
    })
    .await
}

fn one(
    bare: &Collection<Bare>,
    operation: &'static str,
    callers: usize,
    users: &Arc<Vec<Subject>>,
) -> Contender {
    let (bare, users) = (bare.clone(), Arc::clone(users));
    Contender::new("driver", callers, move |i| {
        let (bare, id) = (bare.clone(), name(nth(&users, i)));
        async move {
            if operation == "load" {
                let found = bare.find_one(doc! { "_id": id }).await.expect("a find").expect("a document");
                assert_eq!(found.entries.values().filter(|member| member.value == VALUE).count(), ENTRIES);
            } else {
                let mut set = Document::new();
                set.insert(format!("entries.k{}", i % ENTRIES), member());
                let bare = bare.clone_with_type::<Document>();
                let before = bare.find_one_and_update(doc! { "_id": id }, doc! { "$set": set });
                assert!(before.await.expect("a find-and-modify").is_some());
            }
        }
    })
}

fn batch(bare: &Collection<Bare>, size: usize, users: &Arc<Vec<Subject>>) -> Contender {
    let (bare, users) = (bare.clone(), Arc::clone(users));
    Contender::batch(size, move |call| {
        let (bare, users) = (bare.clone(), Arc::clone(&users));
        async move {
            let ids: Vec<_> = (call * size..(call + 1) * size).map(|i| name(nth(&users, i))).collect();
            let found = bare.find(doc! { "_id": { "$in": ids } }).await.expect("a find");
            let found: Vec<Bare> = found.try_collect().await.expect("documents");
            assert!(!found.is_empty() && found.iter().all(|user| user.entries.len() == ENTRIES));
        }
    })
}

fn members() -> Document {
    (0..ENTRIES).map(|place| (format!("k{place}"), member().into())).collect()
}

fn member() -> Document {
    doc! { "revision": Revision::random().to_string(), "expiry": i64::MAX, "value": VALUE }
}

fn name(user: &Subject) -> String {
    format!("{}:{}", user.namespace, user.user)
}
