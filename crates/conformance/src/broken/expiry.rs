//! Stores that get time wrong: the entry's own, and the server's that sweeps.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use stickystore_core::{
    Call, Change, Clock as _, Cursor, Entry, Erase, Expiry, Keys, Namespace, Operation, Outcome, Page,
    Profile, Read, Result, Revision, Subject, SystemClock, UnixMillis, Write,
};

use super::BrokenStore;
use super::bench::{Bench, GRACE, opened, sweep};
use super::fault::{After, Fault, Shows, Stores};
use super::state::{Slot, State, User};

/// What memcached takes for a date and not for a time to live.
const THIRTY_DAYS: Duration = Duration::from_secs(30 * 86_400);

/// The last second that fits into 32 bits with a sign: in 2038.
const LAST_SECOND_OF_I32: u64 = i32::MAX as u64;

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "drops the expiry",
        breaks: "an entry ends with its expiry",
        open: || opened(Stores(|entry, _, _| entry.expiry = Expiry::Never)),
    },
    BrokenStore {
        name: "shows an entry at its deadline",
        breaks: "an entry is live while `now < expiry`",
        open: || {
            opened(Shows(|entry, now| match entry.expiry {
                Expiry::Never => true,
                Expiry::At(at) => now <= at,
            }))
        },
    },
    BrokenStore {
        name: "compares times in whole seconds",
        breaks: "an entry is live to the millisecond",
        open: || {
            opened(Shows(|entry, now| match entry.expiry {
                Expiry::Never => true,
                Expiry::At(at) => now.get() / 1_000 < at.get() / 1_000,
            }))
        },
    },
    BrokenStore {
        name: "rounds the expiry up to a second",
        breaks: "an entry is live to the millisecond",
        open: || opened(Stores(|entry, _, _| up_to_a_second(entry))),
    },
    BrokenStore {
        name: "a life below a second is endless",
        breaks: "500 ms is not immortal",
        open: || {
            opened(Stores(|entry, _, now| {
                if let Expiry::At(at) = entry.expiry
                    && at.since(now) < Duration::from_secs(1)
                {
                    entry.expiry = Expiry::Never;
                }
            }))
        },
    },
    BrokenStore {
        name: "reads a life over 30 days as a date",
        breaks: "31 days are 31 days",
        open: || {
            opened(Stores(|entry, _, now| {
                if let Expiry::At(at) = entry.expiry
                    && at.since(now) > THIRTY_DAYS
                {
                    entry.expiry = Expiry::At(UnixMillis::EPOCH.saturating_add(at.since(now)));
                }
            }))
        },
    },
    BrokenStore {
        name: "ends everything in 2038",
        breaks: "an expiry beyond what the server can represent is kept by us",
        open: || {
            opened(Stores(|entry, _, _| {
                if let Expiry::At(at) = &mut entry.expiry {
                    *at = (*at).min(UnixMillis::new(LAST_SECOND_OF_I32 * 1_000).unwrap());
                }
            }))
        },
    },
    BrokenStore {
        name: "keeps the old expiry when it overwrites",
        breaks: "rewriting with another TTL replaces it",
        open: || {
            opened(Stores(|entry, before, now| {
                if let Some(before) = before.filter(|before| before.is_live(now)) {
                    entry.expiry = before.expiry;
                }
            }))
        },
    },
    BrokenStore {
        name: "Kept extends the expiry",
        breaks: "a kept insert changes nothing",
        open: || {
            opened(After(|state, subject, change, outcome, _| {
                if let (Change::Insert(key, new), Ok(Outcome::Kept(_))) = (change, outcome)
                    && let Some(stored) = state.entry_mut(subject, key)
                {
                    stored.expiry = new.expiry;
                }
            }))
        },
    },
    BrokenStore {
        name: "reading extends the life",
        breaks: "an entry lives its TTL from its own last write",
        open: || opened(Slides::default()),
    },
    BrokenStore {
        name: "HSET and PEXPIRE: the last expiry is the user's",
        breaks: "a short life written after a long one shortens nothing",
        open: || opened(ExpiresUser::default()),
    },
    BrokenStore {
        name: "the first entry to end takes the user along",
        breaks: "an entry lives whatever else is written for the user",
        open: || opened(EndsTogether),
    },
    BrokenStore {
        name: "a longer life lengthens the others'",
        breaks: "an entry ends whatever else is written for the user",
        open: || {
            opened(After(|state, subject, change, outcome, call| {
                let is_written = matches!(outcome, Ok(outcome) if outcome.is_applied());
                if let Some(new) = change.entry().filter(|_| is_written)
                    && let Some(ours) = state.ours_mut(subject)
                {
                    for slot in ours.slots.values_mut() {
                        if let Slot::Entry(entry) = slot
                            && entry.is_live(call.now)
                        {
                            entry.expiry = later(entry.expiry, new.expiry);
                        }
                    }
                }
            }))
        },
    },
    BrokenStore {
        name: "sweeps without grace",
        breaks: "an entry is swept when it expired longer than the grace ago",
        open: || opened(SweepsAtOnce),
    },
    BrokenStore {
        name: "sweeps by the fastest clock",
        breaks: "what a slower clock still sees is not swept",
        open: || opened(SweepsByFastest::default()),
    },
    BrokenStore {
        name: "a sweep takes the user for one expired entry",
        breaks: "a sweep takes only what expired",
        open: || opened(SweepsUser),
    },
    BrokenStore {
        name: "shows expired entries until they are swept",
        breaks: "every read leaves expired entries out, also before anything has swept them",
        open: || opened(Shows(|entry, now| !entry.expiry.is_swept(now, GRACE))),
    },
    BrokenStore {
        name: "hides expired entries from get only",
        breaks: "load leaves expired entries out",
        open: || opened(ShowsExpired { by_key: false, all: true, scan: false }),
    },
    BrokenStore {
        name: "hides expired entries from load only",
        breaks: "a read of some keys leaves expired entries out",
        open: || opened(ShowsExpired { by_key: true, all: false, scan: false }),
    },
    BrokenStore {
        name: "scans expired entries",
        breaks: "a scan leaves expired entries out",
        open: || opened(ShowsExpired { by_key: false, all: false, scan: true }),
    },
    BrokenStore {
        name: "judges by its own clock",
        breaks: "expiry is judged by the call's `now`",
        open: || opened(Shows(|entry, _| entry.is_live(SystemClock.now()))),
    },
    BrokenStore {
        name: "adds the clock's difference to the expiry",
        breaks: "the expiry is absolute, computed once",
        open: || {
            opened(Stores(|entry, _, now| {
                if let Expiry::At(at) = entry.expiry {
                    entry.expiry = Expiry::At(SystemClock.now().saturating_add(at.since(now)));
                }
            }))
        },
    },
    BrokenStore {
        name: "caches profiles with what ends in them",
        breaks: "every read leaves expired entries out, from a cache too",
        open: || opened(CachesExpired::default()),
    },
];

