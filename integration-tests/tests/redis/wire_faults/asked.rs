//! What a command of the store's asks for, seen from outside: the layout of the scripts' arguments.

use stickystore_integration_tests::resp::{Command, Reply};

/// How many words an erase has: the script's name and text, one key, and four arguments.
const ERASE_WORDS: usize = 8;

/// Where the users of a script are counted.
const USERS: usize = 2;

/// Where the arguments of a script for one user begin.
pub(super) const GRACE: usize = 4;
const NOW: usize = 5;
const CHANGES: usize = 7;

/// What a command asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// A whole user, by HGETALL.
    Load,
    /// Some entries, by HMGET: how many fields.
    Get(usize),
    /// Changes of one user.
    Write(Vec<Change>),
    /// An erase of one user.
    Erase,
    /// A script for several users, whose faults are those of one.
    Group,
    /// Anything else.
    Other,
}

/// One change, as it is sent: its letter, and what the new entry begins with.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) letter: u8,
    pub(super) head: Option<Vec<u8>>,
}

impl Asked {
    pub(super) fn of(command: &Command) -> Self {
        match command[0].as_slice() {
            b"HGETALL" => Self::Load,
            b"HMGET" => Self::Get(command.len() - 2),
            b"EVAL" | b"EVALSHA" if command[USERS] != b"1" => Self::Group,
            b"EVAL" | b"EVALSHA" if command.len() == ERASE_WORDS => Self::Erase,
            b"EVAL" | b"EVALSHA" => Self::Write(changes(&command[CHANGES..])),
            _ => Self::Other,
        }
    }

    /// Whether it writes.
    pub(super) fn is_write(&self) -> bool {
        matches!(self, Self::Write(_) | Self::Erase)
    }

    /// Whether it writes, and by nothing but changes with these letters.
    pub(super) fn changes_only(&self, letters: &[u8]) -> bool {
        matches!(self, Self::Write(changes) if changes.iter().all(|change| letters.contains(&change.letter)))
    }

    /// What the script answers where nothing is in the way of any change.
    pub(super) fn success(&self) -> Reply {
        let outcome = |change: &Change| match change.letter {
            b'I' => 1,
            b'P' => 2,
            b'R' => 3,
            _ => 5,
        };
        match self {
            Self::Write(changes) => Reply::List(changes.iter().map(outcome).map(Reply::Int).collect()),
            _ => Reply::Int(1),
        }
    }
}

/// For how long what a script's command writes last shall stand, by itself; nothing if that is for ever, or nothing.
pub(super) fn life_of_last(command: &Command) -> Option<i64> {
    let Asked::Write(changes) = Asked::of(command) else { return None };
    let head = changes.into_iter().rev().find_map(|change| change.head)?;
    let expiry = number(head.split(|byte| *byte == b' ').nth(2)?);
    (expiry > 0).then(|| expiry - number(&command[NOW]) + number(&command[GRACE]))
}

fn changes(mut words: &[Vec<u8>]) -> Vec<Change> {
    let mut changes = Vec::new();
    while let Some(letter) = words.first().map(|word| word[0]) {
        let (count, head) = match letter {
            b'I' | b'P' => (4, Some(2)),
            b'R' => (5, Some(3)),
            b'X' => (3, None),
            _ => (2, None),
        };
        changes.push(Change { letter, head: head.map(|at| words[at].clone()) });
        words = &words[count..];
    }
    changes
}

fn number(text: &[u8]) -> i64 {
    std::str::from_utf8(text).unwrap().parse().unwrap()
}
