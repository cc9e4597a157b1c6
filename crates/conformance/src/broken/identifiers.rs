//! Stores that change identifiers: whatever makes two of them one.

use std::collections::HashMap;
use std::sync::Mutex;

use stickystore_core::{
    Call, Change, Erase, ErrorKind, Key, Namespace, Operation, Outcome, Result, Subject, UserId, Write,
};

use super::BrokenStore;
use super::bench::{Bench, fail, opened};
use super::fault::{Fault, Ids};
use super::state::{State, User};

/// The longest key of a memcached server.
const MEMCACHED_KEY_BYTES: usize = 250;

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "trims identifiers",
        breaks: "identifiers are verbatim: spaces",
        open: || opened(Ids(|id| id.trim().to_owned())),
    },
    BrokenStore {
        name: "folds case",
        breaks: "identifiers are verbatim: case",
        open: || opened(Ids(str::to_lowercase)),
    },
    BrokenStore {
        name: "compares without case, as a collation does",
        breaks: "different bytes are different users and keys: case",
        open: || opened(Collates::by(str::to_ascii_lowercase)),
    },
    BrokenStore {
        name: "compares without trailing spaces, as a CHAR column does",
        breaks: "different bytes are different users and keys: spaces at the end",
        open: || opened(Collates::by(|id| id.trim_end_matches(' ').to_owned())),
    },
    BrokenStore {
        name: "joins user and key with a colon",
        breaks: "(\"a:b\", \"c\") is not (\"a\", \"b:c\")",
        open: || opened(JoinsUserAndKey),
    },
    BrokenStore {
        name: "strips separators",
        breaks: "identifiers are verbatim: separators",
        open: || opened(Ids(|id| id.replace([':', '|', '/', '\\'], ""))),
    },
    BrokenStore {
        name: "puts underscores for dots and dollars",
        breaks: "identifiers are verbatim: what a document database gives a meaning",
        open: || opened(Ids(|id| id.replace(['.', '$'], "_"))),
    },
    BrokenStore {
        name: "cuts identifiers at 250 bytes",
        breaks: "identifiers are 1 to 4 096 bytes",
        open: || opened(Ids(cut)),
    },
    BrokenStore {
        name: "refuses identifiers over 1 KiB",
        breaks: "identifiers are 1 to 4 096 bytes",
        open: || opened(RefusesLong),
    },
    BrokenStore {
        name: "composes accents",
        breaks: "identifiers are not normalised",
        open: || opened(Ids(|id| id.replace("e\u{301}", "\u{e9}"))),
    },
    BrokenStore {
        name: "ends identifiers at NUL",
        breaks: "identifiers are verbatim: NUL",
        open: || opened(Ids(|id| id.split('\0').next().unwrap_or_default().to_owned())),
    },
    BrokenStore {
        name: "strips control characters",
        breaks: "identifiers are verbatim: CR, LF, DEL",
        open: || opened(Ids(|id| id.chars().filter(|c| !c.is_control() || *c == '\0').collect())),
    },
    BrokenStore {
        name: "decodes percent signs",
        breaks: "percent signs are literal",
        open: || opened(Ids(|id| id.replace("%20", " ").replace("%2F", "/").replace("%3A", ":"))),
    },
    BrokenStore {
        name: "reads numbers in identifiers",
        breaks: "numeric-looking identifiers stay strings",
        open: || {
            opened(Ids(|id| match id.parse::<f64>() {
                Ok(number) => number.to_string(),
                Err(_) => id.to_owned(),
            }))
        },
    },
    BrokenStore {
        name: "keeps what is in braces, as a hash tag",
        breaks: "braces in identifiers are literal",
        open: || opened(Ids(hash_tag)),
    },
    BrokenStore {
        name: "erases by pattern",
        breaks: "`*` in an identifier is literal",
        open: || opened(ErasesByPattern),
    },
    BrokenStore {
        name: "a line break begins a command",
        breaks: "no identifier reaches another key",
        open: || opened(RunsCommands),
    },
];

fn cut(id: &str) -> String {
    let mut end = id.len().min(MEMCACHED_KEY_BYTES);
    while !id.is_char_boundary(end) {
        end -= 1;
    }
    id[..end].to_owned()
}

fn hash_tag(id: &str) -> String {
    match id.split_once('{').and_then(|(_, rest)| rest.split_once('}')) {
        Some((tag, _)) if !tag.is_empty() => tag.to_owned(),
        _ => id.to_owned(),
    }
}

