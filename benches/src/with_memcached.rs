//! Memcached: beside the pool of the crate `memcache` (its meta client), with as many connections as there are callers.
//!
//! A load stands beside a get of a value of the same size, into which nobody looks; the batch is the crate's multiget. What
//! writes stands beside a get and a set under the item's compare-and-swap number, or an add where nothing is, which is what the
//! same promise needs; an assignment where one stands, beside a get alone. There is no batch of those.

use std::fmt::Write as _;
use std::time::Duration;

use futures::future::join_all;
use memcache::exp::{AsyncMetaClient, Get, Meta, MetaClientBuilder, Ttl};
use stickystore_core::{Revision, Subject};
use stickystore_memcached::{Config, MemcachedStore};

use crate::backend::{self, Rivals};
use crate::crowd::Crowd;
use crate::instead::Instead;
use crate::measure::Contender;
use crate::operation::Operation;
use crate::options::Options;
use crate::report::Report;
use crate::threads;
use crate::words::{LIFE, PATIENCE, VALUE, key, subject};

/// OpenDAL hands a life to the server as it is, who takes more than 30 days for a date that has passed: nothing would stay.
const SHORT_LIFE: Duration = Duration::from_secs(30 * 86_400);

/// OpenDAL leaves Nagle's algorithm on and writes a request in parts, so that each waits for the server's delayed
/// acknowledgement, 40 ms: how many times fewer operations its samples have, and over how many connections it is filled.
const SLOWER: usize = 100;
const FILLERS: usize = 100;

/// Of more users it is not asked: to fill them alone would take a quarter of an hour.
const MOST_USERS: usize = 10_000;

pub(crate) async fn report(options: &Options) -> Report {
    let config = Config::from_url(&options.url).expect("a URL of Memcached");
    let place = options.url.split_once("://").map_or("", |(_, place)| place).to_owned();
    let rivals = async || {
        let instead = || {
            let instead = opendal::services::Memcached::default().endpoint(&format!("tcp://{place}"));
            instead.default_ttl(SHORT_LIFE)
        };
        Bare {
            place: place.clone(),
            instead: Instead::new(instead()),
            filler: Instead::new(instead().connection_pool_max_size(FILLERS)),
        }
    };
    let open = || MemcachedStore::new(&config).expect("a store");
    backend::report(options, "memcached", open, threads::own(), rivals).await
}

/// The bare pool, one for each number of callers.
struct Bare {
    place: String,
    instead: Instead,
    /// The same with more connections.
    filler: Instead,
}

impl Rivals for Bare {
    async fn fill(&self, crowd: &Crowd) {
        let pool = self.pool(1).await;
        for user in crowd.parts().flatten() {
            pool.set(name(user), text(0, crowd.filled)).ttl(life()).send().await.expect("a set");
        }
        if crowd.len() <= MOST_USERS {
            self.filler.fill(crowd).await;
        }
    }

