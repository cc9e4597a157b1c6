//! 500 callers of a paused MongoDB for a minute, alone in a process, so that what they leave in its memory can be told.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStoreExt as _, Call, Clock as _, Entry, EpochCheck, Erase, ErrorKind, Expiry, Key, Namespace,
    Subject, SystemClock, UserId, Value,
};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::mongodb::MongoDb;
use stickystore_mongodb::{Config, MongodbStore};

const CALLERS: usize = 500;

/// How long they call.
const A_MINUTE: Duration = Duration::from_secs(60);

/// The deadline of each call.
const DEADLINE: Duration = Duration::from_millis(300);

/// How much later than its deadline a call may be seen to end, where 500 end at once on a machine that has others to serve.
const SEEN_WITHIN: Duration = Duration::from_secs(4);

/// After so many rounds, whatever grows only once has grown.
const WARM: usize = 20;

/// How many operations there are at most at the same time, unless the URL says otherwise.
const POOL: usize = 64;

/// What allocators may keep besides.
const SLACK_KIB: usize = 24 << 10;

/// What this process has in memory, in KiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn within(time: Duration) -> Call {
    Call::within(&SystemClock, time)
}

/// One call of the kind that its number says.
async fn ask(store: &MongodbStore, subject: &Subject, number: usize) -> stickystore_core::Result<()> {
    let key = Key::new("k").unwrap();
    match number % 3 {
        0 => store.load(within(DEADLINE), subject).await.map(drop),
        1 => {
            let entry = Entry::new(Value::string("v"), Expiry::Never);
            store.insert(within(DEADLINE), subject, EpochCheck::Is(None), key, entry).await.map(drop)
        }
        _ => {
            let erase = Erase::new(subject.clone(), SystemClock.now());
            store.erase_one(within(DEADLINE), erase).await.map(drop)
        }
    }
}

#[tokio::test]
async fn callers_of_a_paused_server_end_at_their_deadlines_for_a_minute_and_nothing_grows() {
    let server = match MongoDb::start(&[]) {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    let store = MongodbStore::new(&Config::from_url(&server.url()).unwrap()).unwrap();
    let subject = Subject::new(Namespace::new("n").unwrap(), UserId::new("ann").unwrap());
    let patient = || within(Duration::from_secs(60));
    store.load(patient(), &subject).await.unwrap();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (before, mut warm) = (tasks(), None);
    server.pause(0);
    let (began, mut rounds) = (Instant::now(), 0);
    while began.elapsed() < A_MINUTE || rounds < 2 * WARM {
        let calls = (0..CALLERS).map(|number| {
            let (store, subject) = (store.clone(), subject.clone());
            tokio::spawn(async move {
                let began = Instant::now();
                (ask(&store, &subject, number).await, began.elapsed())
            })
        });
        for call in calls.collect::<Vec<_>>() {
            let (answer, took) = call.await.unwrap();
            let Err(error) = answer else { panic!("nobody is there to answer") };
            // Until the driver notices, and afterwards.
            assert!([ErrorKind::Timeout, ErrorKind::Unavailable].contains(&error.kind()), "{error}");
            assert!(took < DEADLINE + SEEN_WITHIN, "took {took:?}");
        }
        rounds += 1;
        // An operation and an attempt to connect for each place in the pool.
        assert!(tasks() <= before + 2 * POOL + 20, "{} tasks, {before} before", tasks());
        if rounds == WARM {
            warm = Some(memory());
        }
    }
    let (warm, now) = (warm.unwrap(), memory());
    println!(
        "{rounds} rounds of {CALLERS}: {} tasks, {before} before; {now} KiB, {warm} KiB before",
        tasks()
    );
    assert!(now <= warm + SLACK_KIB, "{now} KiB after {warm} KiB");
    server.resume(0);
    store.load(patient(), &subject).await.unwrap();
}
