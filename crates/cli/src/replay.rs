//! `replay`: the recorded traffic of a real SDK through the service, each answer compared with the recording.
//!
//! The recording's own store overwrote what it had. Where that lost data, or where nothing proves what a save changes,
//! ours differs, and has to be listed as expected. What is compared, and what proves a read, each SDK's module says.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use stickystore_core::{Namespace, Revision, Store};
use stickystore_services::Settings;

use crate::answer::{complain, one_line};
use crate::failing::Failing;
use crate::noted::{Noted, Users};
use crate::opening;
use crate::recording::{Recorded, Recording, Unusable};
use crate::{Answer, PATIENCE, say};

mod difference;
mod optimizely;
mod vwo;

use difference::{Difference, Reason};
use optimizely::Optimizely;
use vwo::Vwo;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The recording: lines of JSON.
    file: PathBuf,
    /// The differences that are expected [default: FILE with the ending .expected-differences.json, if it is there;
    /// none with --no-proof].
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
    /// Send the saves bare: none proves what its caller read.
    #[arg(long)]
    no_proof: bool,
    /// The store to replay on; what is written there is erased at the end
    #[arg(long, value_name = "URL", default_value = "memory:")]
    store: String,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// The namespace of the URL, which no call uses: each scenario has its own.
const NAMESPACE: &str = "replay";

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
    let sticky = opening::in_namespace(&options.store, NAMESPACE).open()?;
    let store = Noted::new(Arc::clone(sticky.store()), Users::default());
    let mut sdk = sdk(&recording.sdk, Stage::new(Arc::new(store.clone()), !options.no_proof))
        .map_err(|what| Unusable::new(&options.file, what))?;
    let expected = expected_differences(options)?;
    if recording.calls.is_empty() {
        return Err(
            Unusable::new(&options.file, "has no row of kind \"call\": there is nothing to replay").into()
        );
    }
    let mut answer =
        |call: &Recorded| sdk.call(call).map_err(|error| Unusable::call(&options.file, call.seq, &*error));
    let differences: Result<Vec<_>, _> = recording.calls.iter().map(&mut answer).collect();
    let left = store.erase_all();
    if left > 0 {
        complain(&format!("{left} users of the replay's namespaces (replay..) could not be erased"));
    }
    let differences: Vec<_> = differences?.into_iter().flatten().collect();
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
    let text = if options.json { serde_json::to_string(&found)? + "\n" } else { in_words(&found) };
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

/// A recording of one SDK on its way through its service.
trait Sdk {
    /// Makes one call, and compares.
    fn call(&mut self, call: &Recorded) -> Result<Option<Difference>, Box<dyn Error>>;
}

/// Who replays the recordings of this SDK; else what is wrong.
fn sdk(name: &str, stage: Stage) -> Result<Box<dyn Sdk>, String> {
    if name.starts_with("optimizely") {
        Ok(Box::new(Optimizely::new(stage)))
    } else if name.starts_with("vwo-node") {
        Ok(Box::new(Vwo::new(stage)))
    } else {
        Err(format!("is of {name}; replay knows recordings of Optimizely's SDKs and of VWO's for Node"))
    }
}

type Stored = Failing<Arc<dyn Store>>;

/// Where a recording is replayed, and how.
struct Stage {
    store: Stored,
    with_proof: bool,
    /// Names this replay, so that it meets nothing of an earlier one.
    run: Revision,
}

impl Stage {
    fn new(store: Arc<dyn Store>, with_proof: bool) -> Self {
        Self { store: Failing::new(store), with_proof, run: Revision::random() }
    }

    /// Each scenario has a fresh namespace.
    fn settings(&self, scenario: &str) -> Result<Settings, Box<dyn Error>> {
        let namespace = Namespace::new(format!("replay.{}.{scenario}", self.run))?;
        Ok(Settings::new(namespace).with_deadline(PATIENCE))
    }
}

fn in_words(found: &Found) -> String {
    let mut text = format!(
        "{}: {} calls, {} answered as recorded, {} expected differences\n",
        one_line(&found.sdk),
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
            let (recorded, ours) = (one_line(&recorded.to_string()), one_line(&ours.to_string()));
            let reason = reason.in_words();
            text += &format!(
                "\n  {title}: call {seq} ({reason})\n    recorded {recorded}\n    ours     {ours}\n"
            );
        }
    }
    text
}
