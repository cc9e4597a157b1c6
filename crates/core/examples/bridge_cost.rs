//! What a call through `Blocking` costs: a round trip to an echo server on loopback, from each kind of caller, beside the
//! bare async call and beside the ways that `Blocking` does not take.
//!
//! `cargo run --release -p stickystore-core --features blocking --example bridge_cost`
#![expect(clippy::unwrap_used, reason = "an example that measures has nobody to answer to")]

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore, Blocking, Call, Erase, Error, ErrorKind, Outcome, Profile, Read, Result, Store, StoreInfo,
    SystemClock, Write, async_trait,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, mpsc, oneshot};

/// All ways are measured in turn, so many times, so that what else the machine does meets them alike.
const ROUNDS: usize = 20;

/// So many calls of each way in a round; a fifth more go before them, uncounted.
const CALLS: usize = 250;

fn main() {
    let server = echo_server();
    let ways = Ways { locked: Way::new(server, Link::locked), shared: Way::new(server, Link::shared) };
    let mut times = vec![[Vec::new(), Vec::new()]; ROWS.len()];
    for _ in 0..ROUNDS {
        for ((_, row), times) in ROWS.iter().zip(&mut times) {
            times[0].extend(row(&ways.locked));
            times[1].extend(row(&ways.shared));
        }
    }
    println!("microseconds a call, median of {}", ROUNDS * CALLS);
    println!("{:44} {:>10} {:>10}", "", "a locked", "a shared");
    println!("{:44} {:>10} {:>10}", "", "connection", "connection");
    for ((name, _), times) in ROWS.iter().zip(times) {
        let [locked, shared] = times.map(median);
        println!("{name:44} {locked:>10.1} {shared:>10.1}");
    }
}

/// How a call goes, and the times that it took.
type Row = fn(&Way) -> Vec<Duration>;

const ROWS: [(&str, Row); 9] = [
    ("bare async, in a task of its own runtime", |way| {
        let store = way.bare.clone();
        let calls = async move {
            let mut times = Vec::new();
            for _ in 0..CALLS + CALLS / 5 {
                let start = Instant::now();
                store.ping(call()).await.unwrap();
                times.push(start.elapsed());
            }
            times.split_off(CALLS / 5)
        };
        way.home.block_on(way.home.spawn(calls)).unwrap()
    }),
    ("Blocking, plain thread", |way| times(|| way.blocking.ping(call()))),
    ("Blocking, driven, plain thread", |way| times(|| way.driven.ping(call()))),
    ("Blocking, driven, task of a runtime", |way| {
        way.caller.block_on(async { times(|| way.driven.ping(call())) })
    }),
    ("Blocking, task of a multi-thread runtime", |way| {
        let blocking = way.blocking.clone();
        let task = way.callers.spawn(async move { times(|| blocking.ping(call())) });
        way.callers.block_on(task).unwrap()
    }),
    ("Blocking, task of a current-thread runtime", |way| {
        way.caller.block_on(async { times(|| way.blocking.ping(call())) })
    }),
    ("Blocking, spawn_blocking", |way| {
        let blocking = way.blocking.clone();
        let task = way.callers.spawn_blocking(move || times(|| blocking.ping(call())));
        way.callers.block_on(task).unwrap()
    }),
    ("not taken: block_on, plain thread", |way| times(|| way.home.block_on(way.bare.ping(call())))),
    ("not taken: block_in_place and block_on, task", |way| {
        let (store, home) = (way.bare.clone(), way.home.handle().clone());
        let call_in_place = move || tokio::task::block_in_place(|| home.block_on(store.ping(call())));
        way.callers.block_on(way.callers.spawn(async move { times(call_in_place) })).unwrap()
    }),
];

/// What the rows use, for each kind of connection.
struct Ways {
    locked: Way,
    shared: Way,
}

struct Way {
    /// The runtime on which `bare` lives, like the one that `Blocking` makes.
    home: Runtime,
    bare: Link,
    blocking: Blocking<Link>,
    driven: Blocking<Link>,
    /// Runtimes of callers.
    callers: Runtime,
    caller: Runtime,
}

