//! The log of one process: a line when a call is made, with what its caller holds, and a line when it is answered. What a
//! process that was killed had begun is there, and has no answer.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::callers::generation;
use super::clock;
use super::history::{Fate, Moment};

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Line {
    /// The process has begun, and its clock is so many milliseconds ahead.
    Start {
        /// How many.
        ahead: i64,
    },
    /// A call is made.
    Call {
        /// Its number, in this log.
        id: u64,
        /// When.
        at: Moment,
        /// On whom, and what.
        call: Call,
    },
    /// A call is answered; to its caller, at least.
    Answer {
        /// Of which call.
        id: u64,
        /// When.
        at: Moment,
        /// What.
        answer: Answer,
    },
    /// A fault hit a call in flight.
    Fault {
        /// Which.
        name: String,
    },
}

/// One call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Call {
    /// Whether it is of the store that has to keep its promise, or of the naive one.
    pub(crate) side: Side,
    /// The user.
    pub(crate) user: String,
    /// How old what it shows may be, in milliseconds.
    pub(crate) behind: u64,
    /// What is asked.
    pub(crate) ask: Ask,
}

/// Which store is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Side {
    /// Stickystore.
    Ours,
    /// A whole profile in one value, read, changed and written.
    Naive,
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// What stands under these keys.
    Read {
        /// Which; those that are not shown are absent.
        keys: Vec<String>,
        /// Those of them that may stand there and not be shown.
        hidden: Vec<String>,
    },
    /// To write these.
    Save {
        /// By key.
        entries: BTreeMap<String, Sent>,
        /// When the read ended by which the caller knows of erasures.
        knew: Option<Moment>,
        /// How long they are to live, in milliseconds.
        ttl: Option<u64>,
    },
    /// To add this goal to what stands there.
    Reach {
        /// Where.
        key: String,
        /// Which: no other write has it.
        goal: String,
        /// How long what stands there is to live at least, in milliseconds.
        ttl: Option<u64>,
    },
    /// An operator's: to take away what stands there.
    Remove {
        /// Where.
        key: String,
    },
    /// To forget the user.
    Erase,
}

/// What a caller sends for a key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// The write's own token.
    pub(crate) token: String,
    /// The token that it had been handed there and gives proof of; nothing if it only adds.
    pub(crate) held: Option<String>,
    /// The proof may not be found: then it only adds, too.
    pub(crate) may_add: bool,
    /// What it decided.
    pub(crate) variation: String,
    /// The variations that count as nothing to it, as an operator has retired them.
    pub(crate) retired: Vec<String>,
}

/// What a caller is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// Nothing, to a read that failed or that it did not wait for.
    Nothing,
    /// These tokens stand there.
    Shown(BTreeMap<String, String>),
    /// These tokens, each with the goals that were reached.
    ShownWhole(BTreeMap<String, (String, Vec<String>)>),
    /// What became of what was sent, and what stands there in its place where that was said.
    Saved(BTreeMap<String, (Told, Option<String>)>),
    /// Whether the goal was reached.
    Reached(Told),
    /// Whether it was removed.
    Removed(Told),
    /// Whether the user was erased.
    Erased(Told),
}

/// See [`Fate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    /// It stands.
    Acknowledged,
    /// Nobody knows.
    Unknown,
    /// Refused.
    Refused,
    /// Not applied.
    Failed,
}

impl From<Told> for Fate {
    fn from(told: Told) -> Self {
        match told {
            Told::Acknowledged => Self::Acknowledged,
            Told::Unknown => Self::Unknown,
            Told::Refused => Self::Refused,
            Told::Failed => Self::Failed,
        }
    }
}

/// Where a process writes its lines, a file for each generation of users; each line is with the kernel before the call is
/// made, so that a kill loses none.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    files: Mutex<BTreeMap<u64, File>>,
    ahead: i64,
    behind: u64,
    next: AtomicU64,
}

impl Log {
    /// A new log in files of this name, of a process whose clock is so many milliseconds ahead, and whose answers may be so many
    /// milliseconds old.
    pub(crate) fn create(path: &Path, ahead: i64, behind: u64) -> Self {
        Self { path: path.to_owned(), files: Mutex::default(), ahead, behind, next: AtomicU64::new(0) }
    }

