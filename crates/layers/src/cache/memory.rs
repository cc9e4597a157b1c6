//! What the cache remembers, and who is at it: the one place where answers of reads and of writes meet.
//!
//! A read that was under way while the user was written never leaves its answer here: a write takes what is held away when
//! it begins, and when it begins and when it ends it lets no later caller join a read from before.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::sync::{Mutex, MutexGuard, PoisonError};

use quick_cache::sync::Cache as Map;
use stickystore_core::{Profile, Read, Result, Subject, UnixMillis};

use super::config::Config;
use super::flight::{Reading, WeakReading};
use super::held::{Bytes, Commons, Held};

/// The part of the bound for texts that many users have.
const COMMONS_PART: u64 = 16;

/// The part of the bound at which the cache counts as full, in percent: its parts do not fill up alike.
const FULL_PERCENT: u64 = 95;

pub(super) struct Memory {
    users: Map<Subject, Held, Bytes>,
    commons: Commons,
    flights: Mutex<Flights>,
}

#[derive(Default)]
struct Flights {
    /// Only users with a read or a write under way.
    users: HashMap<Subject, Flight>,
    tickets: u64,
    /// While users are loaded ahead: when each was last written or read, by the tickets.
    touched: Option<HashMap<Subject, u64>>,
    /// How many pages of users who are loaded ahead are under way.
    pages: usize,
}

#[derive(Default)]
struct Flight {
    writers: usize,
    /// Whether two writes were under way at once since there are any: what then stands, their answers do not say.
    is_contended: bool,
    reading: Option<Boarding>,
}

/// A read under way that others may join.
struct Boarding {
    ticket: u64,
    now: UnixMillis,
    place: usize,
    reading: WeakReading,
}

/// How a user who is not held is read.
pub(super) enum Way {
    /// It is held by now.
    Held(Held),
    /// By this read, in this place of its answers.
    Lead(Reading, usize),
    /// By this read of somebody else's, in this place of its answers; as of this time.
    Join(Reading, usize, UnixMillis),
    /// By nobody else's: the one under way is of a later time.
    Alone,
}

impl Memory {
    pub(super) fn new(config: &Config) -> Self {
        let commons = config.bytes / COMMONS_PART;
        let bytes = config.bytes - commons;
        let about = usize::try_from(bytes / 256).unwrap_or(usize::MAX);
        let users = Map::with_weighter(about, bytes, Bytes);
        Self { users, commons: Commons::new(commons), flights: Mutex::default() }
    }

    /// What is held of this user, however old.
    pub(super) fn get(&self, subject: &Subject) -> Option<Held> {
        self.users.get(subject)
    }

    /// Forgets this user, also what a read under way will find.
    pub(super) fn forget(&self, subject: &Subject) {
        let mut flights = self.flights();
        flights.touch(subject);
        if let Some(flight) = flights.users.get_mut(subject) {
            flight.reading = None;
        }
        self.take(subject);
    }

    /// Forgets everybody.
    pub(super) fn clear(&self) {
        self.users.clear();
    }