fn up_to_a_second(entry: &mut Entry) {
    if let Expiry::At(at) = entry.expiry {
        let at = UnixMillis::new(at.get().div_ceil(1_000) * 1_000).unwrap_or(UnixMillis::MAX);
        entry.expiry = Expiry::At(at);
    }
}

fn later(a: Expiry, b: Expiry) -> Expiry {
    match (a, b) {
        (Expiry::At(a), Expiry::At(b)) => Expiry::At(a.max(b)),
        _ => Expiry::Never,
    }
}

/// `GETEX`: each read starts the entry's life anew.
#[derive(Default)]
struct Slides(Mutex<HashMap<Revision, Duration>>);

impl Fault for Slides {
    fn stored(&self, new: &Entry, _before: Option<&Entry>, now: UnixMillis) -> Entry {
        if let Expiry::At(at) = new.expiry {
            self.0.lock().unwrap().insert(new.revision, at.since(now));
        }
        new.clone()
    }

    fn profile(&self, bench: &Bench, state: &mut State, read: &Read, call: Call) -> Result<Profile> {
        let answer = bench.profile(state, read, call.now);
        let lives = self.0.lock().unwrap();
        for slot in state.ours_mut(&read.subject).into_iter().flat_map(|ours| ours.slots.values_mut()) {
            if let Slot::Entry(entry) = slot
                && entry.is_live(call.now)
                && let Some(life) = lives.get(&entry.revision)
            {
                entry.expiry = Expiry::At(call.now.saturating_add(*life));
            }
        }
        answer
    }
}

/// The server's TTL is the user's, and the last write sets it. Only real time shows it.
#[derive(Default)]
struct ExpiresUser(Mutex<HashMap<Subject, Instant>>);

