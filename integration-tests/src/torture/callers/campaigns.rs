//! VWO's way, a campaign at a time: with what was got, as an SDK's JSON, and proved by a ledger; and the goals, of which none
//! may be lost.

use serde_json::{Value as Json, json};
use stickystore_core::{Result, Value};
use stickystore_services::vwo::Record;
use stickystore_services::{SaveReport, Saved};

use super::super::history::Moment;
use super::super::log::{Answer, Ask, Sent, Told};
use super::super::profiles::{effect, reported};
use super::{Caller, is_mortal};

/// How many in a thousand decisions come with a goal that was reached at once.
pub(super) const WITH_GOAL: u64 = 250;

/// What a get gave, and when it ended; nothing if it failed.
type Got = Option<(Option<Record>, Moment)>;

impl Caller {
    /// Gets a campaign's record, decides, and sets it: as an SDK's JSON, which proves nothing, or as the record that it got.
    pub(super) async fn decide_campaign(&mut self, user: &str) {
        let number = self.dice.below(super::KEYS);
        let key = format!("c{number}");
        let got = self.get(user, &key).await;
        self.think().await;
        let (got, knew) = got.map_or((None, None), |(got, at)| (got, Some(at)));
        let held = got.as_ref().and_then(written);
        let holds = held.as_ref().map(|(variation, token)| (variation.as_str(), token.as_str()));
        let mut decided = self.decide([(number, key.clone(), holds)]);
        let Some(sent) = decided.get_mut(&key) else { return };
        let mut record = match got {
            Some(record) if self.dice.happens(600) => changed(record, sent),
            _ => {
                // It proves nothing of what was got.
                sent.held = None;
                made(user, &key, sent)
            }
        };
        let reach = if self.dice.happens(WITH_GOAL) { Some(self.reaches(user, &mut record)) } else { None };
        let id = self.sends(user, &decided, knew);
        let vwo = self.stores(user).sticky.vwo();
        let report = self.wait(async move { vwo.set(&record).await }).await;
        self.reached(reach, &key, report.as_ref());
        self.sent(id, &decided, report.map(|report| Ok(reported(&report?, &[key]))));
    }

    /// Gets a record and sets another, as SDKs do it on one object of the process, which has a ledger. All of them wait for
    /// their answers: that is what it takes for granted.
    pub(super) async fn decide_by_ledger(&mut self, user: &str) {
        let number = self.dice.below(super::KEYS);
        let key = format!("l{number}");
        let vwo = self.stores(user).ledgered;
        let id = self.reads(user, vec![key.clone()]);
        let got = vwo.get(user, &key).await.ok();
        let at = self.place.log.answer(id, answer(&key, got.as_ref()));
        self.think().await;
        let held = got.as_ref().and_then(Option::as_ref).and_then(written);
        let holds = held.as_ref().map(|(variation, token)| (variation.as_str(), token.as_str()));
        let mut decided = self.decide([(number, key.clone(), holds)]);
        let Some(sent) = decided.get_mut(&key) else { return };
        // The ledger may have forgotten the get, or know two that disagree.
        sent.may_add = true;
        let mut record = made(user, &key, sent);
        let reach = if self.dice.happens(WITH_GOAL) { Some(self.reaches(user, &mut record)) } else { None };
        let id = self.sends(user, &decided, got.is_some().then_some(at));
        let report = vwo.set(&record).await;
        self.reached(reach, &key, Some(&report));
        self.sent(id, &decided, Some(report.map(|report| reported(&report, &[key]))));
    }

    /// Gets a record and adds a goal to it, as an SDK does who has a variation: in the record that it got, or in one made
    /// anew, which is an assignment of its own should the one that stood there have gone.
    pub(super) async fn reach_goal(&mut self, user: &str) {
        let key = format!("c{}", self.dice.below(super::KEYS));
        let Some((Some(got), knew)) = self.get(user, &key).await else { return };
        self.think().await;
        let retired = if self.is_retired(&key) { vec![super::RETIRED.1.to_owned()] } else { Vec::new() };
        let variation = got.variation_name().to_owned();
        let (mut record, decided) = if self.dice.happens(500) {
            (got, None)
        } else {
            let sent = Sent { token: self.token(), held: None, may_add: false, variation, retired };
            (made(user, &key, &sent), Some([(key.clone(), sent)].into()))
        };
        let reach = self.reaches(user, &mut record);
        let id = decided.as_ref().map(|decided| self.sends(user, decided, Some(knew)));
        let vwo = self.stores(user).sticky.vwo();
        let report = self.wait(async move { vwo.set(&record).await }).await;
        self.reached(Some(reach), &key, report.as_ref());
        if let (Some(id), Some(decided)) = (id, decided) {
            self.sent(id, &decided, report.map(|report| Ok(reported(&report?, &[key]))));
        }
    }

    async fn get(&mut self, user: &str, key: &str) -> Got {
        let id = self.reads(user, vec![key.to_owned()]);
        let vwo = self.stores(user).sticky.vwo();
        let (owned, campaign) = (user.to_owned(), key.to_owned());
        let got = self.wait(async move { vwo.get(&owned, &campaign).await }).await.and_then(Result::ok);
        let at = self.place.log.answer(id, answer(key, got.as_ref()));
        got.map(|got| (got, at))
    }

    /// Adds a goal to a record that is going to be set, and says so; gives the number of the call.
    pub(super) fn reaches(&mut self, user: &str, record: &mut Record) -> (u64, String) {
        let goal = format!("g{}", self.token());
        record.add_goal(&goal);
        let ttl = if is_mortal(user) { self.stores(user).ttl } else { None };
        let ask = Ask::Reach { key: record.campaign_key().to_owned(), goal: goal.clone(), ttl };
        (self.place.log.call(self.side, user, ask), goal)
    }

    /// Says what became of it.
    fn reached(&self, reach: Option<(u64, String)>, key: &str, report: Option<&Result<SaveReport>>) {
        let Some((id, goal)) = reach else { return };
        let told = match report {
            None => Told::Unknown,
            Some(Err(error)) => effect(error),
            Some(Ok(report)) => goal_told(report, key, &goal),
        };
        self.place.log.answer(id, Answer::Reached(told));
    }
}

/// What a report says of a goal.
pub(super) fn goal_told(report: &SaveReport, key: &str, goal: &String) -> Told {
    if report.goals_added(key).contains(goal) {
        return Told::Acknowledged;
    }
    match report.get(key) {
        Some(Saved::Inserted | Saved::Replaced { .. } | Saved::Added) => Told::Acknowledged,
        Some(Saved::Failed { error }) => effect(error),
        _ => Told::Refused,
    }
}

fn answer(key: &str, got: Option<&Option<Record>>) -> Answer {
    let Some(got) = got else { return Answer::Nothing };
    let shown = got.as_ref().and_then(|record| {
        let goals = record.goals().map(str::to_owned).collect();
        Some((key.to_owned(), (written(record)?.1, goals)))
    });
    Answer::ShownWhole(shown.into_iter().collect())
}

/// The record that was got, with another variation.
pub(super) fn changed(mut record: Record, sent: &Sent) -> Record {
    record.set_variation_name(sent.variation.as_str());
    record.set_meta_data(Value::new(json!({ "t": sent.token }).to_string()).unwrap());
    record
}

/// The record that an SDK makes anew.
pub(super) fn made(user: &str, key: &str, sent: &Sent) -> Record {
    let Sent { variation, token, .. } = sent;
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
