//! Races between processes over one database: the claims, for every store that processes share. A store adds its line to
//! [`open`], and a test for each claim.
//!
//! What a process does is in `child`, how it is told to in `racer`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use stickystore_core::{
    AsyncStore, Blocking, Call, Entry, Epoch, Expiry, Key, Namespace, Profile, Revision, StoreExt as _,
    Subject, SystemClock, UserId, Value,
};
use stickystore_memcached::MemcachedStore;
use stickystore_mongodb::MongodbStore;
use stickystore_redis::{Config, RedisStore};

mod child;
mod racer;

pub use child::child;
use racer::Racer;

/// How long a call may take: much longer than it does, also where many share the machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many tasks of each process race.
const TASKS: usize = 32;

/// How often a race is run at least.
const ROUNDS: usize = 10;

/// How often it is run at most until its processes have met: on a machine with one core they often do not.
const MOST_ROUNDS: usize = 2_000;

/// The counters of each process, and how far each counts.
const COUNTERS: usize = 8;
const COUNTS: usize = 25;

/// What a process has to have done before another one is killed, and after that.
const SOME: usize = 20;

/// How many entries one write of a race has.
const KEYS: usize = 4;

/// The store that a URL names.
///
/// # Panics
/// If none has its scheme that processes could share.
pub fn open(url: &str) -> Arc<dyn AsyncStore> {
    match url.split(':').next().unwrap() {
        "redis" | "rediss" | "redis+unix" => {
            Arc::new(RedisStore::new(&Config::from_url(url).unwrap()).unwrap())
        }
        "memcache" | "memcaches" | "memcache+unix" => {
            let config = stickystore_memcached::Config::from_url(url).unwrap();
            Arc::new(MemcachedStore::new(&config).unwrap())
        }
        "mongodb" | "mongodb+srv" => {
            let config = stickystore_mongodb::Config::from_url(url).unwrap();
            Arc::new(MongodbStore::new(&config).unwrap())
        }
        scheme => panic!("processes share no store of the scheme {scheme:?}"),
    }
}

/// Two processes over one database, and a third that looks on: this one.
#[derive(Debug)]
pub struct Race {
    /// The program `racer`, and what it is told.
    program: &'static str,
    url: String,
    namespace: Namespace,
    store: Blocking<Arc<dyn AsyncStore>>,
}

impl Race {
    /// A race over what this URL names, in a namespace of its own; `program` is where `racer` is.
    ///
    /// # Panics
    /// As [`open`].
    pub fn new(program: &'static str, url: &str) -> Self {
        let opened = url.to_owned();
        let store = Blocking::open(move || async move { Ok(open(&opened)) }).unwrap();
        let namespace = Namespace::new(format!("race/{}", Revision::random())).unwrap();
        Self { program, url: url.to_owned(), namespace, store }
    }

    /// Of all inserts of one entry, in both processes, one wins, and everybody else is told its very entry.
    ///
    /// # Panics
    /// If that does not hold.
    pub fn one_insert_wins(&self) {
        let mut racers = [self.start(), self.start()];
        let mut winners = HashSet::new();
        for round in 0..MOST_ROUNDS {
            let user = format!("user {round}");
            let answers = together(&mut racers, |_| format!("insert {round} {TASKS}"));
            let told: Vec<_> = answers.iter().flatten().map(|line| line.split_once(' ').unwrap()).collect();
            assert_eq!(told.len(), 2 * TASKS);
            let inserted: Vec<_> = told.iter().filter(|(outcome, _)| *outcome == "inserted").collect();
            assert_eq!(inserted.len(), 1, "one insert wins: {told:?}");
            let entries: BTreeSet<_> = told.iter().map(|(_, entry)| *entry).collect();
            assert_eq!(entries.len(), 1, "everybody is told the winner's entry: {told:?}");
            let profile = self.load(&user);
            let stands = profile.get("k").map(stickystore_core::codec::encode);
            assert_eq!((profile.len(), stands.as_deref()), (1, Some(inserted[0].1)), "it stands");
            winners.insert(answers.iter().position(|lines| lines.iter().any(|line| line.starts_with("ins"))));
            if round >= ROUNDS && winners.len() == racers.len() {
                return;
            }
        }
        panic!("the processes never met: one won {MOST_ROUNDS} times");
    }

    /// Replacements that name what they read lose no count, in whichever process.
    ///
    /// # Panics
    /// If that does not hold.
    pub fn counters_lose_nothing(&self) {
        let mut racers = [self.start(), self.start()];
        self.put("user 0", "0");
        let answers = together(&mut racers, |_| format!("count 0 {COUNTERS} {COUNTS}"));
        let mut reached: Vec<usize> = answers.iter().flatten().map(|line| line.parse().unwrap()).collect();
        reached.sort_unstable();
        let last = 2 * COUNTERS * COUNTS;
        assert_eq!(reached, (1..=last).collect::<Vec<_>>(), "every number was reached once");
        assert_eq!(self.number("user 0"), last);
    }

