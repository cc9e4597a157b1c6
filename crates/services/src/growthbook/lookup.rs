//! The lookup: which reads a list of attributes becomes, and whose answer is whose. No I/O.

use stickystore_core::{Call, Error, ErrorKind, Profile, Read, Result};

use super::document::Document;
use super::user::user_id;
use crate::settings::{Retired, Settings};

/// A lookup on its way.
pub(super) struct Lookup {
    call: Call,
    /// Each attribute's document, empty yet, or why it cannot be read.
    asked: Vec<Result<Document>>,
    /// One for each that can.
    reads: Vec<Read>,
    retired: Retired,
}

impl Lookup {
    pub(super) fn new<'a>(
        settings: &Settings,
        attributes: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let mut lookup = Self {
            call: settings.call(),
            asked: Vec::new(),
            reads: Vec::new(),
            retired: settings.retired().clone(),
        };
        for (name, value) in attributes {
            let subject = settings.subject(&user_id(name, value));
            lookup.asked.push(subject.map(|subject| {
                lookup.reads.push(Read::all(subject));
                Document::new(name, value)
            }));
        }
        lookup
    }

    pub(super) fn call(&self) -> Call {
        self.call
    }

    pub(super) fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// The documents, in the order in which they were asked for.
    pub(super) fn answer(self, profiles: Vec<Result<Profile>>) -> Vec<Result<Document>> {
        let profiles = if profiles.len() == self.reads.len() {
            profiles
        } else {
            // Whose answer is whose, nobody can say.
            vec![Err(miscounted()); self.reads.len()]
        };
        let mut profiles = profiles.into_iter();
        let mut next = || profiles.next().unwrap_or_else(|| Err(miscounted()));
        let retired = &self.retired;
        let document = |asked: Result<Document>| asked.and_then(|document| Ok(document.of(next()?, retired)));
        self.asked.into_iter().map(document).collect()
    }
}

/// The document of a lookup of one attribute.
pub(super) fn only(mut documents: Vec<Result<Document>>) -> Result<Document> {
    documents.pop().unwrap_or_else(|| Err(miscounted()))
}

fn miscounted() -> Error {
    Error::new(ErrorKind::Unexpected, "the store gave another number of answers than was asked for")
}
