//! The user profile: the SDK's JSON, the entries in it, and the proof of what was read.

use std::collections::BTreeMap;
use std::fmt;

use stickystore_core::json::{self, Members, ObjectWriter};
use stickystore_core::{Epoch, Error, ErrorKind, Profile, Result, Subject, Value};

use crate::receipt::{Proof, Receipt};
use crate::settings::{Receipts, Settings};

/// The entry of a bucket map that is a receipt if its variation begins as one; else an experiment like any other.
pub const RECEIPT_KEY: &str = "stickystore";

/// The same in a map that was fetched for the `$opt_experiment_bucket_map` attribute.
pub(super) const MAP_RECEIPT_KEY: &str = "stickystoremap";

/// A receipt that no version reads.
const UNUSABLE: &str = "sr0.";

const USER_ID: &str = "user_id";
const BUCKET_MAP: &str = "experiment_bucket_map";
const VARIATION_ID: &str = "variation_id";

/// How deep an entry may be nested: what is handed out has to be readable by every SDK's JSON parser, and some end at
/// 100 levels.
const MAX_DEPTH: usize = 64;

/// A user's experiments and the variation of each, as an Optimizely SDK looks it up and saves it.
///
/// One that came from a lookup knows what was read: it can be changed and saved, and replaces what it was read from.
/// Its JSON carries the same proof as one more entry of the map, the receipt.
#[derive(Clone, PartialEq)]
pub struct UserProfile {
    user_id: String,
    entries: BTreeMap<String, Bucketed>,
    /// Entries of parsed JSON that cannot be saved: what is wrong with each.
    refused: BTreeMap<String, &'static str>,
    receipt: Carried,
    map_receipt: Carried,
    shows_receipt: bool,
    damaged: usize,
    foreign: usize,
}

/// What a profile carries under a reserved key.
#[derive(Clone, PartialEq)]
enum Carried {
    /// Nothing: that read was not made, or failed.
    Absent,
    /// Something that proves nothing, as an experiment in the receipt's place: that read was made, and which entries come
    /// from it, and when it was, nobody can say.
    Unusable,
    /// This receipt.
    Is(Receipt),
}

/// An entry of the bucket map.
#[derive(Clone, PartialEq)]
pub(super) struct Bucketed {
    pub(super) variation_id: String,
    /// The whole entry: `{"variation_id":"..",..}` with the members that we do not know.
    pub(super) value: Value,
}

impl UserProfile {
    /// A profile without entries that proves nothing: saving it only adds.
    pub fn new(user_id: impl Into<String>) -> Self {
        Self {
            user_id: user_id.into(),
            entries: BTreeMap::new(),
            refused: BTreeMap::new(),
            receipt: Carried::Absent,
            map_receipt: Carried::Absent,
            shows_receipt: false,
            damaged: 0,
            foreign: 0,
        }
    }

    /// Reads the SDK's JSON: `{"user_id":"..","experiment_bucket_map":{"<experiment id>":{"variation_id":".."}}}`.
    ///
    /// An entry without a string as `variation_id` does not fail the others: the report of the save names it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is not an object with these two members.
    pub fn parse(text: &str) -> Result<Self> {
        let members = Members::parse(text)
            .map_err(|error| invalid("a user profile is a JSON object").with_source(error))?;
        let user_id = members.get(USER_ID).ok_or_else(|| invalid("the user profile has no user_id"))?;
        let user_id =
            json::as_string(user_id).ok_or_else(|| invalid("the user_id of a user profile is a string"))?;
        let map = members.get(BUCKET_MAP);
        let map = map.ok_or_else(|| invalid("the user profile has no experiment_bucket_map"))?;
        let map = Members::parse(map).map_err(|error| {
            invalid("the experiment_bucket_map of a user profile is an object").with_source(error)
        })?;
        let mut profile = Self::new(user_id);
        for (experiment, text) in map.iter() {
            profile.take(experiment, text);
        }
        Ok(profile)
    }

