//! Callers that do what SDKs do: they read, decide by their datafile, and write what they decided, each in its SDK's way.
//! What a caller holds is what it was handed, and the log says it before the call is made.
//!
//! A further kind is one more method of [`Caller`] and its share in [`Caller::act`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use stickystore::AsyncSticky;
use stickystore_core::{AsyncStore, Result};
use stickystore_services::vwo::AsyncUserStorageService;

use super::datafile::{Datafile, Decision, KEYS};
use super::dice::Dice;
use super::history::Moment;
use super::log::{Answer, Ask, Log, Sent, Side, Told};
use super::profiles::{Profiles, Reported, effect};

mod campaigns;
mod optimizely;
mod others;
mod served;
mod session;

/// After how many acts of each process other users come.
const GENERATION: u64 = 150;

/// How many users there are at a time: few, so that callers meet.
const USERS: u64 = 4;

/// After how many acts of each process its datafile changes.
const ROLLOUT: u64 = 60;

/// How many versions the callers are behind that have not heard of the new datafile yet: so many that none of its variations
/// is known to both.
const BEHIND: u64 = 6;

/// How often in a thousand a caller does not wait for an answer.
const IMPATIENT: u64 = 40;

/// How often in a thousand one gives up at the moment at which it is answered.
const GIVES_UP: u64 = 20;

/// What an operator has retired: under which keys, and which variation.
pub(crate) const RETIRED: ([&str; 3], &str) = (["e0", "c0", "e1"], "plain");

/// How long a mortal user's entries live.
pub(crate) const MORTAL: Duration = Duration::from_millis(1_500);

/// What the callers of one process share.
pub(crate) struct Place {
    /// What they did.
    pub(crate) log: Arc<Log>,
    /// The process's number, for the names of what it writes and the version of its datafile.
    pub(crate) process: String,
    /// How far its datafile is ahead of others'.
    pub(crate) rollout: u64,
    /// How many acts there have been.
    pub(crate) acts: AtomicU64,
    /// How many there have been in each process on average, by which all of them serve the same users, however fast they
    /// are.
    pub(crate) pace: Arc<AtomicU64>,
    /// Of each caller, the oldest generation that it may serve yet.
    pub(crate) serving: Vec<AtomicU64>,
    /// The stores for users whose entries live for ever, and for those whose entries do not; without what an operator has
    /// retired, and with it.
    pub(crate) stores: [[Stores; 2]; 2],
    /// The naive store.
    pub(crate) naive: Arc<dyn Profiles>,
    /// How many in a thousand acts erase a user.
    pub(crate) erasures: u64,
}

/// What a caller calls.
#[derive(Clone)]
pub(crate) struct Stores {
    /// The store with everything bound, in its layers if it has any.
    pub(crate) sticky: AsyncSticky,
    /// The store without layers.
    pub(crate) direct: AsyncSticky,
    /// What Optimizely-like SDKs are given.
    pub(crate) profiles: Arc<dyn Profiles>,
    /// The same where they only track.
    pub(crate) tracking: Arc<dyn Profiles>,
    /// VWO's service with a ledger, for callers who do what it takes for granted.
    pub(crate) ledgered: AsyncUserStorageService<Arc<dyn AsyncStore>>,
    /// How long its entries live, in milliseconds.
    pub(crate) ttl: Option<u64>,
}

/// One caller: a request handler that serves one user after another.
pub(crate) struct Caller {
    place: Arc<Place>,
    side: Side,
    number: usize,
    is_behind: bool,
    /// Its configuration has what an operator has retired.
    retires: bool,
    name: String,
    dice: Dice,
    written: u64,
}

impl Caller {
    /// The one of this number, who calls stickystore or the naive store.
    pub(crate) fn new(place: Arc<Place>, side: Side, number: u64, seed: u64) -> Self {
        let name = format!("{}.{number}", place.process);
        Self {
            place,
            side,
            number: usize::try_from(number).unwrap(),
            is_behind: number.is_multiple_of(3),
            retires: side == Side::Ours && number % 4 == 1,
            name,
            dice: Dice::new(seed, number),
            written: 0,
        }
    }

    /// Serves one request.
    pub(crate) async fn act(&mut self) {
        let user = self.user();
        if self.side == Side::Naive {
            return self.decide_whole(&user).await;
        }
        let erasures = self.place.erasures;
        match self.dice.below(1_000) {
            share if share < erasures => self.erase(&user).await,
            0..240 => self.decide_whole(&user).await,
            240..340 => self.decide_by_attribute(&user).await,
            340..450 => self.decide_campaign(&user).await,
            450..530 => self.decide_by_ledger(&user).await,
            530..630 => self.decide_in_session(&user).await,
            630..710 => self.decide_before_it_serves(&user).await,
            710..780 => self.reach_goal(&user).await,
            780..840 => self.assign(&user).await,
            840..885 => self.track(&user).await,
            885..900 => self.remove(&user).await,
            _ => self.look(&user).await,
        }
    }

    /// One of those who are there now, or were a while ago.
    fn user(&mut self) -> String {
        let (oldest, newest) = generations(self.place.pace.load(Ordering::SeqCst));
        self.place.serving[self.number].store(oldest, Ordering::SeqCst);
        self.place.acts.fetch_add(1, Ordering::Relaxed);
        user(newest.saturating_sub(self.dice.below(2)), self.dice.below(USERS))
    }

    /// It serves nobody any more.
    pub(crate) fn leave(&self) {
        self.place.serving[self.number].store(u64::MAX, Ordering::SeqCst);
    }

    fn stores(&self, user: &str) -> Stores {
        self.place.stores[usize::from(self.retires)][usize::from(is_mortal(user))].clone()
    }

