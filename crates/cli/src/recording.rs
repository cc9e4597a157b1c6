//! The recorded traffic of a real SDK: a line of JSON for each call that it made to its profile service.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::answer::is_input;

/// A recording: which SDK it is of, and the calls in their order.
pub(crate) struct Recording {
    pub(crate) sdk: String,
    pub(crate) calls: Vec<Recorded>,
}

/// One recorded call.
#[derive(Deserialize)]
pub(crate) struct Recorded {
    pub(crate) seq: u64,
    pub(crate) scenario: String,
    pub(crate) method: String,
    pub(crate) args: Vec<Value>,
    /// What the service returned.
    #[serde(default)]
    pub(crate) ret: Value,
    /// What it threw instead.
    pub(crate) exc: Option<String>,
}

/// Why a recording cannot be used.
#[derive(Debug)]
pub(crate) struct Unusable {
    file: PathBuf,
    what: String,
    /// What the store failed with, if it is not the recording's fault.
    failure: Option<stickystore_core::Error>,
}

impl Unusable {
    pub(crate) fn new(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), what: what.into(), failure: None }
    }

    /// A call that could not be made: because the store failed, or because of what the recording has there.
    pub(crate) fn call(file: &Path, seq: u64, error: &(dyn std::error::Error + 'static)) -> Self {
        match error.downcast_ref::<stickystore_core::Error>().filter(|error| !is_input(error.kind())) {
            Some(failure) => {
                let what = format!("call {seq} could not be made");
                Self { failure: Some(failure.clone()), ..Self::new(file, what) }
            }
            None => Self::new(file, format!("call {seq}: {error}")),
        }
    }
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.what)
    }
}

impl std::error::Error for Unusable {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.failure.as_ref().map(|failure| failure as _)
    }
}

impl Recording {
    /// Reads a file: one row of kind `meta`, and rows of kind `call`; the other known kinds are no calls.
    pub(crate) fn open(file: &Path) -> Result<Self, Unusable> {
        #[derive(Deserialize)]
        struct Row {
            kind: String,
            sdk: Option<String>,
        }
        let text = fs::read_to_string(file).map_err(|error| Unusable::new(file, error.to_string()))?;
        let mut recording = Self { sdk: String::new(), calls: Vec::new() };
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
            let unusable = |error: serde_json::Error| Unusable::new(file, format!("line {line}: {error}"));
            let row: Row = serde_json::from_str(text).map_err(unusable)?;
            match row.kind.as_str() {
                "meta" => recording.sdk = row.sdk.unwrap_or_default(),
                "call" => recording.calls.push(serde_json::from_str(text).map_err(unusable)?),
                "malformed" | "observation" | "pair" => {}
                other => {
                    let what = format!(
                        "line {line}: a row of kind {other:?}; known are meta, call, malformed, observation, pair"
                    );
                    return Err(Unusable::new(file, what));
                }
            }
        }
        if recording.sdk.is_empty() {
            return Err(Unusable::new(file, "no row of kind \"meta\" says which SDK was recorded"));
        }
        Ok(recording)
    }
}
