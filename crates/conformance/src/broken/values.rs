//! Stores that give out other values than they were given.

use stickystore_core::{
    Call, Change, Entry, ErrorKind, Key, Keys, Limits, Operation, Outcome, Profile, Result, Unknown, Value,
    Was, Write, json,
};

use super::BrokenStore;
use super::bench::{Bench, fail, opened};
use super::fault::{Answers, Before, Fault, Stores};
use super::state::State;

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "drops `was`",
        breaks: "`was` is stored verbatim",
        open: || opened(Stores(|entry, _, _| entry.was = Was::default())),
    },
    BrokenStore {
        name: "drops members of newer versions",
        breaks: "unknown members are stored verbatim",
        open: || opened(Stores(|entry, _, _| entry.unknown = Unknown::default())),
    },
    BrokenStore {
        name: "reads numbers into floats",
        breaks: "numbers come back byte for byte",
        open: || opened(Stores(|entry, _, _| rewrite(entry, through_floats))),
    },
    BrokenStore {
        name: "strips white space from JSON",
        breaks: "values come back byte for byte: white space",
        open: || opened(Stores(|entry, _, _| rewrite(entry, |text| json::compact(text).into_owned()))),
    },
    BrokenStore {
        name: "keeps JSON as a tree",
        breaks: "values come back byte for byte: the order of members, duplicates",
        open: || {
            opened(Stores(|entry, _, _| {
                // Only objects, so that nothing but the members is at fault.
                if entry.value.as_str().starts_with('{') {
                    rewrite(entry, |text| match serde_json::from_str::<serde_json::Value>(text) {
                        Ok(tree) => tree.to_string(),
                        Err(_) => text.to_owned(),
                    });
                }
            }))
        },
    },
    BrokenStore {
        name: "stores Latin-1",
        breaks: "values come back byte for byte: characters",
        open: || {
            opened(Stores(|entry, _, _| {
                let latin = |c: char| if c > '\u{ff}' { '?' } else { c };
                rewrite(entry, |text| text.chars().map(latin).collect());
            }))
        },
    },
    BrokenStore {
        name: "takes an empty string for nothing",
        breaks: "an empty variation differs from absent",
        open: || opened(Answers(|_, _, answer, call| without(answer, call, |text| text == "\"\""))),
    },
    BrokenStore {
        name: "takes null, false and 0 for nothing",
        breaks: "false, 0 and null are values",
        open: || {
            opened(Answers(|_, _, answer, call| {
                without(answer, call, |text| matches!(text, "null" | "false" | "0"))
            }))
        },
    },
    BrokenStore {
        name: "loads at most 500 entries of a user",
        breaks: "a user's profile has all live entries",
        open: || {
            opened(Answers(|_, _, answer, call| {
                let profile = answer?;
                let (epoch, damaged) = (profile.epoch(), profile.damaged().to_vec());
                Ok(Profile::new(epoch, profile.into_iter().take(500), damaged, call.now))
            }))
        },
    },
    BrokenStore {
        name: "names only the first 16 keys of a read",
        breaks: "a read of some keys gives all of these",
        open: || {
            opened(Answers(|_, read, answer, call| {
                let profile = answer?;
                let Keys::Only(keys) = &read.keys else { return Ok(profile) };
                let (epoch, damaged) = (profile.epoch(), profile.damaged().to_vec());
                let sent = |key: &Key| keys.iter().take(16).any(|sent| sent == key);
                let entries = profile.into_iter().filter(|(key, _)| sent(key));
                Ok(Profile::new(epoch, entries, damaged, call.now))
            }))
        },
    },
    BrokenStore {
        name: "a value that is too large removes the old one",
        breaks: "a value over the limit leaves what stood",
        open: || {
            opened(Before(|state, subject, change, call| {
                let is_live = change.entry().is_some_and(|entry| entry.is_live(call.now));
                if is_live && change.entry().is_some_and(|entry| entry.value.len_bytes() > limit()) {
                    state.remove(subject, change.key());
                }
            }))
        },
    },
    BrokenStore {
        name: "a value that is too large removes the user",
        breaks: "a value over the limit leaves the user's other entries",
        open: || {
            opened(Before(|state, subject, change, _| {
                if change.entry().is_some_and(|entry| entry.value.len_bytes() > limit()) {
                    state.users.remove(subject);
                }
            }))
        },
    },
    BrokenStore {
        name: "cuts a value that is too large",
        breaks: "a value over the limit is TooLarge",
        open: || opened(CutsLarge),
    },
    BrokenStore {
        name: "refuses a value at the limit",
        breaks: "the limit of values is inclusive",
        open: || opened(LimitOffByOne),
    },
];

fn limit() -> usize {
    Limits::ENTRY_BYTES
}

fn rewrite(entry: &mut Entry, rewrite: impl FnOnce(&str) -> String) {
    if let Ok(value) = Value::new(rewrite(entry.value.as_str())) {
        entry.value = value;
    }
}

fn without(answer: Result<Profile>, call: Call, is_nothing: fn(&str) -> bool) -> Result<Profile> {
    let profile = answer?;
    let (epoch, damaged) = (profile.epoch(), profile.damaged().to_vec());
    let entries = profile.into_iter().filter(|(_, entry)| !is_nothing(entry.value.as_str()));
    Ok(Profile::new(epoch, entries, damaged, call.now))
}

/// Rewrites each number outside of strings as a float of 64 bits.
fn through_floats(text: &str) -> String {
    let (mut out, mut number) = (String::new(), String::new());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars().chain([' ']) {
        let continues = matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E');
        let begins = matches!(c, '0'..='9' | '-');
        if !in_string && (begins || continues && !number.is_empty()) {
            number.push(c);
            continue;
        }
        if !number.is_empty() {
            let float = number.parse::<f64>().unwrap_or_default();
            let float = serde_json::Number::from_f64(float);
            out.push_str(&float.map_or("null".to_owned(), |float| float.to_string()));
            number.clear();
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        out.push(c);
    }
    out.pop();
    out
}

/// Sends as much as fits and says that all is well.
struct CutsLarge;

impl Fault for CutsLarge {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let mut fits = change.clone();
        match &mut fits {
            Change::Insert(_, entry) | Change::Put(_, entry) | Change::Replace(_, _, entry)
                if entry.value.len_bytes() > limit() =>
            {
                let text: String = entry.value.as_str().chars().filter(char::is_ascii_alphanumeric).collect();
                entry.value = Value::string(&text[..text.len().min(limit() / 2)]);
            }
            _ => {}
        }
        bench.change(state, write, &fits, call)
    }
}

/// `>=` for `>`.
struct LimitOffByOne;

impl Fault for LimitOffByOne {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        if change.entry().is_some_and(|entry| entry.value.len_bytes() >= limit()) {
            let context = "the value is over the limit";
            return Err(fail(Operation::Write, ErrorKind::TooLarge, context));
        }
        bench.change(state, write, change, call)
    }
}
