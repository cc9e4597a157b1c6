//! What a case saw, as text: a value's own `Debug` hides its content, and a failure has to show it.
//!
//! The texts hold everything that a value, an entry or a profile is, so equal texts are equal things.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use stickystore_core::{Entry, Outcome, Profile, Result, codec};

/// Where a view has the epoch: no key is empty.
const EPOCH: &str = "";

/// How much of a long text a failure shows.
const SHOWN: usize = 300;

/// The whole entry.
pub(crate) fn entry_text(entry: &Entry) -> String {
    codec::encode(entry)
}

/// The whole answer to a change; of an error, its kind and whether the write may have happened.
pub(crate) fn answer_text(answer: &Result<Outcome>) -> String {
    match answer {
        Ok(Outcome::Kept(entry)) => format!("Kept {}", entry_text(entry)),
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => format!("{:?}, {:?}", error.kind(), error.effect()),
    }
}

/// Everything that a profile says: by key, what stands there; under no key at all, the epoch.
pub(crate) fn profile_view(answer: &Result<Profile>) -> BTreeMap<String, String> {
    let profile = match answer {
        Ok(profile) => profile,
        Err(error) => return BTreeMap::from([(EPOCH.to_owned(), format!("error {:?}", error.kind()))]),
    };
    let entries = profile.entries().map(|(key, entry)| (key.to_string(), entry_text(entry)));
    let damaged = profile.damaged().iter().map(|damaged| (damaged.key.to_string(), "damaged".to_owned()));
    let epoch = profile.epoch().map(|epoch| (EPOCH.to_owned(), format!("{epoch:?}")));
    entries.chain(damaged).chain(epoch).collect()
}

/// Asserts that a read gave this entry, whole: value, expiry, revision, history, unknown members.
#[track_caller]
pub(crate) fn assert_entry(found: Option<&Entry>, wanted: Option<&Entry>, what: &str) {
    if found != wanted {
        let show =
            |entry: Option<&Entry>| entry.map_or("nothing".to_owned(), |it| shortened(&entry_text(it)));
        panic!("{what}\n  found:  {}\n  wanted: {}", show(found), show(wanted));
    }
}

/// Asserts that a change was answered so.
#[track_caller]
pub(crate) fn assert_answer(found: &Result<Outcome>, wanted: &Outcome, what: &str) {
    let (found, wanted) = (answer_text(found), answer_text(&Ok(wanted.clone())));
    if found != wanted {
        panic!("{what}\n  answered: {}\n  wanted:   {}", shortened(&found), shortened(&wanted));
    }
}

/// Asserts that a profile has exactly these entries, nothing damaged, and no epoch.
#[track_caller]
pub(crate) fn assert_profile(found: &Profile, wanted: &[(&str, Entry)], what: &str) {
    assert_view(&profile_view(&Ok(found.clone())), &entries_view(wanted), what);
}

/// Asserts that a profile has exactly these entries and nothing damaged, whatever was erased.
#[track_caller]
pub(crate) fn assert_entries(found: &Profile, wanted: &[(&str, &Entry)], what: &str) {
    let mut found = profile_view(&Ok(found.clone()));
    found.remove(EPOCH);
    assert_view(&found, &entries_view(wanted), what);
}

fn entries_view(entries: &[(&str, impl Borrow<Entry>)]) -> BTreeMap<String, String> {
    entries.iter().map(|(key, entry)| ((*key).to_owned(), entry_text(entry.borrow()))).collect()
}

/// Asserts that two views are the same, and shows only where they differ.
#[track_caller]
pub(crate) fn assert_view(found: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>, what: &str) {
    let show = |text: Option<&String>| text.map_or("nothing".to_owned(), |text| shortened(text));
    let keys = found.keys().chain(wanted.keys().filter(|key| !found.contains_key(*key)));
    let wrong = keys.filter(|key| found.get(*key) != wanted.get(*key)).map(|key| {
        let at = if key.is_empty() { "the epoch".to_owned() } else { format!("key {:?}", shortened(key)) };
        format!("\n  {at}, found:  {}\n  {at}, wanted: {}", show(found.get(key)), show(wanted.get(key)))
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{what}: {} differ{}", wrong.len(), shortened(&wrong.concat()));
}

/// The beginning of a text that may be long.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}.. ({} bytes)", &text[..end], text.len()),
    }
}