impl Way {
    fn new<F>(server: SocketAddr, open: fn(TcpStream) -> F) -> Self
    where
        F: Future<Output = Link> + Send + 'static,
    {
        let connect = move || async move {
            let connection = TcpStream::connect(server).await.unwrap();
            connection.set_nodelay(true).unwrap();
            open(connection).await
        };
        let home = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self {
            bare: home.block_on(connect()),
            home,
            blocking: Blocking::open(move || async move { Ok(connect().await) }).unwrap(),
            driven: Blocking::open_driven(move || async move { Ok(connect().await) }).unwrap(),
            callers: Builder::new_multi_thread().worker_threads(2).build().unwrap(),
            caller: Builder::new_current_thread().build().unwrap(),
        }
    }
}

/// A store that can only be pinged: one byte there and back.
#[derive(Debug, Clone)]
enum Link {
    /// Each call has the connection to itself, as one out of a pool.
    Locked(std::sync::Arc<Mutex<TcpStream>>),
    /// A task has the connection, and all calls share it.
    Shared(mpsc::Sender<oneshot::Sender<()>>),
}

impl Link {
    async fn locked(connection: TcpStream) -> Self {
        Self::Locked(std::sync::Arc::new(Mutex::new(connection)))
    }

    async fn shared(mut connection: TcpStream) -> Self {
        let (asks, mut asked) = mpsc::channel::<oneshot::Sender<()>>(64);
        tokio::spawn(async move {
            let (mut replies, mut requests) = connection.split();
            let mut waiting = VecDeque::new();
            loop {
                tokio::select! {
                    Some(answer) = asked.recv() => {
                        waiting.push_back(answer);
                        requests.write_all(b"?").await.unwrap();
                    }
                    Ok(_) = replies.read_u8() => waiting.pop_front().unwrap().send(()).unwrap(),
                    else => return,
                }
            }
        });
        Self::Shared(asks)
    }
}

#[async_trait]
impl AsyncStore for Link {
    fn info(&self) -> &StoreInfo {
        const INFO: &StoreInfo = &StoreInfo::new("echo");
        INFO
    }

    async fn ping(&self, _: Call) -> Result<()> {
        match self {
            Self::Locked(connection) => {
                let mut connection = connection.lock().await;
                connection.write_all(b"?").await.unwrap();
                connection.read_u8().await.unwrap();
            }
            Self::Shared(asks) => {
                let (answer, answered) = oneshot::channel();
                asks.send(answer).await.unwrap();
                answered.await.unwrap();
            }
        }
        Ok(())
    }

    async fn read(&self, _: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        vec![Err(Error::new(ErrorKind::Unsupported, "it only echoes")); reads.len()]
    }

    async fn write(&self, _: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let refused = Err(Error::new(ErrorKind::Unsupported, "it only echoes"));
        writes.iter().map(|write| vec![refused.clone(); write.changes().len()]).collect()
    }

    async fn erase(&self, _: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        vec![Err(Error::new(ErrorKind::Unsupported, "it only echoes")); erases.len()]
    }

    async fn close(&self, _: Call) -> Result<()> {
        Ok(())
    }
}

fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            connection.set_nodelay(true).unwrap();
            std::thread::spawn(move || {
                let mut byte = [0];
                while connection.read_exact(&mut byte).is_ok() {
                    connection.write_all(&byte).unwrap();
                }
            });
        }
    });
    address
}

fn call() -> Call {
    Call::within(&SystemClock, Duration::from_secs(5))
}

fn times(mut ping: impl FnMut() -> Result<()>) -> Vec<Duration> {
    let mut timed = || {
        let start = Instant::now();
        ping().unwrap();
        start.elapsed()
    };
    for _ in 0..CALLS / 5 {
        timed();
    }
    (0..CALLS).map(|_| timed()).collect()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    middle.as_secs_f64() * 1e6
}
