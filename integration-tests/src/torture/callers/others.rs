//! VWO's way, a campaign at a time; `assign`, which needs no SDK; who only looks; and who erases.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use stickystore::How;
use stickystore_core::{Profile, Result, Value};
use stickystore_services::vwo::Record;

use super::super::history::NEVER;
use super::super::log::{Answer, Ask, Told};
use super::super::profiles::{effect, reported, token};
use super::{Caller, all_keys};

impl Caller {
    /// Gets a campaign's record, decides, and sets it: as an SDK's JSON, which proves nothing, or as the record that it got.
    pub(super) async fn decide_campaign(&mut self, user: &str) {
        let number = self.dice.below(super::KEYS);
        let key = format!("c{number}");
        let sticky = self.stores(user).sticky;
        let id = self.place.log.call(self.side, user, Ask::Read { keys: vec![key.clone()] });
        let (vwo, owned, campaign) = (sticky.vwo(), user.to_owned(), key.clone());
        let got = self.wait(async move { vwo.get(&owned, &campaign).await }).await.and_then(Result::ok);
        let held = got.as_ref().and_then(Option::as_ref).and_then(written);
        let shown = held.iter().map(|(_, token)| (key.clone(), token.clone())).collect();
        let answer = if got.is_some() { Answer::Shown(shown) } else { Answer::Nothing };
        let at = self.place.log.answer(id, answer);
        let knew = got.is_some().then_some(at);
        self.think().await;
        let holds = held.as_ref().map(|(variation, token)| (variation.as_str(), token.as_str()));
        let decided = self.decide([(number, key.clone(), holds)]);
        let Some((variation, sent)) = decided.get(&key) else { return };
        let meta = json!({ "t": sent.token }).to_string();
        let record = match got.flatten() {
            Some(mut record) if self.dice.happens(600) => {
                record.set_variation_name(*variation);
                record.set_meta_data(Value::new(meta).unwrap());
                record
            }
            _ => {
                let text = format!(
                    r#"{{"userId":"{user}","campaignKey":"{key}","variationName":"{variation}","metaData":{meta}}}"#
                );
                Record::parse(&text).unwrap()
            }
        };
        let id = self.sends(user, &decided, knew);
        let (vwo, changed) = (sticky.vwo(), [key]);
        let set = async move { Ok(reported(&vwo.set(&record).await?, &changed)) };
        let report = self.wait(set).await;
        self.sent(id, &decided, report);
    }

    /// Assigns, whatever was.
    pub(super) async fn assign(&mut self, user: &str) {
        let number = self.dice.below(super::KEYS);
        let key = format!("a{number}");
        let decided = self.decide([(number, key.clone(), None)]);
        let Some((variation, sent)) = decided.get(&key) else { return };
        let value = json!({ "assigned": variation, "t": sent.token }).to_string();
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

    /// Looks at everything that the user has.
    pub(super) async fn look(&mut self, user: &str) {
        let id = self.place.log.call(self.side, user, Ask::Read { keys: all_keys() });
        let (sticky, owned) = (self.stores(user).sticky, user.to_owned());
        let profile = self.wait(async move { sticky.load(&owned).await }).await.and_then(Result::ok);
        let answer = profile.as_ref().map_or(Answer::Nothing, shown);
        self.place.log.answer(id, answer);
    }

    /// Erases the user.
    pub(super) async fn erase(&mut self, user: &str) {
        let id = self.place.log.call(self.side, user, Ask::Erase);
        let (sticky, owned) = (self.stores(user).sticky, user.to_owned());
        let erased = self.wait(async move { sticky.erase(&owned).await }).await;
        self.place.log.answer(id, Answer::Erased { surely: matches!(erased, Some(Ok(_))) });
    }

    /// Looks at a user until there is an answer.
    pub(crate) async fn audit(&mut self, user: &str) {
        for _ in 0..AUDITS {
            let id = self.place.log.call(self.side, user, Ask::Read { keys: all_keys() });
            match self.stores(user).sticky.load(user).await {
                Ok(profile) => {
                    self.place.log.answer(id, shown(&profile));
                    return;
                }
                Err(_) => {
                    self.place.log.answer(id, Answer::Nothing);
                }
            }
        }
        panic!("no answer about {user} after {AUDITS} attempts");
    }
}

/// How often a user is looked at in the end until there is an answer.
const AUDITS: usize = 60;

/// The tokens of a stored profile.
fn shown(profile: &Profile) -> Answer {
    assert_eq!(profile.damaged(), [], "nothing is damaged");
    let tokens = profile.entries().filter_map(|(key, entry)| {
        let token = token(entry.value.as_str())?;
        Some((key.as_str().to_owned(), token))
    });
    Answer::Shown(tokens.collect())
}

/// What a record says: the variation, and the token of its write.
fn written(record: &Record) -> Option<(String, String)> {
    let meta: Json = serde_json::from_str(record.meta_data()?.as_str()).ok()?;
    Some((record.variation_name().to_owned(), meta.get("t")?.as_str()?.to_owned()))
}
