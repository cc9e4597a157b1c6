//! Recordings of VWO's SDK for Node: `get` and `set` of a record.
//!
//! The SDK makes each record that it sets anew. It is replayed as a Rust caller: a set passes on the record that the last
//! answered get of that user and campaign in the scenario returned; a get that failed, or found none, leaves none.
//!
//! After each set, what is stored is compared with what the recording's own store had then: it overwrote the whole
//! record. Goals are a set; their order does not count.

use std::collections::{BTreeSet, HashMap};
use std::error::Error;

use serde_json::{Map, Value};
use stickystore_services::vwo::{Dialect, Record, UserStorageService};

use super::difference::{Difference, Reason};
use super::{Sdk, Stage, Stored};
use crate::recording::Recorded;

const GOALS: &str = "goalIdentifier";

/// Scenario, user, campaign.
type Place = (String, String, String);

/// A replay on its way.
pub(crate) struct Vwo {
    stage: Stage,
    /// What the last answered get returned.
    read: HashMap<Place, Record>,
    /// The record in the recording's own store.
    recorded: HashMap<Place, Value>,
}

impl Vwo {
    pub(crate) fn new(stage: Stage) -> Self {
        Self { stage, read: HashMap::new(), recorded: HashMap::new() }
    }
}

impl Sdk for Vwo {
    fn call(&mut self, call: &Recorded) -> Result<Option<Difference>, Box<dyn Error>> {
        self.stage.store.set_failing(call.exc.is_some());
        let (recorded, ours) = match (call.method.as_str(), call.args.as_slice()) {
            ("get", [Value::String(user), Value::String(campaign)]) => self.get(call, user, campaign)?,
            ("set", [record]) => self.set(call, record)?,
            ("get", _) => return Err("the arguments of a get are a user id and a campaign key".into()),
            ("set", _) => return Err("the argument of a set is a record".into()),
            (other, _) => return Err(format!("its method is {other:?}, not get or set").into()),
        };
        Ok(difference(call.seq, recorded, ours))
    }
}

impl Vwo {
    fn get(&mut self, call: &Recorded, user: &str, campaign: &str) -> Result<(Value, Value), Box<dyn Error>> {
        let place = (call.scenario.clone(), user.to_owned(), campaign.to_owned());
        self.read.remove(&place);
        let answer = self.service(&call.scenario)?.get(user, campaign);
        if call.exc.is_some() {
            return match answer {
                Err(_) => Ok((Value::Null, Value::Null)),
                Ok(_) => Err("the store was to fail, and the get was answered".into()),
            };
        }
        let record = answer?;
        let ours = json(record.as_ref())?;
        self.read.extend(record.filter(|_| self.stage.with_proof).map(|record| (place, record)));
        Ok((call.ret.clone(), ours))
    }

    fn set(&mut self, call: &Recorded, argument: &Value) -> Result<(Value, Value), Box<dyn Error>> {
        let mut record = Record::parse(&argument.to_string())?;
        let (user, campaign) = (record.user_id().to_owned(), record.campaign_key().to_owned());
        let place = (call.scenario.clone(), user.clone(), campaign.clone());
        if let Some(read) = self.read.get(&place) {
            record = record.after(read);
        }
        let service = self.service(&call.scenario)?;
        let report = service.set(&record)?;
        self.stage.store.set_failing(false);
        match (&call.exc, report.error()) {
            (None, Some(error)) => return Err(error.clone().into()),
            (None, None) => {
                self.recorded.insert(place.clone(), argument.clone());
            }
            // One that has nothing to write has nothing that can fail.
            (Some(_), _) => {}
        }
        let recorded = self.recorded.get(&place).cloned().unwrap_or(Value::Null);
        Ok((recorded, json(service.get(&user, &campaign)?.as_ref())?))
    }

    fn service(&self, scenario: &str) -> Result<UserStorageService<Stored>, Box<dyn Error>> {
        Ok(UserStorageService::new(self.stage.store.clone(), self.stage.settings(scenario)?))
    }
}

fn json(record: Option<&Record>) -> Result<Value, Box<dyn Error>> {
    let text = record.map_or_else(|| "null".to_owned(), |record| record.to_json(Dialect::Node));
    Ok(serde_json::from_str(&text)?)
}

fn difference(seq: u64, recorded: Value, ours: Value) -> Option<Difference> {
    let (was, had) = taken_apart(&recorded);
    let (is, has) = taken_apart(&ours);
    if was == is && had == has {
        return None;
    }
    let all_known = had.is_subset(&has) && was.keys().all(|member| is.contains_key(member));
    let all_there = was.iter().all(|(member, value)| is.get(member) == Some(value));
    let reason = match (all_known, all_there) {
        (true, true) => Reason::SdkLostData,
        (true, false) => Reason::Unproven,
        (false, _) => Reason::OursLostData,
    };
    Some(Difference { seq, recorded, ours, reason })
}

/// The members of a record but for its goals, and these.
fn taken_apart(record: &Value) -> (Map<String, Value>, BTreeSet<&str>) {
    let goals = record.get(GOALS).and_then(Value::as_str).unwrap_or_default();
    let goals = goals.split("_vwo_").filter(|goal| !goal.is_empty()).collect();
    let mut members = record.as_object().cloned().unwrap_or_default();
    members.remove(GOALS);
    (members, goals)
}