    async fn beside(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Vec<Contender> {
        let mut beside = vec![one(self.pool(callers).await, operation, callers, crowd)];
        match operation {
            Operation::Load(_) | Operation::Get => {
                beside.push(batch(self.pool(1).await, callers, crowd));
            }
            Operation::ReadMany => beside.push(many(self.pool(callers).await, callers, crowd)),
            _ => {}
        }
        if crowd.len() <= MOST_USERS {
            beside.push(self.instead.contender(operation, callers, crowd).slower(SLOWER));
        }
        beside
    }

    /// A connection for each thread.
    fn blocking(&self, operation: Operation, threads: usize, crowd: &Crowd) -> Contender {
        let pool = pool(threads).connect(self.place.clone()).expect("a pool");
        let crowd = crowd.clone();
        Contender::blocking("driver", threads, move |i, _| {
            let at = name(crowd.nth(i));
            if operation != Operation::Put {
                return assert!(pool.get(at).send().expect("a get").value.is_some());
            }
            loop {
                let found = pool.get(&at).meta(Meta::NONE.cas()).send().expect("a get");
                let cas = found.item.cas.expect("it was asked for");
                let set = pool.set(&at, text(i, crowd.filled)).ttl(life()).compare_cas(cas);
                if set.send().expect("a set").applied() {
                    return;
                }
            }
        })
    }
}

impl Bare {
    async fn pool(&self, callers: usize) -> AsyncMetaClient {
        pool(callers).connect_async(self.place.clone()).await.expect("a pool")
    }
}

/// All of its connections stay: it would make them anew with every burst.
fn pool(callers: usize) -> MetaClientBuilder {
    let pool = MetaClientBuilder::new().max_idle(callers).max_connections(Some(callers));
    pool.io_timeout(Some(PATIENCE)).connect_timeout(Some(PATIENCE))
}

fn one(pool: AsyncMetaClient, operation: Operation, callers: usize, crowd: &Crowd) -> Contender {
    let crowd = crowd.clone();
    Contender::new("driver", callers, move |i| {
        let (pool, crowd) = (pool.clone(), crowd.clone());
        async move {
            let at = name(crowd.nth(i));
            match operation {
                Operation::Load(_) | Operation::Get | Operation::AssignExisting => {
                    assert!(pool.get(at).send().await.expect("a get").value.is_some());
                }
                Operation::ReadMany => {
                    let found = join_all(crowd.many(i).map(|user| pool.get(name(user)).send())).await;
                    assert!(found.into_iter().all(|found| found.expect("a get").value.is_some()));
                }
                Operation::AssignNew | Operation::Save => {
                    let at = name(&subject());
                    assert!(!pool.get(&at).send().await.expect("a get").hit());
                    let add = pool.set(&at, text(i, operation.entries())).ttl(life()).add();
                    assert!(add.send().await.expect("an add").applied());
                }
                Operation::Put => swap(&pool, &at, text(i, crowd.filled)).await,
                Operation::Erase => swap(&pool, &at, format!(" 1 {} {i:013}", Revision::random())).await,
            }
        }
    })
}

/// Writes over what stands there, and again if somebody was faster.
async fn swap(pool: &AsyncMetaClient, at: &str, text: String) {
    loop {
        let found = pool.get(at).meta(Meta::NONE.cas()).send().await.expect("a get");
        assert!(found.value.is_some());
        let cas = found.item.cas.expect("it was asked for");
        let set = pool.set(at, &text).ttl(life()).compare_cas(cas);
        if set.send().await.expect("a set").applied() {
            return;
        }
    }
}

fn batch(pool: AsyncMetaClient, size: usize, crowd: &Crowd) -> Contender {
    let crowd = crowd.clone();
    Contender::batch(size, move |call| {
        let (pool, crowd) = (pool.clone(), crowd.clone());
        async move { multiget(&pool, (call * size..(call + 1) * size).map(|i| crowd.nth(i))).await }
    })
}

/// One multiget for each caller.
fn many(pool: AsyncMetaClient, callers: usize, crowd: &Crowd) -> Contender {
    let crowd = crowd.clone();
    Contender::new("batch", callers, move |i| {
        let (pool, crowd) = (pool.clone(), crowd.clone());
        async move { multiget(&pool, crowd.many(i)).await }
    })
}

async fn multiget<'a>(pool: &AsyncMetaClient, users: impl Iterator<Item = &'a Subject>) {
    let gets: Vec<_> = users.map(|user| Get::new(name(user))).collect();
    let all = pool.run_many(gets).await.expect("gets");
    assert!(all.iter().all(|one| one.as_ref().is_ok_and(|one| one.hit())));
}

fn name(user: &Subject) -> String {
    format!("bare:{}:{}", user.namespace, user.user)
}

/// As much as the store keeps.
fn text(i: usize, entries: usize) -> String {
    let mut text = String::new();
    for place in 0..entries {
        writeln!(text, "{} 1 {i:011} 1234567890123 {VALUE}", key(place)).expect("a String takes it");
    }
    text
}

fn life() -> Ttl {
    Ttl::secs(u32::try_from(LIFE.as_secs()).unwrap_or(u32::MAX))
}