    /// The SDK's JSON. With a receipt in the map if it came from a lookup; `null` if there is nothing to show.
    pub fn to_json(&self) -> String {
        if self.entries.is_empty() && !(self.shows_receipt && self.receipt != Carried::Absent) {
            return "null".to_owned();
        }
        let mut profile = ObjectWriter::new();
        profile.string(USER_ID, &self.user_id);
        profile.raw(BUCKET_MAP, &self.map_json(RECEIPT_KEY));
        profile.finish()
    }

    /// The same without what proves which entries were read: saving it only adds. For profiles that were kept elsewhere, whose
    /// receipts speak of another time or another store.
    #[must_use]
    pub fn without_proof(self) -> Self {
        Self { receipt: Carried::Absent, map_receipt: Carried::Absent, ..self }
    }

    /// The user.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The variation of this experiment.
    pub fn variation(&self, experiment_id: &str) -> Option<&str> {
        self.entries.get(experiment_id).map(|bucketed| bucketed.variation_id.as_str())
    }

    /// Puts the user into this variation of this experiment, to be saved.
    pub fn set_variation(&mut self, experiment_id: impl Into<String>, variation_id: impl Into<String>) {
        let (experiment_id, variation_id) = (experiment_id.into(), variation_id.into());
        if is_receipt(&experiment_id, &variation_id) {
            return;
        }
        let value = Value::new(entry_text(&variation_id, &Members::default()));
        if let Ok(value) = value {
            self.entries.insert(experiment_id, Bucketed { variation_id, value });
        }
    }

