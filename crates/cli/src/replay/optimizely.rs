//! Recordings of Optimizely's SDKs: `lookup` and `save` of whole profiles.
//!
//! The SDKs send back what they were handed, receipt included; a recording was made without receipts. So each save is
//! given the receipt of that user's last answered lookup in the scenario; a lookup that failed leaves none.
//!
//! After each save, what is stored is compared with what the recording's own store had then: it overwrote the whole
//! profile.

use std::collections::HashMap;
use std::error::Error;

use serde_json::{Map, Value};
use stickystore_services::Receipts;
use stickystore_services::optimizely::{RECEIPT_KEY, UserProfileService};

use super::difference::{Difference, Reason};
use super::{Sdk, Stage, Stored};
use crate::recording::Recorded;

/// A replay on its way.
pub(crate) struct Optimizely {
    stage: Stage,
    /// By scenario and user: the receipt of the last answered lookup.
    receipts: HashMap<(String, String), Value>,
    /// By scenario and user: the bucket map in the recording's own store.
    recorded: HashMap<(String, String), Value>,
}

impl Optimizely {
    pub(crate) fn new(stage: Stage) -> Self {
        Self { stage, receipts: HashMap::new(), recorded: HashMap::new() }
    }
}

impl Sdk for Optimizely {
    fn call(&mut self, call: &Recorded) -> Result<Option<Difference>, Box<dyn Error>> {
        let argument = call.args.first().ok_or("it has no argument")?;
        self.stage.store.set_failing(call.exc.is_some());
        let (recorded, ours) = match call.method.as_str() {
            "lookup" => self.lookup(call, argument.as_str().ok_or("its argument is not a user id")?)?,
            "save" => self.save(call, argument)?,
            other => return Err(format!("its method is {other:?}, not lookup or save").into()),
        };
        Ok(difference(call.seq, recorded, ours))
    }
}

impl Optimizely {
    fn lookup(&mut self, call: &Recorded, user: &str) -> Result<(Value, Value), Box<dyn Error>> {
        let place = (call.scenario.clone(), user.to_owned());
        self.receipts.remove(&place);
        let answer = self.service(&call.scenario)?.lookup_json(user);
        if call.exc.is_some() {
            return match answer {
                Err(_) => Ok((Value::Null, Value::Null)),
                Ok(_) => Err("the store was to fail, and the lookup was answered".into()),
            };
        }
        let (map, receipt) = bucket_map(serde_json::from_str(&answer?)?);
        self.receipts.extend(receipt.filter(|_| self.stage.with_proof).map(|receipt| (place, receipt)));
        Ok((bucket_map(call.ret.clone()).0, map))
    }

    fn save(&mut self, call: &Recorded, profile: &Value) -> Result<(Value, Value), Box<dyn Error>> {
        let user =
            profile.get("user_id").and_then(Value::as_str).ok_or("it saves a profile without user_id")?;
        let place = (call.scenario.clone(), user.to_owned());
        let mut sent = profile.clone();
        if let (Some(receipt), Some(map)) =
            (self.receipts.get(&place), sent.get_mut("experiment_bucket_map").and_then(Value::as_object_mut))
        {
            map.insert(RECEIPT_KEY.to_owned(), receipt.clone());
        }
        let service = self.service(&call.scenario)?;
        let report = service.save_json(&sent.to_string())?;
        self.stage.store.set_failing(false);
        match (&call.exc, report.error()) {
            (None, Some(error)) => return Err(error.clone().into()),
            (None, None) => {
                self.recorded.insert(place.clone(), bucket_map(profile.clone()).0);
            }
            // One that has nothing to write has nothing that can fail.
            (Some(_), _) => {}
        }
        let recorded = self.recorded.get(&place).cloned().unwrap_or(Value::Null);
        Ok((recorded, bucket_map(serde_json::from_str(&service.lookup_json(user)?)?).0))
    }

    fn service(&self, scenario: &str) -> Result<UserProfileService<Stored>, Box<dyn Error>> {
        let settings = self.stage.settings(scenario)?.with_receipts(Receipts::On);
        Ok(UserProfileService::new(self.stage.store.clone(), settings))
    }
}

/// The experiments of a profile, `null` if there are none; and its receipt.
fn bucket_map(mut profile: Value) -> (Value, Option<Value>) {
    let map = profile.get_mut("experiment_bucket_map").map(Value::take);
    let Some(Value::Object(mut map)) = map else { return (Value::Null, None) };
    let receipt = map.remove(RECEIPT_KEY);
    (if map.is_empty() { Value::Null } else { Value::Object(map) }, receipt)
}

fn difference(seq: u64, recorded: Value, ours: Value) -> Option<Difference> {
    if recorded == ours {
        return None;
    }
    let none = Map::new();
    let (was, is) = (recorded.as_object().unwrap_or(&none), ours.as_object().unwrap_or(&none));
    let all_there = was.iter().all(|(experiment, entry)| is.get(experiment) == Some(entry));
    let all_known = was.keys().all(|experiment| is.contains_key(experiment));
    let reason = match (all_there, all_known) {
        (true, _) => Reason::SdkLostData,
        (false, true) => Reason::Unproven,
        (false, false) => Reason::OursLostData,
    };
    Some(Difference { seq, recorded, ours, reason })
}