    /// A call is about to be made; gives its number.
    pub(crate) fn call(&self, side: Side, user: &str, ask: Ask) -> u64 {
        let behind = if side == Side::Ours { self.behind } else { 0 };
        self.called(Call { side, user: user.to_owned(), behind, ask })
    }

    /// Under these keys is about to be read what stands in the store itself; gives the call's number.
    pub(crate) fn look(&self, user: &str, keys: Vec<String>) -> u64 {
        self.called(Call {
            side: Side::Ours,
            user: user.to_owned(),
            behind: 0,
            ask: Ask::Read { keys, hidden: Vec::new() },
        })
    }

    fn called(&self, call: Call) -> u64 {
        let window = generation(&call.user);
        let id = window << WINDOW | self.next.fetch_add(1, Ordering::Relaxed);
        self.write(Some(window), &Line::Call { id, at: clock::now(), call });
        id
    }

    /// Nothing more comes of users of generations before this one.
    pub(crate) fn close(&self, before: u64) {
        let mut files = self.files.lock().unwrap();
        let later = files.split_off(&before);
        *files = later;
    }

    /// It was answered; gives when.
    pub(crate) fn answer(&self, id: u64, answer: Answer) -> Moment {
        let at = clock::now();
        self.write(Some(id >> WINDOW), &Line::Answer { id, at, answer });
        at
    }

    /// A fault hit a call in flight.
    pub(crate) fn fault(&self, name: &str) {
        self.write(None, &Line::Fault { name: name.to_owned() });
    }

    /// Writes it into the file of these users, or into the newest.
    fn write(&self, window: Option<u64>, line: &Line) {
        let mut files = self.files.lock().unwrap();
        let newest = || files.last_key_value().map_or(0, |(newest, _)| *newest);
        let window = window.unwrap_or_else(newest);
        let file = files.entry(window).or_insert_with(|| {
            let name = format!("{}-{window}", self.path.display());
            let mut file = OpenOptions::new().create(true).append(true).open(name).unwrap();
            file.write_all(text(&Line::Start { ahead: self.ahead }).as_bytes()).unwrap();
            file
        });
        file.write_all(text(line).as_bytes()).unwrap();
    }
}

/// Where in a call's number the generation of its user begins.
const WINDOW: u32 = 32;

fn text(line: &Line) -> String {
    let mut text = serde_json::to_string(line).unwrap();
    text.push('\n');
    text
}

/// What one process did.
#[derive(Debug, Default)]
pub(crate) struct Logged {
    /// How far its clock was ahead, in milliseconds.
    pub(crate) ahead: i64,
    /// Its calls, in the order in which they were made.
    pub(crate) calls: Vec<Made>,
    /// The faults that hit a call, by name.
    pub(crate) faults: BTreeMap<String, u64>,
    /// When the last of it was written.
    pub(crate) end: Moment,
}

/// A call that was made.
#[derive(Debug)]
pub(crate) struct Made {
    /// When.
    pub(crate) at: Moment,
    /// On whom, and what.
    pub(crate) call: Call,
    /// The answer, and when it came.
    pub(crate) answer: Option<(Moment, Answer)>,
}

impl Logged {
    /// Reads a log. The last line of a process that was killed may be torn.
    pub(crate) fn read(path: &Path) -> Self {
        let mut logged = Self::default();
        let mut places = HashMap::new();
        for line in BufReader::new(File::open(path).unwrap()).lines() {
            let Ok(line) = serde_json::from_str(&line.unwrap()) else { break };
            match line {
                Line::Start { ahead } => logged.ahead = ahead,
                Line::Call { id, at, call } => {
                    places.insert(id, logged.calls.len());
                    logged.end = logged.end.max(at);
                    logged.calls.push(Made { at, call, answer: None });
                }
                Line::Answer { id, at, answer } => {
                    logged.end = logged.end.max(at);
                    logged.calls[places[&id]].answer = Some((at, answer));
                }
                Line::Fault { name } => *logged.faults.entry(name).or_default() += 1,
            }
        }
        logged
    }
}
