//! The record: what VWO's SDKs get and set, and the proof of what was read.

use std::fmt;

use stickystore_core::json::ObjectWriter;
use stickystore_core::{Entry, Epoch, Profile, Result, Revision, Subject, Value};

use super::content::{Content, Parsed, compact, invalid};
use super::dialect::{Dialect, Field};
use super::goals::Goals;
use crate::settings::Settings;

/// The variation of a user in a campaign, the goals that were reached, and metadata.
///
/// One that came from a `get` knows what was read: it can be changed and set, and replaces what it was read from. Any
/// other only adds.
#[derive(Clone, PartialEq)]
pub struct Record {
    user_id: String,
    campaign_key: String,
    pub(super) content: Content,
    read: Option<Proof>,
    /// That somebody read that there is none: of this user, under this epoch.
    absent: Option<(Subject, Option<Epoch>)>,
}

/// What somebody read.
#[derive(Clone, PartialEq)]
pub(super) struct Proof {
    pub(super) subject: Subject,
    /// The epoch under which the user was read.
    pub(super) epoch: Option<Epoch>,
    /// The very entry that was read.
    pub(super) entry: Entry,
    /// What it says.
    pub(super) content: Content,
}

impl Record {
    /// A record that proves nothing: setting it only adds.
    pub fn new(
        user_id: impl Into<String>,
        campaign_key: impl Into<String>,
        variation_name: impl Into<String>,
    ) -> Self {
        Self {
            user_id: user_id.into(),
            campaign_key: campaign_key.into(),
            content: Content::new(variation_name.into()),
            read: None,
            absent: None,
        }
    }

    /// Reads an SDK's JSON, in any [`Dialect`].
    ///
    /// A field that is `null` counts as left out, as does an empty goal. Members of other names are kept as they are.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](stickystore_core::ErrorKind::Invalid) if it is no JSON object, mixes spellings, lacks
    /// user, campaign or variation, has no string where one belongs, or is nested deeper than 64 levels.
    pub fn parse(text: &str) -> Result<Self> {
        let parsed = Parsed::parse(text)?;
        let (user_name, campaign_name) = parsed.id_names;
        let missing = |name| invalid(format!("the record has no {name}"));
        Ok(Self {
            user_id: parsed.user_id.ok_or_else(|| missing(user_name))?,
            campaign_key: parsed.campaign_key.ok_or_else(|| missing(campaign_name))?,
            content: parsed.content,
            read: None,
            absent: None,
        })
    }

    /// Reads an SDK's JSON where user and campaign are told apart from it: the record may leave them out.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse); also if the record names another user or campaign.
    pub fn parse_for(user_id: &str, campaign_key: &str, text: &str) -> Result<Self> {
        let parsed = Parsed::parse(text)?;
        let (user_name, campaign_name) = parsed.id_names;
        if parsed.user_id.is_some_and(|id| id != user_id) {
            return Err(invalid(format!(
                "the {user_name} of the record is another user's; leave it out, or give the same"
            )));
        }
        if parsed.campaign_key.is_some_and(|key| key != campaign_key) {
            let context = format!(
                "the {campaign_name} of the record is not {campaign_key:?}; leave it out, or give the same"
            );
            return Err(invalid(context));
        }
        Ok(Self {
            user_id: user_id.to_owned(),
            campaign_key: campaign_key.to_owned(),
            content: parsed.content,
            read: None,
            absent: None,
        })
    }

    /// The SDK's JSON.
    pub fn to_json(&self, dialect: Dialect) -> String {
        let mut object = ObjectWriter::new();
        object.string(dialect.name(Field::UserId), &self.user_id);
        object.string(dialect.name(Field::CampaignKey), &self.campaign_key);
        self.content.write(&mut object, dialect);
        object.finish()
    }

    /// The same record as the answer to this one, which was read before: it proves what that proves.
    ///
    /// For callers between an SDK and this service: SDKs make the record that they set anew. One of another user or
    /// campaign proves nothing.
    #[must_use]
    pub fn after(mut self, read: &Self) -> Self {
        let same = self.user_id == read.user_id && self.campaign_key == read.campaign_key;
        self.read = read.read.clone().filter(|_| same);
        self
    }

