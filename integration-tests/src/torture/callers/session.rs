//! A session: the user is read once, both SDKs decide on what it shows, and one commit writes it; what failed may be committed
//! again.

use serde_json::{Value as Json, json};
use stickystore_core::Result;
use stickystore_services::SaveReport;

use super::super::log::{Answer, Told};
use super::super::profiles::{BucketMap, Reported, bucketed, reported, tokens};
use super::campaigns::{changed, made, written};
use super::{Caller, keys};

impl Caller {
    /// Begins a session, decides some experiments and a campaign, and commits.
    pub(super) async fn decide_in_session(&mut self, user: &str) {
        let number = self.dice.below(super::KEYS);
        let campaign = format!("c{number}");
        let asked = keys("e").into_iter().chain([campaign.clone()]).collect();
        let id = self.reads(user, asked);
        let (sticky, owned) = (self.stores(user).sticky, user.to_owned());
        let Some(Ok(session)) = self.wait(async move { sticky.begin(&owned).await }).await else {
            self.place.log.answer(id, Answer::Nothing);
            return;
        };
        let view = session.view().clone();
        let profile = view.lookup_json(user).ok();
        let map = profile.as_ref().and_then(|profile| serde_json::from_str::<Json>(profile).ok());
        let map =
            map.as_ref().and_then(|profile| profile.get("experiment_bucket_map")).and_then(Json::as_object);
        let mut map: BucketMap = map.cloned().unwrap_or_default();
        let got = view.get(user, &campaign).ok().flatten();
        let holds = got.as_ref().and_then(written);
        let mut shown = tokens(&map);
        shown.extend(holds.iter().map(|(_, token)| (campaign.clone(), token.clone())));
        let answer = if profile.is_some() { Answer::Shown(shown) } else { Answer::Nothing };
        let at = self.place.log.answer(id, answer);
        self.think().await;
        let text = |entry: Option<&Json>| entry.and_then(Json::as_str).map(str::to_owned);
        let mut asked: Vec<_> = self
            .some_keys("e")
            .into_iter()
            .map(|(number, key)| {
                let entry = map.get(&key);
                let held = text(entry.and_then(|entry| entry.get("variation_id")))
                    .zip(text(entry.and_then(|entry| entry.get("t"))));
                (number, key, held)
            })
            .collect();
        asked.push((number, campaign.clone(), holds));
        let decided = self.decide(asked.iter().map(|(number, key, held)| {
            let held = held.as_ref().map(|(variation, token)| (variation.as_str(), token.as_str()));
            (*number, key.clone(), held)
        }));
        if decided.is_empty() {
            session.discard();
            return;
        }
        // What is saved into the view begins to live there.
        let id = self.sends(user, &decided, profile.is_some().then_some(at));
        let mut got = got;
        for (key, sent) in &decided {
            if *key == campaign {
                let record = match got.take() {
                    Some(record) if self.dice.happens(500) => changed(record, sent),
                    _ => made(user, key, sent),
                };
                view.set(&record).unwrap();
            } else {
                map.insert(key.clone(), bucketed(&sent.variation, &sent.token));
            }
        }
        let saved = json!({ "user_id": user, "experiment_bucket_map": map });
        view.save_json(&saved.to_string()).unwrap();
        let (owned, changed) = (user.to_owned(), decided.keys().cloned().collect::<Vec<_>>());
        let commits_again = self.dice.happens(500);
        let commit = async move {
            let report = session.commit().await;
            let mut told = reported(report.user(&owned).unwrap_or(&SaveReport::default()), &changed);
            if commits_again && told.values().any(|(told, _)| matches!(told, Told::Failed | Told::Unknown)) {
                let again = session.commit().await;
                say_again(&mut told, &again.user(&owned).cloned().unwrap_or_default(), &changed);
            }
            // A winner may be the one that the session had read, and not stand any more.
            told.values_mut().for_each(|(_, winner)| *winner = None);
            Ok(told)
        };
        let report: Option<Result<Reported>> = self.wait(commit).await;
        self.sent(id, &decided, report);
    }
}

/// What is known of what was committed again: the second report has what failed in the first.
pub(super) fn say_again(told: &mut Reported, again: &SaveReport, changed: &[String]) {
    for (key, saved) in reported(again, changed) {
        let first = told[&key].0;
        let has_failed = matches!(first, Told::Failed | Told::Unknown);
        // The second attempt was not applied; of the first one nobody knows.
        let is_open = first == Told::Unknown && saved.0 == Told::Failed;
        if again.get(&key).is_some() && has_failed && !is_open {
            told.insert(key, saved);
        }
    }
}
