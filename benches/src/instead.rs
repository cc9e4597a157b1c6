//! What a user would pick instead: OpenDAL, with a user's profile as one JSON text under the user's name.
//!
//! Every change is a read and a write of all of it, and nothing keeps two writers apart: whoever writes last takes away what
//! the other had given. Entries have no expiry and no revision of their own, an erasure leaves no mark, and no call has a
//! deadline. So it is no like for like, but what the same need is met with where nothing better is at hand.

use std::collections::BTreeMap;

use futures::future::join_all;
use opendal::{ErrorKind, Operator};
use serde_json::Value;
use stickystore_core::Subject;

use crate::crowd::Crowd;
use crate::measure::Contender;
use crate::operation::{ENTRIES, Operation};
use crate::words::{VALUE, VARIATION, key, subject};

type Profile = BTreeMap<String, Value>;

/// An operator of one of its services.
#[derive(Clone)]
pub(crate) struct Instead(Operator);

impl Instead {
    pub(crate) fn new(builder: impl opendal::Builder) -> Self {
        Self(Operator::new(builder).expect("a service").finish())
    }

    pub(crate) async fn fill(&self, crowd: &Crowd) {
        for part in crowd.parts() {
            join_all(part.iter().map(|user| self.write(user, profile(0..crowd.filled)))).await;
        }
    }

    pub(crate) fn contender(&self, operation: Operation, callers: usize, crowd: &Crowd) -> Contender {
        let (instead, crowd) = (self.clone(), crowd.clone());
        Contender::new("opendal", callers, move |i| {
            let (instead, crowd) = (instead.clone(), crowd.clone());
            async move { instead.run(operation, &crowd, i).await }
        })
    }

    async fn run(&self, operation: Operation, crowd: &Crowd, i: usize) {
        let (user, name) = (crowd.nth(i), key(i % crowd.filled).to_string());
        match operation {
            Operation::Load(entries) => assert_eq!(self.read(user).await.len(), entries),
            Operation::Get | Operation::AssignExisting => {
                assert!(self.read(user).await.contains_key(&name));
            }
            Operation::AssignNew => self.add(&subject(), profile(0..1)).await,
            Operation::Save => self.add(&subject(), profile(0..ENTRIES)).await,
            Operation::Put => {
                let mut profile = self.read(user).await;
                profile.insert(name, serde_json::from_str(VALUE).expect("it is JSON"));
                self.write(user, profile).await;
            }
            Operation::ReadMany => {
                let found = join_all(crowd.many(i).map(|user| self.read(user))).await;
                assert!(found.iter().all(|profile| profile.len() == ENTRIES));
            }
            Operation::Erase => self.0.delete(path(user)).await.expect("a delete"),
        }
    }

    /// To what there is.
    async fn add(&self, user: &Subject, entries: Profile) {
        let mut profile = self.read(user).await;
        profile.extend(entries);
        self.write(user, profile).await;
    }

    async fn read(&self, user: &Subject) -> Profile {
        loop {
            match self.0.read(path(user)).await {
                Ok(text) => return serde_json::from_slice(&text.to_vec()).expect("what was written"),
                Err(error) if error.kind() == ErrorKind::NotFound => return Profile::new(),
                // Its connections give an answer up after half a second, which a busy machine takes.
                Err(error) if error.is_temporary() => {}
                Err(error) => panic!("a read: {error}"),
            }
        }
    }

    async fn write(&self, user: &Subject, profile: Profile) {
        let text = serde_json::to_vec(&profile).expect("it is JSON");
        loop {
            match self.0.write(path(user), text.clone()).await {
                Ok(_) => return,
                Err(error) if error.is_temporary() => {}
                Err(error) => panic!("a write: {error}"),
            }
        }
    }
}

fn profile(places: std::ops::Range<usize>) -> Profile {
    let entry = |place| (key(place).to_string(), serde_json::json!({ "variation_id": VARIATION }));
    places.map(entry).collect()
}

fn path(user: &Subject) -> &str {
    user.user.as_str()
}