/// Keeps identifiers as they were first written, but finds them by what this makes of them.
struct Collates {
    by: fn(&str) -> String,
    users: Mutex<HashMap<(Namespace, String), UserId>>,
    keys: Mutex<HashMap<(Subject, String), Key>>,
}

impl Collates {
    fn by(by: fn(&str) -> String) -> Self {
        Self { by, users: Mutex::default(), keys: Mutex::default() }
    }
}

impl Fault for Collates {
    fn subject(&self, subject: &Subject) -> Subject {
        let place = (subject.namespace.clone(), (self.by)(subject.user.as_str()));
        let mut users = self.users.lock().unwrap();
        let first = users.entry(place).or_insert_with(|| subject.user.clone());
        Subject::new(subject.namespace.clone(), first.clone())
    }

    fn at(&self, subject: &Subject, key: &Key) -> (Subject, Key) {
        let subject = self.subject(subject);
        let place = (subject.clone(), (self.by)(key.as_str()));
        let mut keys = self.keys.lock().unwrap();
        let first = keys.entry(place).or_insert_with(|| key.clone());
        (subject, first.clone())
    }
}

/// Stores under `user:key`; the first colon tells where the user ends.
struct JoinsUserAndKey;

impl JoinsUserAndKey {
    fn split(user: &UserId) -> (UserId, Option<String>) {
        match user.as_str().split_once(':') {
            Some((head, rest)) if !head.is_empty() => (UserId::new(head).unwrap(), Some(format!("{rest}:"))),
            _ => (user.clone(), None),
        }
    }
}

impl Fault for JoinsUserAndKey {
    fn subject(&self, subject: &Subject) -> Subject {
        Subject::new(subject.namespace.clone(), Self::split(&subject.user).0)
    }

    fn at(&self, subject: &Subject, key: &Key) -> (Subject, Key) {
        let prefix = Self::split(&subject.user).1.unwrap_or_default();
        let joined = Key::new(format!("{prefix}{key}")).unwrap_or_else(|_| key.clone());
        (self.subject(subject), joined)
    }

    fn shown(&self, subject: &Subject, stored: &Key) -> Option<Key> {
        let prefix = Self::split(&subject.user).1.unwrap_or_default();
        stored.as_str().strip_prefix(&prefix).and_then(|key| Key::new(key).ok())
    }
}

/// Has a shorter limit than everybody else.
struct RefusesLong;

impl Fault for RefusesLong {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        if change.key().as_str().len() > 1024 || write.subject().user.as_str().len() > 1024 {
            return Err(fail(Operation::Write, ErrorKind::Invalid, "the identifier is over 1024 bytes"));
        }
        bench.change(state, write, change, call)
    }
}

/// Erases whatever the user's id matches, as `KEYS` would.
struct ErasesByPattern;

impl Fault for ErasesByPattern {
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        if let Some((head, _)) = erase.subject.user.as_str().split_once('*') {
            let namespace = erase.subject.namespace.clone();
            state.users.retain(|subject, _| {
                subject.namespace != namespace
                    || *subject == erase.subject
                    || !subject.user.as_str().starts_with(head)
            });
        }
        bench.erase_user(state, erase, call.now)
    }
}

/// Sends identifiers to a line protocol as they are: what follows CR LF is a command of its own.
struct RunsCommands;

impl RunsCommands {
    fn run(state: &mut State, namespace: &Namespace, id: &str) {
        for command in id.split("\r\n").skip(1) {
            let words: Vec<_> = command.split_whitespace().collect();
            if let [verb, id, ..] = words[..]
                && ["delete", "del", "unlink"].contains(&verb.to_lowercase().as_str())
            {
                let user = UserId::new(id).unwrap();
                state.users.remove(&Subject::new(namespace.clone(), user));
                state.users.values_mut().for_each(|user| {
                    if let User::Ours(ours) = user {
                        ours.slots.retain(|key, _| key.as_str() != id);
                    }
                });
            } else if words.first().is_some_and(|verb| verb.to_lowercase().starts_with("flush")) {
                state.users.retain(|subject, _| subject.namespace != *namespace);
            }
        }
    }
}

impl Fault for RunsCommands {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        let subject = write.subject();
        Self::run(state, &subject.namespace, subject.user.as_str());
        Self::run(state, &subject.namespace, change.key().as_str());
        bench.change(state, write, change, call)
    }
}