impl Fault for ExpiresUser {
    fn settle(&self, state: &mut State, _call: Call) {
        self.0.lock().unwrap().retain(|subject, dies| {
            let lives = Instant::now() < *dies;
            if !lives {
                state.users.remove(subject);
            }
            lives
        });
    }

    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let outcome = bench.change(state, write, change, call)?;
        if let (Some(Expiry::At(at)), true) = (change.entry().map(|entry| entry.expiry), outcome.is_applied())
        {
            let dies = Instant::now() + at.since(call.now) + GRACE;
            self.0.lock().unwrap().insert(write.subject().clone(), dies);
        }
        Ok(outcome)
    }
}

/// One expiry for the whole user: the earliest.
struct EndsTogether;

impl Fault for EndsTogether {
    fn settle(&self, state: &mut State, call: Call) {
        for user in state.users.values_mut() {
            if let User::Ours(ours) = user {
                let is_over = |slot: &Slot| matches!(slot, Slot::Entry(entry) if !entry.is_live(call.now));
                if ours.slots.values().any(is_over) {
                    ours.slots.clear();
                }
            }
        }
    }
}

/// Sweeps what has just ended, by the clock of the writer.
struct SweepsAtOnce;

impl Fault for SweepsAtOnce {
    fn sweep(&self, state: &mut State, subject: &Subject, call: Call) {
        sweep(state, subject, call.now, Duration::ZERO);
    }
}

/// Remembers the latest time that anybody said, and sweeps by it on every call.
#[derive(Default)]
struct SweepsByFastest(Mutex<Option<UnixMillis>>);

impl Fault for SweepsByFastest {
    fn settle(&self, state: &mut State, call: Call) {
        let mut latest = self.0.lock().unwrap();
        *latest = (*latest).max(Some(call.now));
        for user in state.users.values_mut() {
            if let User::Ours(ours) = user {
                ours.slots.retain(|_, slot| match slot {
                    Slot::Entry(entry) => entry.is_live(latest.unwrap_or(call.now)),
                    Slot::Damaged => true,
                });
            }
        }
    }
}

/// Deletes the storage key when it finds an entry in it that is long over.
struct SweepsUser;

impl Fault for SweepsUser {
    fn sweep(&self, state: &mut State, subject: &Subject, call: Call) {
        let is_over =
            |slot: &Slot| matches!(slot, Slot::Entry(entry) if entry.expiry.is_swept(call.now, GRACE));
        if state.ours(subject).is_some_and(|ours| ours.slots.values().any(is_over)) {
            state.users.remove(subject);
        }
    }
}

/// Forgets the filter on one of the ways to read.
struct ShowsExpired {
    by_key: bool,
    all: bool,
    scan: bool,
}

impl Fault for ShowsExpired {
    fn profile(&self, bench: &Bench, state: &mut State, read: &Read, call: Call) -> Result<Profile> {
        let shows = if read.keys == Keys::All { self.all } else { self.by_key };
        let profile = bench.profile(state, read, call.now)?;
        if !shows {
            return Ok(profile);
        }
        let unfiltered = bench.profile(state, read, UnixMillis::EPOCH)?;
        let damaged = profile.damaged().to_vec();
        Ok(Profile::new(profile.epoch(), unfiltered, damaged, UnixMillis::EPOCH))
    }

    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(bench, call, Operation::Scan)?;
        let now = if self.scan { UnixMillis::EPOCH } else { call.now };
        Ok(bench.page(&bench.state(), namespace, cursor, limit, now))
    }
}

/// A cache that is cleared by every write, but knows nothing of time.
#[derive(Default)]
struct CachesExpired(Mutex<HashMap<Subject, Profile>>);

impl Fault for CachesExpired {
    fn profile(&self, bench: &Bench, state: &mut State, read: &Read, call: Call) -> Result<Profile> {
        if read.keys != Keys::All {
            return bench.profile(state, read, call.now);
        }
        let mut cache = self.0.lock().unwrap();
        if let Some(profile) = cache.get(&read.subject) {
            return Ok(profile.clone());
        }
        let profile = bench.profile(state, read, call.now)?;
        cache.insert(read.subject.clone(), profile.clone());
        Ok(profile)
    }

    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        self.0.lock().unwrap().remove(write.subject());
        bench.change(state, write, change, call)
    }

    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        self.0.lock().unwrap().remove(&erase.subject);
        bench.erase_user(state, erase, call.now)
    }
}
