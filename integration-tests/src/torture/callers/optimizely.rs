//! Optimizely's ways: the whole map, with what was passed by attribute or without, and only tracking.

use serde_json::Value as Json;

use super::super::history::Moment;
use super::super::log::{Answer, Side};
use super::super::profiles::{BucketMap, bucketed, tokens};
use super::{Caller, keys};

/// How many in a thousand saves have lost what the SDK does not know: the receipt, and experiments that it did not decide.
const PRUNED: u64 = 50;

impl Caller {
    /// Looks the profile up, decides, and saves the whole map. A lookup that failed is an empty profile.
    pub(super) async fn decide_whole(&mut self, user: &str) {
        let (map, knew) = self.lookup(user).await.unwrap_or_default();
        self.think().await;
        self.bucket_and_save(user, map, knew, false).await;
    }

    /// Fetches a map, decides later with that map laid over what the lookup gives.
    pub(super) async fn decide_by_attribute(&mut self, user: &str) {
        let fetched = self.fetch(user).await;
        self.think().await;
        let looked_up = if self.dice.happens(700) { self.lookup(user).await } else { None };
        let knew = match (&fetched, &looked_up) {
            // Both have their receipts, and each proves what it shows.
            (Some((_, fetched)), Some((_, looked_up))) => fetched.max(looked_up).to_owned(),
            (Some((_, knew)), None) | (None, Some((_, knew))) => *knew,
            (None, None) => None,
        };
        let mut map = looked_up.map(|(map, _)| map).unwrap_or_default();
        map.extend(fetched.map(|(map, _)| map).unwrap_or_default());
        self.think().await;
        // Of two maps in one the receipt is the fetched one's, which does not prove what only the other shows.
        self.bucket_and_save(user, map, knew, true).await;
    }

    /// Saves what it decides for a user of whom it never reads anything.
    pub(super) async fn track(&mut self, user: &str) {
        let keys = self.some_keys("e");
        let decided = self.decide(keys.into_iter().map(|(number, key)| (number, key, None)));
        let map = decided.iter().map(|(key, sent)| (key.clone(), bucketed(&sent.variation, &sent.token)));
        let map: BucketMap = map.collect();
        if map.is_empty() {
            return;
        }
        let id = self.sends(user, &decided, None);
        let changed: Vec<_> = decided.keys().cloned().collect();
        let (profiles, owned) = (self.stores(user).tracking, user.to_owned());
        let report = self.wait(async move { profiles.save(&owned, map, &changed).await }).await;
        self.sent(id, &decided, report);
    }

    async fn lookup(&mut self, user: &str) -> Option<(BucketMap, Option<Moment>)> {
        let id = self.reads(user, keys("e"));
        let (profiles, owned) = (self.profiles(user), user.to_owned());
        let map = self.wait(async move { profiles.lookup(&owned).await }).await;
        self.shown(id, map.and_then(Result::ok))
    }

    async fn fetch(&mut self, user: &str) -> Option<(BucketMap, Option<Moment>)> {
        let id = self.reads(user, keys("e"));
        let (profiles, owned) = (self.profiles(user), user.to_owned());
        let map = self.wait(async move { profiles.bucket_map(&owned).await }).await;
        self.shown(id, map.and_then(Result::ok))
    }

    fn shown(&self, id: u64, map: Option<BucketMap>) -> Option<(BucketMap, Option<Moment>)> {
        let answer = map.as_ref().map_or(Answer::Nothing, |map| Answer::Shown(tokens(map)));
        let at = self.place.log.answer(id, answer);
        map.map(|map| (map, Some(at)))
    }

    async fn bucket_and_save(&mut self, user: &str, mut map: BucketMap, knew: Option<Moment>, may_add: bool) {
        let keys = self.some_keys("e");
        let text = |entry: Option<&Json>| entry.and_then(Json::as_str).map(str::to_owned);
        let held: Vec<_> = keys
            .into_iter()
            .map(|(number, key)| {
                let entry = map.get(&key);
                let held = text(entry.and_then(|entry| entry.get("variation_id")))
                    .zip(text(entry.and_then(|entry| entry.get("t"))));
                (number, key, held)
            })
            .collect();
        let mut decided = self.decide(held.iter().map(|(number, key, held)| {
            let held = held.as_ref().map(|(variation, token)| (variation.as_str(), token.as_str()));
            (*number, key.clone(), held)
        }));
        if decided.is_empty() {
            return;
        }
        let profiles = self.profiles(user);
        if self.side == Side::Ours && self.dice.happens(PRUNED) {
            map.clear();
            if profiles.is_proof_in_map() {
                // Without its receipt it proves nothing of what it shows.
                decided.values_mut().for_each(|sent| sent.held = None);
            }
        }
        // What a process remembers may be of another caller, or gone.
        let may_add = may_add || !profiles.is_proof_in_map();
        decided.values_mut().for_each(|sent| sent.may_add = may_add);
        for (key, sent) in &decided {
            map.insert(key.clone(), bucketed(&sent.variation, &sent.token));
        }
        let id = self.sends(user, &decided, knew);
        let changed: Vec<_> = decided.keys().cloned().collect();
        let owned = user.to_owned();
        let report = self.wait(async move { profiles.save(&owned, map, &changed).await }).await;
        self.sent(id, &decided, report);
    }
}
