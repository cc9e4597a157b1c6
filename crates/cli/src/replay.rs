//! `replay`: the recorded traffic of a real SDK through the service, each answer compared with the recording.
//!
//! The SDKs send back what they were handed, receipt included; a recording was made without receipts. So each save is
//! given the receipt of that user's last answered lookup in the scenario; a lookup that failed leaves none.
//!
//! After each save, what is stored is compared with what the recording's own store had then: it overwrote the whole
//! profile. Where that lost data, or where nothing proves the save, ours differs, and has to be listed as expected.

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stickystore_core::Namespace;
use stickystore_core::memory::MemoryStore;
use stickystore_services::optimizely::{RECEIPT_KEY, UserProfileService};
use stickystore_services::{Receipts, Settings};

use crate::failing::Failing;
use crate::recording::{Recorded, Recording, Unusable};
use crate::{Answer, PATIENCE, say};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The recording: lines of JSON.
    file: PathBuf,
    /// The differences that are expected [default: FILE with the ending .expected-differences.json, if it is there;
    /// none with --no-proof].
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// Send the saves bare, without receipts: none proves what its caller read.
    #[arg(long)]
    no_proof: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// A call whose outcome is not what was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Difference {
    seq: u64,
    /// The bucket map that the recording has.
    recorded: Value,
    /// The one that we have.
    ours: Value,
    reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reason {
    /// The recording lost entries that we still have.
    SdkLostData,
    /// The save changed what it does not prove to have read; we kept it.
    Unproven,
    /// We lost entries that the recording still has: a defect, never expected.
    OursLostData,
}

#[derive(Serialize)]
struct Found {
    sdk: String,
    calls: usize,
    answered_as_recorded: usize,
    expected_differences: Vec<Difference>,
    unexpected_differences: Vec<Difference>,
    missing_differences: Vec<Difference>,
}

pub(crate) fn run(options: &Options) -> Result<Answer, Box<dyn Error>> {
    let recording = Recording::open(&options.file)?;
    if !recording.sdk.starts_with("optimizely") {
        let what = format!("is of {}; replay knows recordings of Optimizely's SDKs", recording.sdk);
        return Err(Unusable::new(&options.file, what).into());
    }
    let expected = expected_differences(options)?;
    if recording.calls.is_empty() {
        return Err(
            Unusable::new(&options.file, "has no row of kind \"call\": there is nothing to replay").into()
        );
    }
    let mut differences = Vec::new();
    let mut replay = Replay::new(!options.no_proof);
    for call in &recording.calls {
        let difference = replay
            .call(call)
            .map_err(|error| Unusable::new(&options.file, format!("call {}: {error}", call.seq)))?;
        differences.extend(difference);
    }
    let answered_as_recorded = recording.calls.len() - differences.len();
    let (expected_differences, unexpected_differences): (Vec<_>, Vec<_>) =
        differences.into_iter().partition(|one| one.reason != Reason::OursLostData && expected.contains(one));
    let found = Found {
        sdk: recording.sdk,
        calls: recording.calls.len(),
        answered_as_recorded,
        missing_differences: expected.into_iter().filter(|one| !expected_differences.contains(one)).collect(),
        expected_differences,
        unexpected_differences,
    };
    let text = if options.json {
        serde_json::to_string(&found)?
            + "
"
    } else {
        in_words(&found)
    };
    say(&text)?;
    let good = found.unexpected_differences.is_empty() && found.missing_differences.is_empty();
    Ok(if good { Answer::Yes } else { Answer::No })
}

fn expected_differences(options: &Options) -> Result<Vec<Difference>, Box<dyn Error>> {
    let beside = options.file.with_extension("expected-differences.json");
    let file: &Path = match &options.expected {
        Some(file) => file,
        None if beside.exists() && !options.no_proof => &beside,
        None => return Ok(Vec::new()),
    };
    let text = std::fs::read_to_string(file).map_err(|error| Unusable::new(file, error.to_string()))?;
    let expected = serde_json::from_str(&text);
    Ok(expected.map_err(|error| Unusable::new(file, format!("is no list of differences: {error}")))?)
}

/// A replay on its way.
struct Replay {
    store: Failing<MemoryStore>,
    with_proof: bool,
    /// By scenario and user: the receipt of the last answered lookup.
    receipts: HashMap<(String, String), Value>,
    /// By scenario and user: the bucket map in the recording's own store.
    recorded: HashMap<(String, String), Value>,
}

impl Replay {
    fn new(with_proof: bool) -> Self {
        let store = Failing::new(MemoryStore::new());
        Self { store, with_proof, receipts: HashMap::new(), recorded: HashMap::new() }
    }

    /// Makes one call and compares it.
    fn call(&mut self, call: &Recorded) -> Result<Option<Difference>, Box<dyn Error>> {
        let argument = call.args.first().ok_or("it has no argument")?;
        self.store.set_failing(call.exc.is_some());
        let (recorded, ours) = match call.method.as_str() {
            "lookup" => self.lookup(call, argument.as_str().ok_or("its argument is not a user id")?)?,
            "save" => self.save(call, argument)?,
            other => return Err(format!("its method is {other:?}, not lookup or save").into()),
        };
        Ok(difference(call.seq, recorded, ours))
    }

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
        self.receipts.extend(receipt.filter(|_| self.with_proof).map(|receipt| (place, receipt)));
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
        self.store.set_failing(false);
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

    /// The service in the scenario's own namespace.
    fn service(&self, scenario: &str) -> Result<UserProfileService<Failing<MemoryStore>>, Box<dyn Error>> {
        let settings =
            Settings::new(Namespace::new(scenario)?).with_receipts(Receipts::On).with_deadline(PATIENCE);
        Ok(UserProfileService::new(self.store.clone(), settings))
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

fn in_words(found: &Found) -> String {
    let mut text = format!(
        "{}: {} calls, {} answered as recorded, {} expected differences\n",
        found.sdk,
        found.calls,
        found.answered_as_recorded,
        found.expected_differences.len()
    );
    let sections = [
        ("expected", &found.expected_differences),
        ("NOT EXPECTED", &found.unexpected_differences),
        ("expected, but did NOT OCCUR", &found.missing_differences),
    ];
    for (title, differences) in sections {
        for Difference { seq, recorded, ours, reason } in differences {
            let reason = reason.in_words();
            text += &format!(
                "\n  {title}: call {seq} ({reason})\n    recorded {recorded}\n    ours     {ours}\n"
            );
        }
    }
    text
}

impl Reason {
    fn in_words(self) -> &'static str {
        match self {
            Self::SdkLostData => "the recorded store lost data, ours did not",
            Self::Unproven => "nothing proves that the save had read what it changes, so it stays",
            Self::OursLostData => "the recorded store has data that ours lost",
        }
    }
}