    fn profiles(&self, user: &str) -> Arc<dyn Profiles> {
        match self.side {
            Side::Ours => self.stores(user).profiles,
            Side::Naive => Arc::clone(&self.place.naive),
        }
    }

    fn datafile(&self) -> Datafile {
        let version = self.place.rollout + self.place.pace.load(Ordering::SeqCst) / ROLLOUT;
        Datafile { version: if self.is_behind { version } else { version + BEHIND } }
    }

    /// What it decides for these keys, each with what it holds there: what is newly bucketed, as what is sent.
    fn decide<'a>(
        &mut self,
        keys: impl IntoIterator<Item = (u64, String, Option<(&'a str, &'a str)>)>,
    ) -> BTreeMap<String, Sent> {
        let datafile = self.datafile();
        self.decide_by(datafile, keys)
    }

    /// The same by this datafile.
    fn decide_by<'a>(
        &mut self,
        datafile: Datafile,
        keys: impl IntoIterator<Item = (u64, String, Option<(&'a str, &'a str)>)>,
    ) -> BTreeMap<String, Sent> {
        let mut decided = BTreeMap::new();
        for (number, key, held) in keys {
            let (variation, token) = held.unzip();
            if let Decision::Bucket(variation) = datafile.decide(number, variation, &mut self.dice) {
                let retired = if self.is_retired(&key) { vec![RETIRED.1.to_owned()] } else { Vec::new() };
                let (token, held) = (self.token(), token.map(str::to_owned));
                let variation = variation.to_owned();
                let sent = Sent { token, held, may_add: false, variation, retired };
                decided.insert(key, sent);
            }
        }
        decided
    }

    /// Asks for what stands under these keys; what is retired for it is not shown.
    fn reads(&self, user: &str, keys: Vec<String>) -> u64 {
        let hidden = keys.iter().filter(|key| self.is_retired(key)).cloned().collect();
        self.place.log.call(self.side, user, Ask::Read { keys, hidden })
    }

    fn is_retired(&self, key: &str) -> bool {
        self.retires && RETIRED.0.contains(&key)
    }

    /// A name for its next write.
    fn token(&mut self) -> String {
        self.written += 1;
        format!("{}.{}", self.name, self.written)
    }

    /// Some of an SDK's keys.
    fn some_keys(&mut self, prefix: &str) -> Vec<(u64, String)> {
        let keys = (0..KEYS).map(|number| (number, format!("{prefix}{number}")));
        keys.filter(|_| self.dice.happens(500)).collect()
    }

    /// Waits for an answer, mostly; what it does not wait for goes on, and is answered to nobody. So may be what has been
    /// answered: then whoever stands between knows nothing of it.
    async fn wait<T: Send + 'static>(&mut self, call: impl Future<Output = T> + Send + 'static) -> Option<T> {
        if self.dice.happens(GIVES_UP) {
            call.await;
            self.hide();
            return None;
        }
        if !self.dice.happens(IMPATIENT) {
            return Some(call.await);
        }
        let patience = Duration::from_micros(self.dice.below(1_500));
        let answer = tokio::time::timeout(patience, tokio::spawn(call)).await.ok();
        if answer.is_none() {
            self.hide();
        }
        answer.map(|answer| answer.unwrap())
    }

    /// Says that an answer reaches nobody.
    fn hide(&self) {
        if self.side == Side::Ours {
            self.place.log.fault("hidden");
        }
    }

    /// The time between a lookup and its save.
    async fn think(&mut self) {
        match self.dice.below(100) {
            0..8 => tokio::time::sleep(Duration::from_millis(self.dice.below(100))).await,
            8..75 => tokio::time::sleep(Duration::from_micros(self.dice.below(4_000))).await,
            _ => tokio::task::yield_now().await,
        }
    }

    /// Says that a save is made.
    fn sends(&self, user: &str, sent: &BTreeMap<String, Sent>, knew: Option<Moment>) -> u64 {
        let entries = sent.clone();
        let ttl = if self.side == Side::Ours { self.stores(user).ttl } else { None };
        self.place.log.call(self.side, user, Ask::Save { entries, knew, ttl })
    }

    /// Says what became of it.
    fn sent(&self, id: u64, sent: &BTreeMap<String, Sent>, report: Option<Result<Reported>>) {
        let all = |told: Told| sent.keys().map(|key| (key.clone(), (told, None))).collect();
        let saved = match report {
            Some(Ok(reported)) => reported,
            Some(Err(error)) => all(effect(&error)),
            None => all(Told::Unknown),
        };
        self.place.log.answer(id, Answer::Saved(saved));
    }
}

/// All keys of all SDKs.
pub(crate) fn all_keys() -> Vec<String> {
    ["e", "c", "l", "a"].iter().flat_map(|prefix| keys(prefix)).collect()
}

/// The keys of one SDK.
pub(crate) fn keys(prefix: &str) -> Vec<String> {
    (0..KEYS).map(|number| format!("{prefix}{number}")).collect()
}

/// The users of a generation.
pub(crate) fn users(generation: u64) -> impl Iterator<Item = String> {
    (0..USERS).map(move |number| user(generation, number))
}

/// The generation of a user.
pub(crate) fn generation(user: &str) -> u64 {
    user.strip_prefix('u').and_then(|rest| rest.split('-').next()).unwrap().parse().unwrap()
}

/// The oldest and the newest generation that are served after so many acts of each process.
pub(crate) fn generations(acts: u64) -> (u64, u64) {
    let newest = acts / GENERATION;
    (newest.saturating_sub(1), newest)
}

/// Whether this user's entries expire.
pub(crate) fn is_mortal(user: &str) -> bool {
    user.ends_with(['1', '3'])
}

fn user(generation: u64, number: u64) -> String {
    format!("u{generation}-{number}")
}