    /// One process writes, another erases: each write is whole or gone, and after the erase there is nothing that was
    /// written without knowing of it.
    ///
    /// # Panics
    /// If that does not hold.
    pub fn an_erase_leaves_nothing_of_before(&self) {
        let mut racers = [self.start(), self.start()];
        let mut have_met = false;
        for round in 0..MOST_ROUNDS {
            let (user, epoch) = (format!("user {round}"), Epoch::random());
            let [writer, eraser] = &mut racers;
            // Either begins, in turns.
            if round % 2 == 0 {
                writer.tell(&format!("write {round} {TASKS} {KEYS}"));
            }
            eraser.tell(&format!("erase {round} {epoch}"));
            if round % 2 == 1 {
                writer.tell(&format!("write {round} {TASKS} {KEYS}"));
            }
            let mut profile = self.load(&user);
            while profile.epoch().is_none() {
                assert_whole(&profile);
                profile = self.load(&user);
            }
            assert_eq!((profile.epoch(), profile.len()), (Some(epoch), 0), "erased is empty");
            let (written, stood) = (writer.answers(), eraser.answers());
            assert_eq!(written.len(), TASKS);
            let inserted = written.iter().filter(|line| *line == &["Inserted"; KEYS].join(" ")).count();
            let erased = written.iter().filter(|line| *line == &["Erased"; KEYS].join(" ")).count();
            assert_eq!(inserted + erased, TASKS, "each write is whole or refused: {written:?}");
            assert_eq!(stood, [(inserted > 0).to_string()], "what was inserted stood when it was erased");
            assert_eq!(self.load(&user), profile, "nothing of before comes after the erase");
            // Who knows of the erase writes again, and the same erase from elsewhere takes nothing of that away.
            writer.tell(&format!("write {round} 1 {KEYS} {epoch}"));
            assert_eq!(writer.answers(), [["Inserted"; KEYS].join(" ")]);
            eraser.tell(&format!("erase {round} {epoch}"));
            assert_eq!(eraser.answers(), ["true"], "it finds that it was done");
            assert_eq!(self.load(&user).len(), KEYS);
            have_met |= inserted > 0 && erased > 0;
            if round >= ROUNDS && have_met {
                return;
            }
        }
        panic!("the processes never met in {MOST_ROUNDS} rounds");
    }

    /// One process is killed in the middle of its replacements; the other goes on, and no count is lost that either
    /// was told of.
    ///
    /// # Panics
    /// If that does not hold.
    pub fn one_that_is_killed_disturbs_no_other(&self) {
        let [mut killed, mut other] = [self.start(), self.start()];
        self.put("user 0", "0");
        for racer in [&mut killed, &mut other] {
            racer.tell(&format!("count 0 {COUNTERS} for-ever"));
        }
        let mut reached = [&mut killed, &mut other].map(|racer| racer.some(SOME));
        reached[0].extend(killed.kill());
        reached[1].extend(other.some(SOME));
        other.tell("stop");
        reached[1].extend(other.answers());
        let told: Vec<usize> = reached.iter().flatten().map(|line| line.parse().unwrap()).collect();
        let different: HashSet<_> = told.iter().collect();
        assert_eq!(different.len(), told.len(), "no number was reached twice");
        let last = self.number("user 0");
        assert!(told.iter().all(|number| *number <= last), "none came back from {last}");
        // What the killed one had written and could no longer tell: at most one for each of its tasks.
        let untold = last - told.len();
        assert!(untold <= COUNTERS, "{untold} of {last} counts are nobody's");
    }

    fn start(&self) -> Racer {
        Racer::start(self.program, &self.url, &self.namespace)
    }

    fn load(&self, user: &str) -> Profile {
        self.store.load(call(), &subject(&self.namespace, user)).unwrap()
    }

    fn put(&self, user: &str, json: &str) {
        let entry = Entry::new(Value::new(json).unwrap(), Expiry::Never);
        self.store.put(call(), &subject(&self.namespace, user), key("k"), entry).unwrap();
    }

    fn number(&self, user: &str) -> usize {
        self.load(user).get("k").unwrap().value.as_str().parse().unwrap()
    }
}

/// Tells both what to do, and gives what each answers.
fn together(racers: &mut [Racer; 2], what: impl Fn(usize) -> String) -> [Vec<String>; 2] {
    for (place, racer) in racers.iter_mut().enumerate() {
        racer.tell(&what(place));
    }
    racers.each_mut().map(Racer::answers)
}

/// Of each task's write there is all or nothing.
fn assert_whole(profile: &Profile) {
    let mut by_task = BTreeMap::<&str, usize>::new();
    for (key, _) in profile.entries() {
        *by_task.entry(key.as_str().split('-').next().unwrap()).or_default() += 1;
    }
    assert!(by_task.values().all(|entries| *entries == KEYS), "half a write: {by_task:?}");
}

fn call() -> Call {
    Call::within(&SystemClock, PATIENCE)
}

fn subject(namespace: &Namespace, user: &str) -> Subject {
    Subject::new(namespace.clone(), UserId::new(user).unwrap())
}

fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}
