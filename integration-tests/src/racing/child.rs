//! What the program `racer` does: one order from each line of its input, lines that answer it, and then [`END`].
//!
//! `insert <user> <tasks>` · `count <user> <tasks> <turns or for-ever>` · `write <user> <tasks> <keys> [<epoch>]` ·
//! `erase <user> <epoch>` · `stop`, which ends a count.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use stickystore_core::{
    AsyncStore, AsyncStoreExt as _, Change, Clock as _, Entry, Epoch, EpochCheck, Erase, Expiry, Namespace,
    Outcome, Subject, SystemClock, Value, Write, codec,
};
use tokio::sync::{Barrier, mpsc};

use super::{call, key, open, subject};

/// What is said once the store has reached its server.
pub(super) const READY: &str = "ready";

/// What is said after the answers to an order.
pub(super) const END: &str = "end";

/// Races over the store of the first argument, in the namespace of the second, until its input ends.
///
/// # Panics
/// At whatever should not happen; the message says what.
pub fn child() {
    let [url, namespace] = [1, 2].map(|at| std::env::args().nth(at).expect("racer <url> <namespace>"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (give, mut orders) = mpsc::unbounded_channel();
    let is_stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_stopped);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if line == "stop" {
                stop.store(true, Ordering::SeqCst);
            } else if give.send(line).is_err() {
                return;
            }
        }
    });
    runtime.block_on(async {
        let store = open(&url);
        store.ping(call()).await.unwrap();
        say(READY);
        let place = Place { store, namespace: Namespace::new(namespace).unwrap(), is_stopped };
        while let Some(order) = orders.recv().await {
            place.obey(&order.split(' ').collect::<Vec<_>>()).await;
            say(END);
        }
    });
}

#[derive(Clone)]
struct Place {
    store: Arc<dyn AsyncStore>,
    namespace: Namespace,
    is_stopped: Arc<AtomicBool>,
}

impl Place {
    async fn obey(&self, order: &[&str]) {
        let user = |user: &str| subject(&self.namespace, &format!("user {user}"));
        let number = |text: &str| text.parse::<usize>().unwrap();
        match *order {
            ["insert", name, tasks] => self.at_once(number(tasks), user(name), Self::insert).await,
            ["count", name, tasks, turns] => {
                let turns = if turns == "for-ever" { usize::MAX } else { number(turns) };
                let count = move |place: Self, user, _| place.count(user, turns);
                self.at_once(number(tasks), user(name), count).await;
            }
            ["write", name, tasks, keys, ref epoch @ ..] => {
                let epoch = epoch.first().map(|epoch| Epoch::parse(epoch).unwrap());
                let keys = number(keys);
                let write = move |place: Self, user, task| place.write(user, task, keys, epoch);
                self.at_once(number(tasks), user(name), write).await;
            }
            ["erase", name, epoch] => {
                let mark_until = SystemClock.now().saturating_add(Erase::MARK_LIFE);
                let erase = Erase::new(user(name), mark_until)
                    .with_epoch(Epoch::parse(epoch).unwrap())
                    .with_mark_until(mark_until);
                say(&self.store.erase_one(call(), erase).await.unwrap().to_string());
            }
            _ => panic!("no order: {order:?}"),
        }
    }

    /// Runs so many tasks, which begin together.
    async fn at_once<F>(&self, tasks: usize, user: Subject, work: impl Fn(Self, Subject, usize) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let start = Arc::new(Barrier::new(tasks));
        let spawn = |task| {
            let (start, work) = (Arc::clone(&start), work(self.clone(), user.clone(), task));
            tokio::spawn(async move {
                start.wait().await;
                work.await;
            })
        };
        for task in (0..tasks).map(spawn).collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }

    async fn insert(self, user: Subject, task: usize) {
        let mine = entry(&format!("{}-{task}", std::process::id()));
        let answer = self.store.insert(call(), &user, EpochCheck::Is(None), key("k"), mine.clone()).await;
        match answer.unwrap() {
            Outcome::Inserted => say(&format!("inserted {}", codec::encode(&mine))),
            Outcome::Kept(entry) => say(&format!("kept {}", codec::encode(&entry))),
            other => panic!("an insert is answered {other:?}"),
        }
    }

    async fn count(self, user: Subject, turns: usize) {
        for _ in 0..turns {
            loop {
                if self.is_stopped.load(Ordering::SeqCst) {
                    return;
                }
                let read = self.store.get(call(), &user, &key("k")).await.unwrap().expect("it stands");
                let next = read.value.as_str().parse::<usize>().unwrap() + 1;
                let entry = Entry::new(Value::new(next.to_string()).unwrap(), Expiry::Never);
                match self.store.replace(call(), &user, key("k"), read.revision, entry).await.unwrap() {
                    Outcome::Replaced => {
                        say(&next.to_string());
                        break;
                    }
                    Outcome::Kept(_) => {}
                    other => panic!("a replacement is answered {other:?}"),
                }
            }
        }
    }

    async fn write(self, user: Subject, task: usize, keys: usize, epoch: Option<Epoch>) {
        let insert = |at| Change::Insert(key(&format!("{task}-{at}")), entry(&format!("{task}")));
        let write = Write::new(user, EpochCheck::Is(epoch), (0..keys).map(insert).collect()).unwrap();
        let outcomes = self.store.write_one(call(), write).await.into_iter();
        let outcomes: Vec<_> = outcomes.map(|outcome| format!("{:?}", outcome.unwrap())).collect();
        say(&outcomes.join(" "));
    }
}

fn entry(value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::Never)
}

/// One line, whole and at once. It ends the process if nobody listens any more.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