    /// The same record as the answer to a read that had found none.
    pub(crate) fn after_absence(self, subject: Subject, epoch: Option<Epoch>) -> Self {
        Self { absent: Some((subject, epoch)), ..self }
    }

    /// The revision that was read.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.read.as_ref().map(|proof| proof.entry.revision)
    }

    /// Whether it carries the proof of a read.
    pub(crate) fn is_proved(&self) -> bool {
        self.read.is_some()
    }

    /// The user.
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The campaign.
    pub fn campaign_key(&self) -> &str {
        &self.campaign_key
    }

    /// The variation.
    pub fn variation_name(&self) -> &str {
        &self.content.variation_name
    }

    /// The goals that were reached, in the order in which they came.
    pub fn goals(&self) -> impl ExactSizeIterator<Item = &str> {
        self.content.goals.iter()
    }

    /// The metadata.
    pub fn meta_data(&self) -> Option<&Value> {
        self.content.meta_data.as_ref()
    }

    /// Puts the user into this variation, to be set.
    pub fn set_variation_name(&mut self, variation_name: impl Into<String>) {
        self.content.variation_name = variation_name.into();
    }

    /// Adds a goal, to be set. Of a text that contains `_vwo_` each part is one: the SDKs' format says so.
    pub fn add_goal(&mut self, goal: &str) {
        self.content.goals.unite(&Goals::parse(goal));
    }

    /// Gives it this metadata, to be set. A JSON `null` leaves what is stored.
    pub fn set_meta_data(&mut self, meta_data: Value) {
        let compacted = compact(meta_data.as_str()).unwrap_or(meta_data);
        self.content.meta_data = Some(compacted).filter(|value| value.as_str() != "null");
    }

    /// What a read hands out of an entry; nothing if that is of another shape.
    pub(super) fn from_entry(
        subject: &Subject,
        campaign_key: &str,
        epoch: Option<Epoch>,
        entry: Entry,
    ) -> Option<Self> {
        let user_id = subject.user.as_str();
        let content = Content::stored(&entry.value, user_id, campaign_key)?;
        let proof = Proof { subject: subject.clone(), epoch, entry, content: content.clone() };
        Some(Self {
            user_id: user_id.to_owned(),
            campaign_key: campaign_key.to_owned(),
            content,
            read: Some(proof),
            absent: None,
        })
    }

    /// The proof, if it is this user's in this namespace.
    pub(super) fn proof_of(&self, subject: &Subject) -> Option<&Proof> {
        self.read.as_ref().filter(|proof| proof.subject == *subject)
    }

    /// Whether its variation is retired: then it is not handed out.
    pub(super) fn is_retired(&self, settings: &Settings) -> bool {
        settings.retired().has(&self.campaign_key, &self.content.variation_name)
    }

    /// The epoch under which it was read that this user in this namespace has none.
    pub(super) fn absent_for(&self, subject: &Subject) -> Option<Option<Epoch>> {
        self.absent.as_ref().filter(|(of, _)| of == subject).map(|(_, epoch)| *epoch)
    }
}

/// Who and how many, never what.
impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("user_id", &self.user_id)
            .field("campaign_key", &self.campaign_key)
            .field("goals", &self.content.goals.iter().len())
            .finish_non_exhaustive()
    }
}

/// All records of a user.
#[derive(Debug, Clone, PartialEq)]
pub struct Records {
    records: Vec<Record>,
    damaged: usize,
    foreign: usize,
}

impl Records {
    pub(super) fn from_store(subject: &Subject, profile: Profile, settings: &Settings) -> Self {
        let mut all = Self { records: Vec::new(), damaged: profile.damaged().len(), foreign: 0 };
        let epoch = profile.epoch();
        for (key, entry) in profile {
            match Record::from_entry(subject, key.as_str(), epoch, entry) {
                Some(record) if record.is_retired(settings) => {}
                Some(record) => all.records.push(record),
                None => all.foreign += 1,
            }
        }
        all
    }

    /// The records, in the order of their campaigns' keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.records.iter()
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
}