    /// All experiments and their variations, in the order of the experiments' ids.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(experiment, bucketed)| (experiment.as_str(), bucketed.variation_id.as_str()))
    }

    /// Whether it has no experiments.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many stored entries of this user are damaged. They are left as they are.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// How many stored entries of this user are of another shape, as those of another SDK in the same namespace. They
    /// are not handed out and never overwritten.
    pub fn foreign(&self) -> usize {
        self.foreign
    }

    /// The receipt of the lookup that it came from.
    pub(crate) fn receipt(&self) -> Option<&Receipt> {
        match &self.receipt {
            Carried::Is(receipt) => Some(receipt),
            Carried::Absent | Carried::Unusable => None,
        }
    }

    /// Where it carries nothing that proves what was read, this does.
    pub(crate) fn prove_by(&mut self, read: &Receipt) {
        if self.receipt == Carried::Absent {
            self.receipt = Carried::Is(read.clone());
        }
    }

    /// What a lookup hands out of what the store has. What is retired is only in the receipt, so that it can be replaced.
    pub(crate) fn from_store(subject: &Subject, profile: Profile, settings: &Settings, seed: u64) -> Self {
        let mut handed_out = Self::new(subject.user.as_str());
        handed_out.damaged = profile.damaged().len();
        let epoch = profile.epoch();
        let mut read = Vec::with_capacity(profile.len());
        for (key, entry) in profile {
            match bucketed(entry.value.as_str()) {
                Ok(variation_id) if !is_receipt(key.as_str(), &variation_id) => {
                    read.push((key, entry.revision, Bucketed { variation_id, value: entry.value }));
                }
                _ => handed_out.foreign += 1,
            }
        }
        let proved = read
            .iter()
            .map(|(key, revision, bucketed)| (key.as_str(), *revision, bucketed.variation_id.as_str()));
        let receipt = Receipt::new(subject, epoch, seed, &proved.collect::<Vec<_>>());
        handed_out.shows_receipt = settings.receipts() == Receipts::On;
        handed_out.receipt = Carried::Is(receipt);
        let live = read
            .into_iter()
            .filter(|(key, _, bucketed)| !settings.retired().has(key.as_str(), &bucketed.variation_id));
        handed_out.entries.extend(live.map(|(key, _, bucketed)| (key.as_str().to_owned(), bucketed)));
        handed_out
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &Bucketed)> {
        self.entries.iter().map(|(experiment, bucketed)| (experiment.as_str(), bucketed))
    }

    /// Entries that cannot be saved, each with the reason.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.refused.iter().map(|(experiment, why)| (experiment.as_str(), *why))
    }

    /// What proves reads of this user in this namespace.
    pub(super) fn proofs_of(&self, subject: &Subject) -> Proofs<'_> {
        let (map, lookup) = (self.map_receipt.of(subject), self.receipt.of(subject));
        match (map, lookup) {
            // The lookup's receipt would prove that what came from the map was read later than it was.
            (Err(Unusable), _) => Proofs { map: None, lookup: None, hides_a_lookup: true },
            (Ok(map), Ok(lookup)) => Proofs { map, lookup, hides_a_lookup: false },
            (Ok(map), Err(Unusable)) => Proofs { map, lookup: None, hides_a_lookup: true },
        }
    }

    /// The whole map, with the receipt under this key if there is one to show, and that of a map laid over it.
    pub(super) fn map_json(&self, receipt_key: &str) -> String {
        let mut map = ObjectWriter::new();
        for (experiment, bucketed) in &self.entries {
            map.raw(experiment, bucketed.value.as_str());
        }
        // Beside an experiment in the place of a map's receipt it would prove nothing.
        let is_shown = self.shows_receipt && !self.entries.contains_key(MAP_RECEIPT_KEY);
        let own = self.receipt.to_text().filter(|_| is_shown);
        let receipts = [(receipt_key, own), (MAP_RECEIPT_KEY, self.map_receipt.to_text())];
        // An experiment that is really named so takes the receipt's place while it lives.
        for (key, text) in receipts.into_iter().filter(|(key, _)| !self.entries.contains_key(*key)) {
            if let Some(text) = text {
                let mut entry = ObjectWriter::new();
                entry.string(VARIATION_ID, &text);
                map.raw(key, &entry.finish());
            }
        }
        map.finish()
    }

    /// Takes an entry of the SDK's map: to save, as the receipt, or to refuse.
    fn take(&mut self, experiment: &str, text: &str) {
        let bucketed = bucketed(text);
        let receipt = bucketed.as_ref().ok().filter(|variation_id| is_receipt(experiment, variation_id));
        // An experiment in a receipt's place, or what is no entry at all, leaves that read without proof.
        let carried = || receipt.and_then(|text| Receipt::parse(text)).map_or(Carried::Unusable, Carried::Is);
        match experiment {
            RECEIPT_KEY => (self.receipt, self.shows_receipt) = (carried(), true),
            MAP_RECEIPT_KEY => self.map_receipt = carried(),
            _ => {}
        }
        if receipt.is_some() {
            return;
        }
        let variation_id = match bucketed {
            Ok(variation_id) => variation_id,
            Err(why) => {
                self.refused.insert(experiment.to_owned(), why);
                return;
            }
        };
        let members = Members::parse(text).unwrap_or_default();
        if let Ok(value) = Value::new(entry_text(&variation_id, &members)) {
            self.entries.insert(experiment.to_owned(), Bucketed { variation_id, value });
        }
    }
}

/// That a read was made and nothing proves what it was.
struct Unusable;

impl Carried {
    /// The receipt of this user in this namespace, if there is any.
    fn of(&self, subject: &Subject) -> Result<Option<&Receipt>, Unusable> {
        match self {
            Self::Absent => Ok(None),
            Self::Is(receipt) if receipt.belongs_to(subject) => Ok(Some(receipt)),
            Self::Is(_) | Self::Unusable => Err(Unusable),
        }
    }

    /// As it is passed on: what proves nothing goes on proving nothing.
    fn to_text(&self) -> Option<String> {
        match self {
            Self::Absent => None,
            Self::Unusable => Some(UNUSABLE.to_owned()),
            Self::Is(receipt) => Some(receipt.to_text()),
        }
    }
}

