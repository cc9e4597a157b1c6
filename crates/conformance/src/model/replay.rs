//! Runs a sequence on a store and on the reference side by side, and says where they part.

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Effect, Entry, Epoch, EpochCheck, Erase, ErrorKind, Expiry,
    Key, Keys, Outcome, Profile, Read, Revision, Subject, UnixMillis, Value, ValueHash, Was, Write,
};

use super::operations::{ChangeStep, Check, KEYS, Named, New, Step, USERS, WriteStep};
use super::reference::{Reference, Refused};
use crate::context::{Context, key};

/// What was seen that the reference does not explain.
pub(crate) type Difference = String;

/// Runs these steps for users of their own; `turn` tells one run from another.
pub(crate) async fn replay(cx: &Context, turn: u64, steps: &[Step]) -> Result<(), Difference> {
    let mut replay = Replay::new(cx, turn);
    for (at, step) in steps.iter().enumerate() {
        replay.step(step).await.map_err(|difference| format!("at step {at}, {step:?}: {difference}"))?;
    }
    replay.compare().await.map_err(|difference| format!("in the end: {difference}"))
}

struct Replay<'a> {
    cx: &'a Context,
    users: Vec<User>,
    /// Milliseconds since the case began.
    now: u64,
    /// The last number that named something: revisions and epochs are numbered, so that every run is the same.
    last: u64,
    writes: Vec<Vec<(usize, Write)>>,
    erases: Vec<(usize, Erase)>,
}

struct User {
    subject: Subject,
    reference: Reference,
    last_read: Option<Epoch>,
    epochs: Vec<Epoch>,
    /// All that were ever written or tried, for each key.
    revisions: [Vec<Revision>; KEYS],
}

fn name(place: usize) -> Key {
    key(&format!("key {place}"))
}

impl<'a> Replay<'a> {
    fn new(cx: &'a Context, turn: u64) -> Self {
        let user = |at| User {
            subject: cx.user(&format!("{turn} user {at}")),
            reference: Reference::default(),
            last_read: None,
            epochs: Vec::new(),
            revisions: Default::default(),
        };
        let users = (0..USERS).map(user).collect();
        Self { cx, users, now: 0, last: 0, writes: Vec::new(), erases: Vec::new() }
    }

    fn time(&self) -> UnixMillis {
        self.cx.time(self.now)
    }

    fn number(&mut self) -> [u8; 8] {
        self.last += 1;
        self.last.to_be_bytes()
    }

    async fn step(&mut self, step: &Step) -> Result<(), Difference> {
        match step {
            Step::Wait(millis) => self.now += millis,
            Step::Read { user, keys } => self.read(*user, keys.as_deref()).await?,
            Step::Write(writes) => {
                let writes: Vec<_> = writes.iter().map(|write| self.resolve(write)).collect();
                self.write(&writes).await?;
                self.writes.push(writes);
            }
            Step::WriteAgain(which) if !self.writes.is_empty() => {
                let again = which.get(&self.writes).clone();
                self.write(&again).await?;
            }
            Step::Erase { user, mark } => {
                let epoch = Epoch::from_bytes(self.number());
                let subject = self.users[*user].subject.clone();
                let erase = Erase::new(subject, self.cx.time(self.now))
                    .with_epoch(epoch)
                    .with_mark_until(self.cx.time(self.now + mark));
                self.users[*user].epochs.push(epoch);
                self.erases.push((*user, erase.clone()));
                self.erase(*user, erase).await?;
            }
            Step::EraseAgain(which) if !self.erases.is_empty() => {
                let (user, erase) = which.get(&self.erases).clone();
                self.erase(user, erase).await?;
            }
            Step::WriteAgain(_) | Step::EraseAgain(_) => {}
            Step::Compare => self.compare().await?,
        }
        Ok(())
    }

    /// Makes a write of what a step names loosely.
    fn resolve(&mut self, step: &WriteStep) -> (usize, Write) {
        let user = &self.users[step.user];
        let check = match &step.check {
            Check::Ignore => EpochCheck::Ignore,
            Check::Blind => EpochCheck::Is(None),
            Check::LastRead => EpochCheck::Is(user.last_read),
            Check::Old(_) if user.epochs.is_empty() => EpochCheck::Is(Some(Epoch::from_bytes([0xff; 8]))),
            Check::Old(which) => EpochCheck::Is(Some(*which.get(&user.epochs))),
        };
        let changes =
            step.changes.iter().map(|(place, change)| self.change(step.user, *place, change)).collect();
        let write = Write::new(self.users[step.user].subject.clone(), check, changes);
        (step.user, write.expect("the keys of a step differ"))
    }

    fn change(&mut self, user: usize, place: usize, step: &ChangeStep) -> Change {
        match step {
            ChangeStep::Insert(new) => Change::Insert(name(place), self.entry(user, place, new)),
            ChangeStep::Put(new) => Change::Put(name(place), self.entry(user, place, new)),
            ChangeStep::Replace(read, new) => {
                let read = self.named(user, place, read);
                Change::Replace(name(place), read, self.entry(user, place, new))
            }
            ChangeStep::Remove => Change::Remove(name(place)),
            ChangeStep::RemoveIf(read) => Change::RemoveIf(name(place), self.named(user, place, read)),
        }
    }

