//! VWO's way, a campaign at a time: with what was got, as an SDK's JSON, and proved by a ledger.

use serde_json::{Value as Json, json};
use stickystore_core::{Result, Value};
use stickystore_services::vwo::Record;

use super::super::log::{Answer, Ask};
use super::super::profiles::reported;
use super::Caller;

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
        let record = match got.flatten() {
            Some(record) if self.dice.happens(600) => changed(record, variation, &sent.token),
            _ => made(user, &key, variation, &sent.token),
        };
        let id = self.sends(user, &decided, knew);
        let (vwo, changed) = (sticky.vwo(), [key]);
        let set = async move { Ok(reported(&vwo.set(&record).await?, &changed)) };
        let report = self.wait(set).await;
        self.sent(id, &decided, report);
    }

    /// Gets a record and sets another, as SDKs do it on one object of the process, which has a ledger. All of them wait for
    /// their answers: that is what it takes for granted.
    pub(super) async fn decide_by_ledger(&mut self, user: &str) {
        let number = self.dice.below(super::KEYS);
        let key = format!("l{number}");
        let vwo = self.stores(user).ledgered;
        let id = self.place.log.call(self.side, user, Ask::Read { keys: vec![key.clone()] });
        let got = vwo.get(user, &key).await.ok();
        let held = got.as_ref().and_then(Option::as_ref).and_then(written);
        let shown = held.iter().map(|(_, token)| (key.clone(), token.clone())).collect();
        let answer = if got.is_some() { Answer::Shown(shown) } else { Answer::Nothing };
        let at = self.place.log.answer(id, answer);
        self.think().await;
        let holds = held.as_ref().map(|(variation, token)| (variation.as_str(), token.as_str()));
        let decided = self.decide([(number, key.clone(), holds)]);
        let Some((variation, sent)) = decided.get(&key) else { return };
        let record = made(user, &key, variation, &sent.token);
        let id = self.sends(user, &decided, got.is_some().then_some(at));
        let report = vwo.set(&record).await.map(|report| reported(&report, &[key]));
        self.sent(id, &decided, Some(report));
    }
}

/// The record that was got, with another variation.
pub(super) fn changed(mut record: Record, variation: &str, token: &str) -> Record {
    record.set_variation_name(variation);
    record.set_meta_data(Value::new(json!({ "t": token }).to_string()).unwrap());
    record
}

/// The record that an SDK makes anew.
pub(super) fn made(user: &str, key: &str, variation: &str, token: &str) -> Record {
    let record = json!({
        "userId": user, "campaignKey": key, "variationName": variation, "metaData": { "t": token }
    });
    Record::parse(&record.to_string()).unwrap()
}

/// What a record says: the variation, and the token of its write.
pub(super) fn written(record: &Record) -> Option<(String, String)> {
    let meta: Json = serde_json::from_str(record.meta_data()?.as_str()).ok()?;
    Some((record.variation_name().to_owned(), meta.get("t")?.as_str()?.to_owned()))
}
