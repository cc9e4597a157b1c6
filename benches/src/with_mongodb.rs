//! MongoDB: beside the bare driver with majorities, typed documents and a pool of 64, as applications use it.
//!
//! A load stands beside a typed `find_one`, a get beside one with a projection; they judge neither expiry nor marks. The batch
//! is one find of as many users as there are callers. What writes stands beside the store's own pipeline, sent by hand as a
//! find-and-modify at majority whose answer is not judged; there is no batch of those.

use std::collections::HashMap;

use futures::TryStreamExt as _;
use futures::future::join_all;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use mongodb::options::{ClientOptions, ReadConcern, ReturnDocument, WriteConcern};
use mongodb::{Client, Collection, IndexModel};
use stickystore_core::{Erase, Limits, Subject, Write};
use stickystore_mongodb::{Config, MongodbStore};

use crate::backend::{self, Rivals};
use crate::crowd::Crowd;
use crate::instead::Instead;
use crate::measure::{Contender, Effort};
use crate::operation::{ENTRIES, Operation};
use crate::options::Options;
use crate::pipeline::{self, Run};
use crate::report::Report;
use crate::words::{VALUE, filling, key, putting, saving, subject, within};

/// How many times as long an operation takes as one of Redis, about.
const SLOWER: usize = 8;

const POOL: u32 = 64;

/// How long the store lets what expired stay.
const GRACE: std::time::Duration = std::time::Duration::from_secs(60);

#[derive(Debug, serde::Deserialize)]
struct User {
    entries: HashMap<String, Member>,
}

#[derive(Debug, serde::Deserialize)]
struct Member {
    value: String,
}

pub(crate) async fn report(options: &Options) -> Report {
    let config = Config::from_url(&options.url).expect("a URL of MongoDB");
    let open = || MongodbStore::new(&config).expect("a store");
    let options = Options { effort: Effort::divided(options.effort, SLOWER), ..options.clone() };
    backend::report(&options, "mongodb", open, &[], async || Bare::open(&options.url).await).await
}

/// The bare driver's collection.
#[derive(Clone)]
struct Bare {
    options: ClientOptions,
    users: Collection<User>,
    instead: Instead,
}

impl Rivals for Bare {
    async fn fill(&self, crowd: &Crowd) {
        for part in crowd.parts() {
            let fill = async |user| {
                self.modify(run(&filling(user, crowd.filled))).await;
            };
            join_all(part.iter().map(fill)).await;
        }
        self.instead.fill(crowd).await;
    }

    async fn beside(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Vec<Contender> {
        let mut beside = vec![self.one(operation, callers, crowd)];
        match operation {
            Operation::Load(_) => beside.push(self.batch(callers, crowd)),
            Operation::ReadMany => beside.push(self.many(callers, crowd)),
            _ => {}
        }
        beside.push(self.instead.contender(operation, callers, crowd));
        beside
    }

    fn blocking(&self, operation: Operation, threads: usize, crowd: &Crowd) -> Contender {
        let client = mongodb::sync::Client::with_options(self.options.clone()).expect("a client");
        let users = client.database("stickystore").collection::<User>("bare");
        let crowd = crowd.clone();
        Contender::blocking("driver", threads, move |i, _| {
            let (user, place) = (crowd.nth(i), i % crowd.filled);
            if operation != Operation::Put {
                let found = users.find_one(doc! { "_id": id(user) }).run().expect("a find");
                return assert_eq!(found.expect("a document").entries.len(), crowd.filled);
            }
            let run = run(&putting(user, place..place + 1));
            let users = users.clone_with_type::<RawDocumentBuf>();
            let modify = users.find_one_and_update(doc! { "_id": run.id }, run.pipeline);
            let modify = modify.projection(run.projection.unwrap_or_default()).upsert(run.creates);
            let modify = modify.return_document(ReturnDocument::Before);
            assert!(modify.run().expect("a find-and-modify").is_some());
        })
    }
}

impl Bare {
    async fn open(url: &str) -> Self {
        let mut bare = ClientOptions::parse(url).await.expect("a URL of MongoDB");
        bare.max_pool_size = Some(POOL);
        bare.write_concern = Some(WriteConcern::majority());
        bare.read_concern = Some(ReadConcern::majority());
        let database = Client::with_options(bare.clone()).expect("a client").database("stickystore");
        // Its service finds a user by an index that nobody makes: without one, each read would look through all.
        let index = IndexModel::builder().keys(doc! { "key": 1 }).build();
        let blobs = database.collection::<Document>("opendal");
        blobs.create_index(index).await.expect("an index");
        let instead = opendal::services::Mongodb::default().connection_string(url).database("stickystore");
        let instead = Instead::new(instead.collection("opendal").key_field("key").value_field("value"));
        Self { options: bare, users: database.collection("bare"), instead }
    }

