//! What the store costs beside a bare connection, in the same run: `STICKYSTORE_MEMCACHED_URL=.. cargo run --release -p
//! stickystore-memcached --example memcached_figures`.
//!
//! One caller, then 64. Each figure is the processor time of a call in microseconds, ours and that of a get written by hand over
//! a connection of the caller's own, which judges nothing and looks into no value; for what writes, nothing stands beside it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example that stops says why")]

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use stickystore_core::{
    AsyncStoreExt as _, Call, Change, Entry, EpochCheck, Expiry, Key, Namespace, Outcome, Revision, Subject,
    SystemClock, Ttl, UserId, Value, Write,
};
use stickystore_memcached::{Config, MemcachedStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const CALLS: usize = 20_000;
const USERS: usize = 100;
const VALUE: &str = "{\"variation_id\":\"18446744073709551616\"}";
const LIFE: Duration = Duration::from_secs(3_600);

#[derive(Debug, Clone, Copy)]
enum What {
    Load(usize),
    Get,
    AssignExisting,
    AssignNew,
    Put,
}

#[tokio::main]
async fn main() {
    let url =
        std::env::var("STICKYSTORE_MEMCACHED_URL").unwrap_or_else(|_| "memcache://127.0.0.1".to_owned());
    let only = std::env::args().nth(1);
    let store = MemcachedStore::connect(&Config::from_url(&url).unwrap(), within()).await.unwrap();
    let whats = [1, 5, 50, 500].map(What::Load).into_iter().chain([
        What::Get,
        What::AssignExisting,
        What::AssignNew,
        What::Put,
    ]);
    let whats: Vec<_> =
        whats.filter(|what| only.as_ref().is_none_or(|only| *only == format!("{what:?}"))).collect();
    for callers in [1, 64] {
        println!("{callers} callers: processor time in microseconds, ours / bare get");
        for what in &whats {
            let users: Vec<_> = (0..USERS).map(|_| subject()).collect();
            let entries = what.entries();
            for user in &users {
                let changes = (0..entries).map(|place| Change::Put(key(place), entry()));
                let write = Write::new(user.clone(), EpochCheck::Ignore, changes.collect()).unwrap();
                store.write_one(within(), write).await.into_iter().for_each(|put| drop(put.unwrap()));
            }
            let (calls, what, users) = (CALLS / entries.div_ceil(50), *what, Arc::new(users));
            let ours = time(callers, calls, |of| {
                let (store, users) = (store.clone(), Arc::clone(&users));
                async move {
                    for i in of {
                        what.ours(&store, &users[i % USERS], i).await;
                    }
                }
            });
            let ours = ours.await;
            let theirs = time(callers, calls, |of| {
                let (place, users) = (store.server_of(&users[0]).to_owned(), Arc::clone(&users));
                async move {
                    let mut bare = TcpStream::connect(place).await.unwrap();
                    bare.set_nodelay(true).unwrap();
                    for i in of {
                        get(&mut bare, &MemcachedStore::storage_key(&users[i % USERS])).await;
                    }
                }
            });
            println!("{:>16} {ours:>8.1} / {:>6.1}", format!("{what:?}"), theirs.await);
        }
    }
}

impl What {
    /// How many entries its users have.
    fn entries(self) -> usize {
        match self {
            Self::Load(entries) => entries,
            Self::Get => 1_000,
            _ => 5,
        }
    }

    async fn ours(self, store: &MemcachedStore, user: &Subject, i: usize) {
        let key = key(i % self.entries());
        match self {
            Self::Load(entries) => assert_eq!(store.load(within(), user).await.unwrap().len(), entries),
            Self::Get => assert!(store.get(within(), user, &key).await.unwrap().is_some()),
            Self::AssignExisting => {
                let told = store.insert(within(), user, EpochCheck::Is(None), key, entry()).await.unwrap();
                assert!(matches!(told, Outcome::Kept(_)));
            }
            Self::AssignNew => {
                let told =
                    store.insert(within(), &subject(), EpochCheck::Is(None), key, entry()).await.unwrap();
                assert_eq!(told, Outcome::Inserted);
            }
            Self::Put => assert_eq!(store.put(within(), user, key, entry()).await.unwrap(), Outcome::Written),
        }
    }
}

/// The whole answer to a get of what stands there.
async fn get(bare: &mut TcpStream, key: &str) {
    bare.write_all(format!("mg {key} v\r\n").as_bytes()).await.unwrap();
    let mut arrived = Vec::with_capacity(16 << 10);
    let mut whole = usize::MAX;
    while arrived.len() < whole {
        bare.read_buf(&mut arrived).await.unwrap();
        if let Some(end) = arrived.iter().position(|byte| *byte == b'\n') {
            let head = std::str::from_utf8(&arrived[..end]).unwrap();
            let bytes: usize = head.trim_end().strip_prefix("VA ").unwrap().parse().unwrap();
            whole = end + 1 + bytes + 2;
        }
    }
}

/// The processor time of one of so many calls, in microseconds.
async fn time<F: Future<Output = ()> + Send + 'static>(
    callers: usize,
    calls: usize,
    call: impl Fn(Range<usize>) -> F,
) -> f64 {
    let each = calls / callers;
    let began = on_processor();
    let tasks = (0..callers).map(|caller| tokio::spawn(call(caller * each..(caller + 1) * each)));
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    (on_processor() - began).as_secs_f64() * 1e6 / (each * callers) as f64
}

/// How long our threads have been on a processor.
fn on_processor() -> Duration {
    let nanos = std::fs::read_dir("/proc/self/task").unwrap().map(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        stat.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanos.sum())
}

fn key(place: usize) -> Key {
    Key::new(format!("experiment {place}")).unwrap()
}

fn entry() -> Entry {
    let expiry = Expiry::after(within().now, Ttl::new(LIFE).unwrap()).unwrap();
    Entry::new(Value::new(VALUE).unwrap(), expiry)
}

fn within() -> Call {
    Call::within(&SystemClock, Duration::from_secs(60))
}

fn subject() -> Subject {
    Subject::new(Namespace::new("figures").unwrap(), UserId::new(Revision::random().to_string()).unwrap())
}
