//! The document: the SDK's JSON, and what of a user's entries is in it.

use std::collections::BTreeMap;
use std::fmt;

use stickystore_core::json::{self, Members, ObjectWriter};
use stickystore_core::{Error, ErrorKind, Profile, Result, Value};

use crate::settings::Retired;

const NAME: &str = "attributeName";
const VALUE: &str = "attributeValue";
const ASSIGNMENTS: &str = "assignments";

/// What is between an experiment and its bucket version in the key of an assignment.
const BEFORE_VERSION: &str = "__";

/// The assignments of an attribute's value, as GrowthBook's SDKs keep them.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    attribute_name: String,
    attribute_value: String,
    assignments: BTreeMap<String, String>,
    /// Assignments of parsed JSON whose variation is no string.
    refused: Vec<String>,
    damaged: usize,
    foreign: usize,
}

impl Document {
    /// The document of this attribute's value, without assignments.
    pub fn new(attribute_name: impl Into<String>, attribute_value: impl Into<String>) -> Self {
        Self {
            attribute_name: attribute_name.into(),
            attribute_value: attribute_value.into(),
            assignments: BTreeMap::new(),
            refused: Vec::new(),
            damaged: 0,
            foreign: 0,
        }
    }

    /// The same with these assignments, `<experiment>__<bucket version>` with the variation's key; of a key that is given
    /// twice the last counts.
    #[must_use]
    pub fn with<K: Into<String>, V: Into<String>>(
        mut self,
        assignments: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.assignments
            .extend(assignments.into_iter().map(|(key, variation)| (key.into(), variation.into())));
        self
    }

    /// Reads the SDK's JSON: `{"attributeName":"id","attributeValue":"ann","assignments":{"button__0":"1"}}`. Other
    /// members are not kept.
    ///
    /// An assignment that is no string does not fail the others: the report of the save names it.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is not an object with these three members.
    pub fn parse(text: &str) -> Result<Self> {
        let members = Members::parse(text)
            .map_err(|error| invalid("a sticky-bucket document is a JSON object").with_source(error))?;
        let string = |name: &str| {
            let text = members.get(name).and_then(json::as_string);
            text.ok_or_else(|| invalid(format!("the {name} of a sticky-bucket document is a string")))
        };
        let mut document = Self::new(string(NAME)?, string(VALUE)?);
        let assignments = members.get(ASSIGNMENTS).unwrap_or_default();
        let assignments = Members::parse(assignments).map_err(|error| {
            invalid(format!("the {ASSIGNMENTS} of a sticky-bucket document are an object")).with_source(error)
        })?;
        for (key, text) in assignments.iter() {
            match json::as_string(text) {
                Some(variation) => {
                    document.assignments.insert(key.to_owned(), variation.into_owned());
                }
                None => document.refused.push(key.to_owned()),
            }
        }
        Ok(document)
    }

    /// The SDK's JSON, assignments in the order of their keys; `null` if there are none.
    pub fn to_json(&self) -> String {
        if self.assignments.is_empty() {
            return "null".to_owned();
        }
        let mut assignments = ObjectWriter::new();
        for (key, variation) in &self.assignments {
            assignments.string(key, variation);
        }
        let mut document = ObjectWriter::new();
        document.string(NAME, &self.attribute_name);
        document.string(VALUE, &self.attribute_value);
        document.raw(ASSIGNMENTS, &assignments.finish());
        document.finish()
    }

    /// The attribute's name, as `id`.
    pub fn attribute_name(&self) -> &str {
        &self.attribute_name
    }

    /// The attribute's value, as the user's id.
    pub fn attribute_value(&self) -> &str {
        &self.attribute_value
    }

    /// The variations' keys by `<experiment>__<bucket version>`.
    pub fn assignments(&self) -> &BTreeMap<String, String> {
        &self.assignments
    }

    /// The same, without the document around them.
    pub fn into_assignments(self) -> BTreeMap<String, String> {
        self.assignments
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

    /// With what a lookup hands out of what the store has.
    pub(super) fn of(mut self, profile: Profile, retired: &Retired) -> Self {
        self.damaged = profile.damaged().len();
        for (key, entry) in profile {
            match entry.value.as_string() {
                Some(variation) if is_key(key.as_str()) && retired.has(key.as_str(), &variation) => {}
                Some(variation) if is_key(key.as_str()) => {
                    self.assignments.insert(key.as_str().to_owned(), variation.into_owned());
                }
                _ => self.foreign += 1,
            }
        }
        self
    }

    /// Assignments that cannot be saved, each with the reason.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let no_strings =
            self.refused.iter().map(|key| (key.as_str(), "the variation of an assignment is a string"));
        let no_keys = self.assignments.keys().filter(|key| !is_key(key));
        no_strings.chain(no_keys.map(|key| {
            (key.as_str(), "the key of an assignment is <experiment>__<bucket version>, as button__0")
        }))
    }

    /// Assignments that can be saved, each with its value.
    pub(super) fn values(&self) -> impl Iterator<Item = (&str, Value)> {
        let good = self.assignments.iter().filter(|(key, _)| is_key(key));
        good.map(|(key, variation)| (key.as_str(), Value::string(variation)))
    }
}

/// Who and how many, never what.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("attribute_name", &self.attribute_name)
            .field("attribute_value", &self.attribute_value)
            .field("assignments", &self.assignments.len())
            .field("damaged", &self.damaged)
            .field("foreign", &self.foreign)
            .finish_non_exhaustive()
    }
}

/// Whether this is the key of an assignment. An experiment's own key may contain the separator too.
fn is_key(key: &str) -> bool {
    key.rsplit_once(BEFORE_VERSION).is_some_and(|(_, version)| version.parse::<i64>().is_ok())
}

fn invalid(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, context)
}