/// Who and how many, never what.
impl fmt::Debug for UserProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserProfile")
            .field("user_id", &self.user_id)
            .field("entries", &self.entries.len())
            .field("damaged", &self.damaged)
            .field("foreign", &self.foreign)
            .finish_non_exhaustive()
    }
}

/// What proves the reads that a saved map comes from.
///
/// An SDK lays the attribute's map over the profile that it looked up, entry by entry: for what is in that map, its receipt
/// is the proof, for everything else the lookup's.
pub(super) struct Proofs<'a> {
    map: Option<&'a Receipt>,
    lookup: Option<&'a Receipt>,
    /// There are entries of a read that nothing proves: it may have been before an erasure of which the others know.
    hides_a_lookup: bool,
}

impl Proofs<'_> {
    /// Whether nothing was provably read.
    pub(super) fn is_empty(&self) -> bool {
        self.map.is_none() && self.lookup.is_none()
    }

    /// The epoch under which all that is in the saved map was read; none that is known if a part of it may be older.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        let read = self.lookup.or(self.map).filter(|_| !self.hides_a_lookup);
        read.and_then(Receipt::epoch)
    }

    /// Whether the user was erased between the two reads. Which came first cannot be told, so what is new in such a save
    /// may rest on what was erased: it is not written, and the next decision heals it.
    pub(super) fn disagree(&self) -> bool {
        matches!((self.map, self.lookup), (Some(map), Some(lookup)) if map.epoch() != lookup.epoch())
    }

    /// What they say of an entry of the saved map.
    pub(super) fn of(&self, experiment: &str, variation_id: &str) -> Proof {
        let says = |receipt: &Receipt| receipt.proof(experiment, variation_id);
        match self.map.map_or(Proof::NotRead, says) {
            Proof::NotRead => self.lookup.map_or(Proof::NotRead, says),
            proof => proof,
        }
    }
}

/// The variation in an entry's text, or why it is no entry.
pub(super) fn bucketed(text: &str) -> Result<String, &'static str> {
    if json::depth(text) > MAX_DEPTH {
        return Err("the entry is nested too deep for SDKs to read");
    }
    let members = Members::parse(text).map_err(|_| "the entry of an experiment is an object")?;
    let variation_id = members.get(VARIATION_ID).ok_or("the entry has no variation_id")?;
    let variation_id = json::as_string(variation_id).ok_or("the variation_id of an entry is a string")?;
    Ok(variation_id.into_owned())
}

/// Whether two entries have the same variation.
pub(crate) fn is_same(one: &Value, other: &Value) -> bool {
    let variation = |value: &Value| bucketed(value.as_str()).ok();
    variation(one).is_some_and(|one| Some(one) == variation(other))
}

/// An entry as it is stored: the variation first, then what else it had, values as they were.
fn entry_text(variation_id: &str, members: &Members<'_>) -> String {
    let mut object = ObjectWriter::new();
    object.string(VARIATION_ID, variation_id);
    for (name, text) in members.iter().filter(|(name, _)| *name != VARIATION_ID) {
        object.raw(name, &json::compact(text));
    }
    object.finish()
}

/// Whether this value under this key is a receipt, of whatever version, and no entry: who brings entries from elsewhere
/// leaves it out.
pub fn is_receipt_entry(key: &str, value: &Value) -> bool {
    bucketed(value.as_str()).is_ok_and(|variation_id| is_receipt(key, &variation_id))
}

/// Whether an entry is a receipt, of whatever version: never stored, never handed out as an experiment.
fn is_receipt(experiment: &str, variation_id: &str) -> bool {
    matches!(experiment, RECEIPT_KEY | MAP_RECEIPT_KEY) && Receipt::is_one(variation_id)
}

fn invalid(context: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, context)
}
