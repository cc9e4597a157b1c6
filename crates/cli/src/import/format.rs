//! What a source's rows mean, by who wrote them, and how each becomes entries: through the services where there is one.

use stickystore::{ErrorKind, Result, Sticky, Value};
use stickystore_core::json::{self, Members};
use stickystore_core::{Entry, EpochCheck, Error, Expiry, Key, Outcome, StoreExt as _, UnixMillis};
use stickystore_services::optimizely::{UserProfile, is_receipt_entry};
use stickystore_services::{SaveReport, Saved};

use super::source::Row;

/// Who wrote the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Optimizely: the key is the user, the value the bucket map as the Agent's Redis plugin writes it, or a whole profile
    Agent,
    /// VWO: the key is campaign:user, the value the record, in any SDK's spelling
    Vwo,
    /// GrowthBook: the value is the sticky-bucket document, which names its attribute; the key does not matter
    Growthbook,
    /// Lines {"user", "key", "value", "expires_ms"?}, or what `export --json` prints
    Jsonl,
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Became {
    Inserted,
    /// It stood there already, and lacked something that was added.
    Added,
    /// It stood there already, with this value.
    Unchanged,
    /// Another value stands there, and stays.
    Kept,
    /// It is not what it should be; why.
    Refused(String),
}

/// What became of a row's entries, by their keys.
pub(crate) type Entries = Vec<(String, Became)>;

impl Format {
    /// Imports one row.
    ///
    /// # Errors
    /// Only the store's failures; what is wrong with the row is in the answer.
    pub(crate) fn import(self, sticky: &Sticky, row: &Row, prefix: &str) -> Result<Entries> {
        let imported = match (self, &row.value) {
            (_, Err(why)) => Err(invalid(*why)),
            (Self::Agent, Ok(value)) => agent(sticky, row.key.as_deref(), value, prefix),
            (Self::Vwo, Ok(value)) => sticky.vwo().set_json(value).and_then(|report| by_report(&report)),
            (Self::Growthbook, Ok(value)) => {
                sticky.growthbook().save_json(value).and_then(|report| by_report(&report))
            }
            (Self::Jsonl, Ok(value)) => jsonl(sticky, value),
        };
        refused_or_failed("", imported)
    }
}

/// An input that is refused is part of the answer; a store that failed is not.
fn refused_or_failed(key: &str, imported: Result<Entries>) -> Result<Entries> {
    match imported {
        Err(error) if is_refusal(&error) => {
            Ok(vec![(key.to_owned(), Became::Refused(error.context().to_owned()))])
        }
        imported => imported,
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Corrupt)
}

/// A bare map under the user's id; or a whole profile, which names the user itself.
///
/// What is kept elsewhere may have a receipt in it. That proves what was read another time, or from another store.
fn agent(sticky: &Sticky, key: Option<&str>, value: &str, prefix: &str) -> Result<Entries> {
    let is_profile = Members::parse(value)?.get("experiment_bucket_map").is_some();
    let profile = match (is_profile, key) {
        (true, _) => UserProfile::parse(value)?,
        (false, Some(key)) => {
            let user = json::quoted(named(key, prefix)?);
            UserProfile::parse(&format!("{{\"user_id\":{user},\"experiment_bucket_map\":{value}}}"))?
        }
        (false, None) => return Err(invalid("a bucket map needs a key, which is its user")),
    };
    by_report(&sticky.optimizely().save(&profile.without_proof())?)
}

/// What a key names, behind the prefix that all of them have.
fn named<'a>(key: &'a str, prefix: &str) -> Result<&'a str> {
    key.strip_prefix(prefix).ok_or_else(|| invalid("its key does not begin with the prefix to strip"))
}

fn by_report(report: &SaveReport) -> Result<Entries> {
    let became = |(key, saved): (&str, &Saved)| {
        let became = match saved {
            Saved::Inserted => Became::Inserted,
            Saved::Added => Became::Added,
            Saved::Unchanged => Became::Unchanged,
            Saved::Kept { .. } => Became::Kept,
            Saved::Failed { error } if is_refusal(error) => Became::Refused(error.context().to_owned()),
            Saved::Failed { error } => return Err(error.clone()),
            _ => {
                let context = "the save did something else than to add";
                return Err(Error::new(ErrorKind::Unexpected, context));
            }
        };
        Ok((key.to_owned(), became))
    };
    report.iter().map(became).collect()
}

/// A line of ours: one entry, or a user as `export` prints it.
fn jsonl(sticky: &Sticky, value: &str) -> Result<Entries> {
    let line = Members::parse(value)?;
    let user = string(&line, "user")?;
    let Some(entries) = line.get("entries") else {
        let key = string(&line, "key")?;
        return refused_or_failed(&key, insert(sticky, &user, &key, &line));
    };
    let entries = Members::parse(entries)?;
    let mut all = Vec::with_capacity(entries.len());
    for (key, entry) in entries.iter() {
        // One that is refused does not hide what became of the others.
        let one = Members::parse(entry).and_then(|entry| insert(sticky, &user, key, &entry));
        all.extend(refused_or_failed(key, one)?);
    }
    Ok(all)
}

fn string(members: &Members<'_>, name: &str) -> Result<String> {
    let text = members.get(name).and_then(json::as_string);
    text.map(Into::into).ok_or_else(|| invalid(format!("its member \"{name}\" is a string")))
}

/// Inserts what this object says: `value`, and perhaps `expires_ms`.
fn insert(sticky: &Sticky, user: &str, key: &str, entry: &Members<'_>) -> Result<Entries> {
    let value = entry.get("value").ok_or_else(|| invalid("it has a member \"value\""))?;
    let value = Value::new(value)?;
    if is_receipt_entry(key, &value) {
        return Err(invalid("it is a receipt, which proves a read and is no entry"));
    }
    let (settings, call) = (sticky.settings(), sticky.settings().call());
    let expiry = match entry.get("expires_ms") {
        None | Some("null") => settings.expiry(call.now)?,
        Some(millis) => {
            let millis =
                millis.parse().map_err(|_| invalid("its member \"expires_ms\" is a whole number"))?;
            Expiry::At(UnixMillis::new(millis)?)
        }
    };
    let new = Entry::new(value.clone(), expiry);
    let key_of = Key::new(key)?;
    let inserted =
        sticky.store().insert(call, &settings.subject(user)?, EpochCheck::Is(None), key_of, new)?;
    let became = match inserted {
        Outcome::Inserted => Became::Inserted,
        Outcome::Kept(stands) if stands.value == value => Became::Unchanged,
        Outcome::Kept(_) => Became::Kept,
        Outcome::Expired => Became::Refused("it has expired".to_owned()),
        Outcome::Erased => Became::Refused("its user was erased a short while ago".to_owned()),
        _ => {
            let context = "the store gave an answer that an insert does not have";
            return Err(Error::new(ErrorKind::Unexpected, context));
        }
    };
    Ok(vec![(key.to_owned(), became)])
}

fn invalid(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, context)
}