    fn one(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd) = (self.clone(), crowd.clone());
        Contender::new("driver", callers, move |i| {
            let (bare, crowd) = (bare.clone(), crowd.clone());
            async move { bare.run(operation, &crowd, i).await }
        })
    }

    async fn run(&self, operation: Operation, crowd: &Crowd, i: usize) {
        let (user, place) = (crowd.nth(i), i % crowd.filled);
        let is_there = match operation {
            Operation::Load(entries) => return self.load(user, entries).await,
            Operation::ReadMany => {
                join_all(crowd.many(i).map(|user| self.load(user, ENTRIES))).await;
                return;
            }
            Operation::Get => {
                let member = format!("entries.{}", key(place));
                let find = self.users.find_one(doc! { "_id": id(user) }).projection(doc! { member: 1 });
                let found = find.await.expect("a find").expect("a document");
                return assert!(found.entries.into_values().all(|member| member.value == VALUE));
            }
            Operation::AssignNew => self.modify(run(&saving(&subject(), 0..1))).await,
            Operation::AssignExisting => self.modify(run(&saving(user, place..place + 1))).await,
            Operation::Put => self.modify(run(&putting(user, place..place + 1))).await,
            Operation::Save => self.modify(run(&saving(&subject(), 0..ENTRIES))).await,
            Operation::Erase => {
                let call = within();
                self.modify(pipeline::erasing(&Erase::new(user.clone(), call.now), call, GRACE)).await
            }
        };
        assert_eq!(is_there, !matches!(operation, Operation::AssignNew | Operation::Save));
    }

    async fn load(&self, user: &Subject, entries: usize) {
        let found = self.users.find_one(doc! { "_id": id(user) }).await.expect("a find").expect("a document");
        assert_eq!(found.entries.into_values().filter(|member| member.value == VALUE).count(), entries);
    }

    /// Runs a pipeline of the store's; whether there was a document.
    async fn modify(&self, run: Run) -> bool {
        let bare = self.users.clone_with_type::<RawDocumentBuf>();
        let mut modify = bare.find_one_and_update(doc! { "_id": run.id }, run.pipeline);
        if let Some(projection) = run.projection {
            modify = modify.projection(projection);
        }
        let modify = modify.upsert(run.creates).return_document(ReturnDocument::Before);
        modify.await.expect("a find-and-modify").is_some()
    }

    fn batch(&self, size: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd) = (self.clone(), crowd.clone());
        Contender::batch(size, move |call| {
            let (bare, crowd) = (bare.clone(), crowd.clone());
            async move {
                let users = (call * size..(call + 1) * size).map(|i| crowd.nth(i));
                bare.find(users, crowd.filled).await;
            }
        })
    }

    /// One find for each caller.
    fn many(&self, callers: usize, crowd: &Crowd) -> Contender {
        let (bare, crowd) = (self.clone(), crowd.clone());
        Contender::new("batch", callers, move |i| {
            let (bare, crowd) = (bare.clone(), crowd.clone());
            async move { bare.find(crowd.many(i), crowd.filled).await }
        })
    }

    async fn find(&self, users: impl Iterator<Item = &Subject>, entries: usize) {
        let ids: Vec<Bson> = users.map(|user| id(user).into()).collect();
        let found = self.users.find(doc! { "_id": { "$in": ids } }).await.expect("a find");
        let found: Vec<User> = found.try_collect().await.expect("documents");
        assert!(!found.is_empty() && found.iter().all(|user| user.entries.len() == entries));
    }
}

/// What the store would send.
fn run(write: &Write) -> Run {
    pipeline::plan(write, within(), GRACE, Limits::default()).run()
}

fn id(user: &Subject) -> String {
    crate::layout::id(user)
}
