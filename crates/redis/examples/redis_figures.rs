//! What the store costs beside the bare driver, in the same run: `STICKYSTORE_REDIS_URL=.. cargo run --release -p
//! stickystore-redis --example redis_figures`.
//!
//! One caller, then 64. Each figure is the median time of a call in microseconds, ours and the driver's, and how ours
//! compares. A load of five entries stands beside a bare HGETALL, which judges neither expiry nor marks; an insert beside a
//! script that sets a field unless it is there, by EVALSHA, and one PEXPIRE, written by hand. Both over one multiplexed
//! connection with TCP_NODELAY.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "an example that stops says why")]

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use stickystore_core::{
    AsyncStoreExt as _, Call, Entry, EpochCheck, Expiry, Key, Namespace, Revision, Subject, SystemClock, Ttl,
    UserId, Value,
};
use stickystore_redis::{Config, RedisStore};

const CALLS: usize = 6_400;
const ROUNDS: usize = 4;
const VALUE: &str = "{\"variation_id\":\"18446744073709551616\"}";
const LIFE: Duration = Duration::from_secs(3_600);

/// The least that sets a field unless it is there, and lets the user go one day.
const INSERT: &str = "local set = redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) \
    if set == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end return set";

#[tokio::main]
async fn main() {
    let url = std::env::var("STICKYSTORE_REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1".to_owned());
    let store = RedisStore::connect(&Config::from_url(&url).unwrap(), within()).await.unwrap();
    let bare = Bare::open(&url).await;
    for callers in [1, 64] {
        println!("{callers} callers: microseconds, ours / bare = ratio (of each round)");
        let users: Vec<_> = (0..CALLS).map(|_| subject()).collect();
        for what in ["insert", "load of 5"] {
            if what == "load of 5" {
                for user in &users {
                    fill(&store, &bare, user).await;
                }
            }
            let mut ratios = Vec::new();
            let (mut all_ours, mut all_theirs) = (Vec::new(), Vec::new());
            // In turn, so that what the machine does besides meets both.
            for users in users.chunks(CALLS / ROUNDS) {
                let ours = time(callers, users, |user| our(what, store.clone(), user)).await;
                let theirs = time(callers, users, |user| bare.their(what, user)).await;
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

#[derive(Clone)]
struct Bare {
    connection: MultiplexedConnection,
    insert: String,
}

impl Bare {
    async fn open(url: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let mut info = client.get_connection_info().clone();
        info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let client = redis::Client::open(info).unwrap();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
        let insert = redis::cmd("SCRIPT").arg("LOAD").arg(INSERT).query_async(&mut connection).await.unwrap();
        Self { connection, insert }
    }

    fn their(&self, what: &'static str, user: Subject) -> impl Future<Output = ()> + Send + 'static {
        let Self { mut connection, insert } = self.clone();
        async move {
            let key = bare_key(&user);
            if what == "insert" {
                let mut command = redis::cmd("EVALSHA");
                command.arg(insert).arg(1).arg(key).arg("k0").arg(VALUE).arg(LIFE.as_millis() as u64);
                let set: i64 = command.query_async(&mut connection).await.unwrap();
                assert_eq!(set, 1);
            } else {
                let fields: HashMap<String, String> =
                    redis::cmd("HGETALL").arg(key).query_async(&mut connection).await.unwrap();
                assert_eq!(fields.len(), 5);
            }
        }
    }
}

async fn our(what: &'static str, store: RedisStore, user: Subject) {
    if what == "insert" {
        let inserted = store.insert(within(), &user, EpochCheck::Is(None), key(0), entry()).await.unwrap();
        assert_eq!(inserted, stickystore_core::Outcome::Inserted);
    } else {
        assert_eq!(store.load(within(), &user).await.unwrap().len(), 5);
    }
}

/// Five entries for both.
async fn fill(store: &RedisStore, bare: &Bare, user: &Subject) {
    for place in 0..5 {
        store.put(within(), user, key(place), entry()).await.unwrap();
        let mut set = redis::cmd("HSET");
        set.arg(bare_key(user)).arg(format!("k{place}")).arg(VALUE);
        set.exec_async(&mut bare.connection.clone()).await.unwrap();
    }
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

fn bare_key(user: &Subject) -> String {
    format!("bare:{}:{}", user.namespace, user.user)
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
