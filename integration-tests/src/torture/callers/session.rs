//! A session: the user is read once, both SDKs decide on what it shows and reach goals in it, and one commit writes it; what
//! failed may be committed again.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use stickystore_services::SaveReport;
use stickystore_services::session::CommitReport;
use stickystore_services::vwo::Record;

use super::super::log::{Answer, Told};
use super::super::profiles::{BucketMap, Reported, bucketed, reported, tokens};
use super::campaigns::{WITH_GOAL, changed, goal_told, made, written};
use super::{Caller, keys};

impl Caller {
    /// Begins a session, decides some experiments and a campaign, perhaps reaches a goal in it, and commits.
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
        let mut shown: BTreeMap<_, _> =
            tokens(&map).into_iter().map(|(key, token)| (key, (token, Vec::new()))).collect();
        let goals = || got.iter().flat_map(Record::goals).map(str::to_owned).collect();
        shown.extend(holds.iter().map(|(_, token)| (campaign.clone(), (token.clone(), goals()))));
        let answer = if profile.is_some() { Answer::ShownWhole(shown) } else { Answer::Nothing };
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
        let record = match (decided.get(&campaign), got) {
            (Some(sent), Some(record)) if self.dice.happens(500) => Some(changed(record, sent)),
            (Some(sent), _) => Some(made(user, &campaign, sent)),
            (None, got) => got,
        };
        // A record in which nothing was decided is set for its goal, if one is reached.
        let record = record.map(|record| (self.dice.happens(WITH_GOAL), record));
        let record = record.filter(|(reaches, _)| *reaches || decided.contains_key(&campaign));
        if decided.is_empty() && record.is_none() {
            session.discard();
            return;
        }
        // What is saved into the view begins to live there.
        let id = self.sends(user, &decided, profile.is_some().then_some(at));
        let reach = record.and_then(|(reaches, mut record)| {
            let reach = reaches.then(|| self.reaches(user, &mut record));
            view.set(&record).unwrap();
            reach
        });
        for (key, sent) in decided.iter().filter(|(key, _)| **key != campaign) {
            map.insert(key.clone(), bucketed(&sent.variation, &sent.token));
        }
        let saved = json!({ "user_id": user, "experiment_bucket_map": map });
        view.save_json(&saved.to_string()).unwrap();
        let (owned, changed) = (user.to_owned(), decided.keys().cloned().collect::<Vec<_>>());
        let commits_again = self.dice.happens(500);
        let goal = reach.as_ref().map(|(_, goal)| goal.clone());
        let commit = async move {
            let of = |report: CommitReport| report.user(&owned).cloned().unwrap_or_default();
            let goal_of = |report: &SaveReport| goal.as_ref().map(|goal| goal_told(report, &campaign, goal));
            let report = of(session.commit().await);
            let (mut told, mut reached) = (reported(&report, &changed), goal_of(&report));
            if commits_again && told.values().map(|(told, _)| *told).chain(reached).any(has_failed) {
                let again = of(session.commit().await);
                say_again(&mut told, &again, &changed);
                let told_again = goal_of(&again).filter(|_| again.get(&campaign).is_some());
                reached = reached.zip(told_again).map(|(first, second)| later(first, second)).or(reached);
            }
            // A winner may be the one that the session had read, and not stand any more.
            told.values_mut().for_each(|(_, winner)| *winner = None);
            (told, reached)
        };
        let committed: Option<(Reported, Option<Told>)> = self.wait(commit).await;
        let (told, reached) = committed.unzip();
        if let Some((id, _)) = reach {
            self.place.log.answer(id, Answer::Reached(reached.flatten().unwrap_or(Told::Unknown)));
        }
        self.sent(id, &decided, told.map(Ok));
    }
}

fn has_failed(told: Told) -> bool {
    matches!(told, Told::Failed | Told::Unknown)
}

/// What is known of something that was committed again, if it had failed.
fn later(first: Told, second: Told) -> Told {
    // The second attempt was not applied, perhaps because the first one stands; of that nobody knows.
    let is_open = first == Told::Unknown && second != Told::Acknowledged;
    if has_failed(first) && !is_open { second } else { first }
}

/// What is known of what was committed again: the second report has what failed in the first.
pub(super) fn say_again(told: &mut Reported, again: &SaveReport, changed: &[String]) {
    for (key, saved) in reported(again, changed) {
        let first = told[&key].0;
        if again.get(&key).is_some() && later(first, saved.0) != first {
            told.insert(key, saved);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_have_been_applied_is_not_known_to_be_refused_by_a_second_attempt() {
        use Told::{Acknowledged, Failed, Refused, Unknown};
        for (first, second, known) in [
            (Unknown, Acknowledged, Acknowledged),
            (Unknown, Refused, Unknown),
            (Unknown, Failed, Unknown),
            (Failed, Refused, Refused),
            (Failed, Unknown, Unknown),
            (Acknowledged, Refused, Acknowledged),
            (Refused, Acknowledged, Refused),
        ] {
            assert_eq!(later(first, second), known, "{first:?}, then {second:?}");
        }
    }
}
