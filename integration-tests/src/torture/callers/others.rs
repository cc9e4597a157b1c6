//! `assign`, which needs no SDK; who only looks; and who erases.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use stickystore::How;
use stickystore_core::{Profile, Result, Value};

use super::super::history::NEVER;
use super::super::log::{Answer, Ask, Told};
use super::super::profiles::{effect, goals, token};
use super::{Caller, all_keys, users};

impl Caller {
    /// Assigns, whatever was.
    pub(super) async fn assign(&mut self, user: &str) {
        let number = self.dice.below(super::KEYS);
        let key = format!("a{number}");
        let decided = self.decide([(number, key.clone(), None)]);
        let Some(sent) = decided.get(&key) else { return };
        let value = json!({ "assigned": sent.variation, "t": sent.token }).to_string();
        let value = Value::new(value).unwrap();
        // It reads for itself, as often as it has to.
        let id = self.sends(user, &decided, Some(NEVER));
        let (sticky, owned, place) = (self.stores(user).sticky, user.to_owned(), key.clone());
        let assigned = self.wait(async move { sticky.assign(&owned, &place, || value).await }).await;
        let told = match assigned {
            Some(Ok(assigned)) if assigned.how == How::New => (Told::Acknowledged, None),
            Some(Ok(assigned)) => (Told::Refused, token(assigned.entry.value.as_str())),
            Some(Err(error)) => (effect(&error), None),
            None => (Told::Unknown, None),
        };
        self.place.log.answer(id, Answer::Saved(BTreeMap::from([(key, told)])));
    }

    /// Looks at everything that the user has, through all layers or past them.
    pub(super) async fn look(&mut self, user: &str) {
        let stores = self.stores(user);
        let (sticky, id) = if self.dice.happens(500) {
            (stores.direct, self.place.log.look(user, all_keys()))
        } else {
            (stores.sticky, self.reads_all(user))
        };
        let owned = user.to_owned();
        let profile = self.wait(async move { sticky.load(&owned).await }).await.and_then(Result::ok);
        let answer = profile.as_ref().map_or(Answer::Nothing, shown);
        self.place.log.answer(id, answer);
    }

    /// Erases the user.
    pub(super) async fn erase(&mut self, user: &str) {
        let id = self.place.log.call(self.side, user, Ask::Erase);
        let (sticky, owned) = (self.stores(user).sticky, user.to_owned());
        let erased = self.wait(async move { sticky.erase(&owned).await }).await;
        self.place.log.answer(id, Answer::Erased(told(erased)));
    }

    /// Takes one entry away, as an operator does.
    pub(super) async fn remove(&mut self, user: &str) {
        let keys = all_keys();
        let key = keys[usize::try_from(self.dice.next() % keys.len() as u64).unwrap()].clone();
        let id = self.place.log.call(self.side, user, Ask::Remove { key: key.clone() });
        let (sticky, owned) = (self.stores(user).sticky, user.to_owned());
        let removed = self.wait(async move { sticky.remove(&owned, &key).await }).await;
        self.place.log.answer(id, Answer::Removed(told(removed)));
    }

    /// What is stored, retired or not.
    fn reads_all(&self, user: &str) -> u64 {
        self.place.log.call(self.side, user, Ask::Read { keys: all_keys(), hidden: Vec::new() })
    }

    /// Looks at all users of a generation, and closes the log of those before it.
    pub(crate) async fn audit(&mut self, generation: u64) {
        for user in users(generation) {
            self.audit_user(&user).await;
        }
        self.place.log.close(generation);
    }

    /// Looks at a user until there is an answer.
    async fn audit_user(&mut self, user: &str) {
        let began = Instant::now();
        while began.elapsed() < AUDIT {
            let id = self.place.log.look(user, all_keys());
            match self.stores(user).direct.load(user).await {
                Ok(profile) => {
                    self.place.log.answer(id, shown(&profile));
                    return;
                }
                Err(_) => {
                    self.place.log.answer(id, Answer::Nothing);
                    // The server may be away.
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        panic!("no answer about {user} within {AUDIT:?}");
    }
}

/// What is known of a call that was answered so.
fn told<T>(answer: Option<Result<T>>) -> Told {
    match answer {
        Some(Ok(_)) => Told::Acknowledged,
        Some(Err(error)) => effect(&error),
        None => Told::Unknown,
    }
}

/// How long a user is looked at after all until there is an answer, and how long it is waited after none.
const AUDIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(20);

/// The tokens of a stored profile.
fn shown(profile: &Profile) -> Answer {
    assert_eq!(profile.damaged(), [], "nothing is damaged");
    let tokens = profile.entries().filter_map(|(key, entry)| {
        let token = token(entry.value.as_str())?;
        Some((key.as_str().to_owned(), (token, goals(entry.value.as_str()))))
    });
    Answer::ShownWhole(tokens.collect())
}
