//! Where we answer otherwise than was recorded, and why.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A call whose outcome is not what was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Difference {
    pub(crate) seq: u64,
    /// What the recording has there: a bucket map, a record.
    pub(crate) recorded: Value,
    /// What we have there.
    pub(crate) ours: Value,
    pub(crate) reason: Reason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    /// The recording lost data that we still have.
    SdkLostData,
    /// The save changed what it does not prove to have read; we kept it.
    Unproven,
    /// We lost data that the recording still has: a defect, never expected.
    OursLostData,
}

impl Reason {
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::SdkLostData => "the recorded store lost data, ours did not",
            Self::Unproven => "nothing proves that the save had read what it changes, so it stays",
            Self::OursLostData => "the recorded store has data that ours lost",
        }
    }
}