    fn entry(&mut self, user: usize, place: usize, new: &New) -> Entry {
        let revision = Revision::from_bytes(self.number());
        self.users[user].revisions[place].push(revision);
        let expiry = new.life.map_or(Expiry::Never, |life| Expiry::At(self.cx.time(self.now + life)));
        let entry = Entry::new(Value::string(&new.value.to_string()), expiry).with_revision(revision);
        if !new.was {
            return entry;
        }
        entry.with_was(Was::new(vec![(ValueHash::of(&self.last.to_string()), self.time())]))
    }

    fn named(&mut self, user: usize, place: usize, named: &Named) -> Revision {
        let now = self.time();
        let user = &mut self.users[user];
        let standing = user.reference.standing(&name(place), now);
        let nobodys = Revision::from_bytes([0xff; 8]);
        let old = || user.revisions[place].iter().copied().filter(|old| Some(*old) != standing);
        match named {
            Named::Standing => standing.unwrap_or(nobodys),
            Named::Old(which) => match old().count() {
                0 => nobodys,
                count => old().nth(which.index(count)).unwrap_or(nobodys),
            },
        }
    }

    async fn read(&mut self, user: usize, keys: Option<&[usize]>) -> Result<(), Difference> {
        let subject = self.users[user].subject.clone();
        let keys = keys.map_or(Keys::All, |keys| {
            Keys::only(keys.iter().map(|place| name(*place))).expect("they are few")
        });
        let read = Read::some(subject, keys.clone());
        let profile = self.cx.store().read_one(self.cx.at(self.now), read).await;
        let profile = profile.map_err(|error| format!("the read failed: {error}"))?;
        self.users[user].last_read = profile.epoch();
        self.compare_profile(user, &keys, &profile)
    }

    async fn write(&mut self, writes: &[(usize, Write)]) -> Result<(), Difference> {
        let now = self.time();
        let sent: Vec<Write> = writes.iter().map(|(_, write)| write.clone()).collect();
        let answers = self.cx.store().write(self.cx.at(self.now), &sent).await;
        if answers.len() != sent.len() {
            return Err(format!("{} answers to {} writes", answers.len(), sent.len()));
        }
        for ((user, write), answers) in writes.iter().zip(answers) {
            let reference = &mut self.users[*user].reference;
            let expected: Vec<Outcome> =
                write.changes().iter().map(|change| reference.change(write.epoch(), change, now)).collect();
            let answers: Result<Vec<Outcome>, _> = answers.into_iter().collect();
            let answers = answers.map_err(|error| format!("{write:?} failed: {error}"))?;
            if answers != expected {
                return Err(format!("{write:?} answered {answers:?}, not {expected:?}"));
            }
        }
        Ok(())
    }

    async fn erase(&mut self, user: usize, erase: Erase) -> Result<(), Difference> {
        let now = self.time();
        let expected = self.users[user].reference.erase(erase.epoch, erase.mark_until, now);
        let answer = self.cx.store().erase_one(self.cx.at(self.now), erase).await;
        match (&answer, &expected) {
            (Ok(stood), Ok(expected)) if stood == expected => Ok(()),
            (Err(error), Err(Refused))
                if (error.kind(), error.effect()) == (ErrorKind::Invalid, Effect::NotApplied) =>
            {
                Ok(())
            }
            _ => Err(format!("the erase answered {answer:?}, not {expected:?}")),
        }
    }

    /// Compares all users, whole.
    async fn compare(&mut self) -> Result<(), Difference> {
        let reads: Vec<Read> = self.users.iter().map(|user| Read::all(user.subject.clone())).collect();
        let profiles = self.cx.store().read(self.cx.at(self.now), &reads).await;
        if profiles.len() != USERS {
            return Err(format!("{} profiles of {USERS} users", profiles.len()));
        }
        for (user, profile) in profiles.into_iter().enumerate() {
            let profile = profile.map_err(|error| format!("the read failed: {error}"))?;
            self.compare_profile(user, &Keys::All, &profile)?;
        }
        Ok(())
    }

    fn compare_profile(&mut self, user: usize, keys: &Keys, found: &Profile) -> Result<(), Difference> {
        let now = self.time();
        let reference = &mut self.users[user].reference;
        let epoch = reference.epoch(now);
        if found.epoch() != epoch {
            return Err(format!("user {user} has the epoch {:?}, not {epoch:?}", found.epoch()));
        }
        let wanted = |key: &Key| match keys {
            Keys::Only(keys) => keys.contains(key),
            _ => true,
        };
        let expected: Vec<(&Key, &Entry)> =
            reference.entries(now).iter().filter(|(key, _)| wanted(key)).collect();
        let entries: Vec<(&Key, &Entry)> = found.entries().collect();
        if entries != expected || !found.damaged().is_empty() {
            let shown = |entries: &[(&Key, &Entry)]| {
                let show =
                    |(key, entry): &(&Key, &Entry)| format!("{key} {} {entry:?}", entry.value.as_str());
                entries.iter().map(show).collect::<Vec<_>>().join(", ")
            };
            return Err(format!("user {user} has [{}], not [{}]", shown(&entries), shown(&expected)));
        }
        Ok(())
    }
}
