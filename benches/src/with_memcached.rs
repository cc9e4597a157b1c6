//! Memcached: beside the pool of the crate `memcache` (its meta client), with as many connections as there are callers.
//!
//! A load stands beside a get of a value of the same size, into which nobody looks; the batch is the crate's multiget. A put
//! stands beside a get and a set under the item's compare-and-swap number, which is what the same promise needs. There is no
//! batch of those.

use std::sync::Arc;
use std::time::Duration;

use memcache::exp::{AsyncMetaClient, Get, Meta, MetaClientBuilder, Ttl};
use stickystore_core::Subject;
use stickystore_memcached::{Config, MemcachedStore};

use crate::Options;
use crate::measure::Contender;
use crate::ours::{self, ENTRIES};
use crate::rows::Row;
use crate::words::{LIFE, VALUE, key, nth, users};

/// Far longer than it takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn rows(options: &Options) -> Vec<Row> {
    let store =
        MemcachedStore::new(&Config::from_url(&options.url).expect("a URL of Memcached")).expect("a store");
    let users = users(options.users);
    ours::fill(&store, &users).await;
    let place = options.url.split_once("://").map_or("", |(_, place)| place).to_owned();
    let filled = pool(&place, 1).await;
    for user in users.iter() {
        filled.set(name(user), text(0)).ttl(life()).send().await.expect("a set");
    }
    ours::rows(options, "memcached", &["load", "put with TTL"], &store, &users, async |operation, callers| {
        let mut theirs = vec![one(pool(&place, callers).await, operation, callers, &users)];
        if operation == "load" {
            theirs.push(batch(pool(&place, 1).await, callers, &users));
        }
        theirs
    })
    .await
}

/// All of its connections stay: it would make them anew with every burst.
async fn pool(place: &str, callers: usize) -> AsyncMetaClient {
    let pool = MetaClientBuilder::new().max_idle(callers).max_connections(Some(callers));
    let pool = pool.io_timeout(Some(PATIENCE)).connect_timeout(Some(PATIENCE));
    pool.connect_async(place.to_owned()).await.expect("a pool")
}

fn one(
    pool: AsyncMetaClient,
    operation: &'static str,
    callers: usize,
    users: &Arc<Vec<Subject>>,
) -> Contender {
    let users = Arc::clone(users);
    Contender::new("driver", callers, move |i| {
        let (pool, at) = (pool.clone(), name(nth(&users, i)));
        async move {
            if operation == "load" {
                assert!(pool.get(at).send().await.expect("a get").value.is_some());
                return;
            }
            loop {
                let found = pool.get(&at).meta(Meta::NONE.cas()).send().await.expect("a get");
                assert!(found.value.is_some());
                let cas = found.item.cas.expect("it was asked for");
                let set = pool.set(&at, text(i)).ttl(life()).compare_cas(cas);
                if set.send().await.expect("a set").applied() {
                    return;
                }
            }
        }
    })
}

fn batch(pool: AsyncMetaClient, size: usize, users: &Arc<Vec<Subject>>) -> Contender {
    let users = Arc::clone(users);
    Contender::batch(size, move |call| {
        let (pool, users) = (pool.clone(), Arc::clone(&users));
        async move {
            let gets = (call * size..(call + 1) * size).map(|i| Get::new(name(nth(&users, i))));
            let all = pool.run_many(gets).await.expect("gets");
            assert!(all.len() == size && all.iter().all(|one| one.as_ref().is_ok_and(|one| one.hit())));
        }
    })
}

fn name(user: &Subject) -> String {
    format!("bare:{}:{}", user.namespace, user.user)
}

/// As much as the store keeps.
fn text(i: usize) -> String {
    (0..ENTRIES).map(|place| format!("{} {i:011} 1234567890123 {VALUE}\n", key(place))).collect()
}

fn life() -> Ttl {
    Ttl::secs(u32::try_from(LIFE.as_secs()).unwrap_or(u32::MAX))
}