    /// How many users are held.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// How each of these users, who were not held, is read at this time. `lead` makes the read of those whom nobody reads;
    /// it is called at most once, and must not run the read. A read under way that is of too old a time is left to those
    /// who wait for it.
    pub(super) fn board<'a>(
        &self,
        now: UnixMillis,
        subjects: impl Iterator<Item = &'a Subject>,
        is_fresh: impl Fn(&Held) -> bool,
        is_too_old: impl Fn(UnixMillis) -> bool,
        lead: impl FnOnce(u64, Vec<Read>) -> Reading,
    ) -> Vec<Way> {
        enum Found {
            Way(Way),
            Lead(usize),
        }
        let mut flights = self.flights();
        let mut led = HashMap::new();
        let mut find = |subject: &'a Subject| {
            if let Some(held) = self.users.get(subject).filter(&is_fresh) {
                return Found::Way(Way::Held(held));
            }
            let boarding = flights.users.get(subject).and_then(|flight| flight.reading.as_ref());
            if let Some(Boarding { place, now: of, reading, .. }) = boarding {
                if *of > now {
                    return Found::Way(Way::Alone);
                }
                // One that all its callers dropped is not there any more.
                if let Some(reading) = reading.upgrade().filter(|_| !is_too_old(*of)) {
                    return Found::Way(Way::Join(reading, *place, *of));
                }
            }
            let next = led.len();
            Found::Lead(*led.entry(subject).or_insert(next))
        };
        let found: Vec<_> = subjects.map(&mut find).collect();
        let mut reads: Vec<_> = led.into_iter().collect();
        reads.sort_unstable_by_key(|(_, place)| *place);
        let reading = (!reads.is_empty()).then(|| {
            flights.tickets += 1;
            let ticket = flights.tickets;
            let reading =
                lead(ticket, reads.iter().map(|(subject, _)| Read::all((*subject).clone())).collect());
            for (subject, place) in reads {
                let boarding = reading.downgrade().map(|reading| Boarding { ticket, now, place, reading });
                flights.users.entry(subject.clone()).or_default().reading = boarding;
            }
            reading
        });
        let way = |found| match (found, &reading) {
            (Found::Way(way), _) => way,
            (Found::Lead(place), Some(reading)) => Way::Lead(reading.clone(), place),
            (Found::Lead(_), None) => Way::Alone,
        };
        found.into_iter().map(way).collect()
    }

    /// Takes what a read found, for those users whom nobody wrote since it began.
    pub(super) fn land(&self, ticket: u64, now: UnixMillis, reads: &[Read], answers: &[Result<Profile>]) {
        let held = reads.iter().zip(answers).map(|(read, answer)| {
            answer.as_ref().ok().map(|profile| Held::new(&read.subject, profile, now, &self.commons))
        });
        let held: Vec<_> = held.collect();
        let mut flights = self.flights();
        for (read, held) in reads.iter().zip(held) {
            let is_ours = flights.leave(&read.subject, ticket);
            let is_written = flights.users.get(&read.subject).is_some_and(|flight| flight.writers > 0);
            match held {
                Some(Some((subject, held))) if is_ours && !is_written => {
                    flights.touch(&read.subject);
                    self.take(&read.subject);
                    self.users.insert(subject, held);
                }
                Some(None) if is_ours => drop(self.take(&read.subject)),
                _ => {}
            }
        }
    }

    /// Gives up a read, where it has not landed.
    pub(super) fn give_up(&self, ticket: u64, reads: &[Read]) {
        let mut flights = self.flights();
        for read in reads {
            flights.leave(&read.subject, ticket);
        }
    }

    /// A write of this user begins: gives what was held, and holds nothing until it ended.
    pub(super) fn begin(&self, subject: &Subject) -> Option<Held> {
        let mut flights = self.flights();
        flights.touch(subject);
        let flight = flights.users.entry(subject.clone()).or_default();
        flight.is_contended |= flight.writers > 0;
        flight.writers += 1;
        flight.reading = None;
        self.take(subject)
    }

    /// The write ended, and this is what then stands, if its answers said so.
    pub(super) fn end(&self, subject: &Subject, stands: Option<&Profile>, at: UnixMillis) {
        let held = stands.and_then(|profile| Held::new(subject, profile, at, &self.commons));
        let mut flights = self.flights();
        flights.touch(subject);
        let Slot::Occupied(mut slot) = flights.users.entry(subject.clone()) else {
            return;
        };
        let flight = slot.get_mut();
        flight.reading = None;
        flight.writers = flight.writers.saturating_sub(1);
        if flight.writers > 0 {
            return;
        }
        let is_contended = flight.is_contended;
        slot.remove();
        if let Some((subject, held)) = held.filter(|_| !is_contended) {
            self.users.insert(subject, held);
        }
    }

    /// A page of users is about to be read ahead; `land_page` takes the ticket, and `end_page` has to follow.
    pub(super) fn begin_page(&self) -> u64 {
        let mut flights = self.flights();
        flights.touched.get_or_insert_default();
        flights.pages += 1;
        flights.tickets += 1;
        flights.tickets
    }

    /// Takes a page, without those who were written or read since it began, or are: what they are known for may be newer.
    pub(super) fn land_page(&self, ticket: u64, now: UnixMillis, page: &[(Subject, Profile)]) {
        let held = page.iter().map(|(subject, profile)| Held::new(subject, profile, now, &self.commons));
        let held: Vec<_> = held.collect();
        let flights = self.flights();
        for (subject, held) in held.into_iter().flatten() {
            if flights.users.contains_key(&subject) {
                continue;
            }
            let touched = flights.touched.as_ref().and_then(|touched| touched.get(&subject));
            let is_touched = touched.is_some_and(|touched| *touched > ticket);
            if !is_touched && self.users.peek(&subject).is_none_or(|known| known.at < now) {
                self.take(&subject);
                self.users.insert(subject, held);
            }
        }
    }

    pub(super) fn end_page(&self) {
        let mut flights = self.flights();
        flights.pages = flights.pages.saturating_sub(1);
        if flights.pages == 0 {
            flights.touched = None;
        }
    }

    /// Whether there is hardly any room left: more users would push others out.
    pub(super) fn is_full(&self) -> bool {
        self.users.weight() >= self.users.capacity() / 100 * FULL_PERCENT
    }

    fn take(&self, subject: &Subject) -> Option<Held> {
        self.users.remove(subject).map(|(_, held)| held)
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        // Whatever panicked meanwhile, the flights are whole between two statements.
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flights {
    /// Takes the read with this ticket away from the user; whether it was there.
    fn leave(&mut self, subject: &Subject, ticket: u64) -> bool {
        let Slot::Occupied(mut slot) = self.users.entry(subject.clone()) else {
            return false;
        };
        let flight = slot.get_mut();
        let is_there = flight.reading.as_ref().is_some_and(|boarding| boarding.ticket == ticket);
        if is_there {
            flight.reading = None;
        }
        if flight.writers == 0 && flight.reading.is_none() {
            slot.remove();
        }
        is_there
    }

    fn touch(&mut self, subject: &Subject) {
        if let Some(touched) = &mut self.touched {
            self.tickets += 1;
            touched.insert(subject.clone(), self.tickets);
        }
    }
}
