//! Stores that mix up the items of a call.

use std::collections::{HashMap, HashSet};

use stickystore_core::{Call, Erase, Error, ErrorKind, Operation, Outcome, Profile, Read, Result, Write};

use super::BrokenStore;
use super::bench::{Bench, fail, opened};
use super::fault::Fault;
use super::state::State;

/// How many items this store sends in one round trip.
const CHUNK: usize = 64;

/// How many changes of a user this store sends in one command.
const SENT_CHANGES: usize = 16;

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "answers reads in the order of users",
        breaks: "answers come in the order of the questions",
        open: || opened(SortsReads),
    },
    BrokenStore {
        name: "stops a batch at the first error",
        breaks: "one bad item names itself, the others succeed",
        open: || opened(StopsAtError),
    },
    BrokenStore {
        name: "stops a write at the first refused change",
        breaks: "a refused change does not stop the others",
        open: || opened(StopsAtRefusal),
    },
    BrokenStore {
        name: "answers duplicates once",
        breaks: "one answer for each question",
        open: || opened(AnswersOnce),
    },
    BrokenStore {
        name: "answers a duplicate with nothing",
        breaks: "duplicates are answered each",
        open: || opened(EmptyDuplicates),
    },
    BrokenStore {
        name: "writes of one user go last to first",
        breaks: "writes of one user inside one call take effect in slice order",
        open: || opened(ReversesWrites),
    },
    BrokenStore {
        name: "keeps the last write of a user in a call",
        breaks: "each write of a call is made",
        open: || opened(LastWriteOnly),
    },
    BrokenStore {
        name: "answers the changes in the order of keys",
        breaks: "a write's changes have an outcome each, in order",
        open: || opened(SortsOutcomes),
    },
    BrokenStore {
        name: "names only the first 16 changes",
        breaks: "each change of a write is made",
        open: || opened(FirstChangesOnly),
    },
    BrokenStore {
        name: "forgets the last, unfilled chunk",
        breaks: "large batches are answered whole",
        open: || opened(ForgetsRest),
    },
    BrokenStore {
        name: "answers an empty batch",
        breaks: "no questions, no answers",
        open: || opened(AnswersNothing),
    },
    BrokenStore {
        name: "erases the first of a batch",
        breaks: "each erase of a call is made",
        open: || opened(ErasesFirst),
    },
    BrokenStore {
        name: "gives a user's outcomes to the next user",
        breaks: "each user's answer is its own",
        open: || opened(RotatesWrites),
    },
];

struct SortsReads;

impl Fault for SortsReads {
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let mut sorted = reads.to_vec();
        sorted.sort_by(|a, b| a.subject.cmp(&b.subject));
        bench.read_all(call, &sorted)
    }
}

struct StopsAtError;

impl Fault for StopsAtError {
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let mut failed: Option<Error> = None;
        let mut answers = bench.read_all(call, reads);
        for answer in &mut answers {
            match (&failed, &*answer) {
                (Some(error), _) => *answer = Err(error.clone()),
                (None, Err(error)) => failed = Some(error.clone()),
                (None, Ok(_)) => {}
            }
        }
        answers
    }

    fn write_user(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        call: Call,
    ) -> Vec<Result<Outcome>> {
        let mut answers: Vec<Result<Outcome>> = Vec::new();
        for change in write.changes() {
            let failed = answers.last().and_then(|last| last.as_ref().err().cloned());
            answers.push(match failed {
                Some(error) => Err(error),
                None => bench.change(state, write, change, call),
            });
        }
        answers
    }
}

/// A transaction that is rolled back as soon as one condition does not hold.
struct StopsAtRefusal;

impl Fault for StopsAtRefusal {
    fn write_user(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        call: Call,
    ) -> Vec<Result<Outcome>> {
        let before = state.users.get(write.subject()).cloned();
        let answers = bench.write_user(state, write, call);
        if answers.iter().any(|answer| !answer.as_ref().is_ok_and(Outcome::is_applied)) {
            match before {
                Some(before) => state.users.insert(write.subject().clone(), before),
                None => state.users.remove(write.subject()),
            };
        }
        answers
    }
}

struct AnswersOnce;

impl Fault for AnswersOnce {
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let mut seen = HashSet::new();
        let once: Vec<_> = reads.iter().filter(|read| seen.insert(&read.subject)).cloned().collect();
        bench.read_all(call, &once)
    }
}

/// Answers are moved out of a map by user: the second question finds it empty.
struct EmptyDuplicates;

impl Fault for EmptyDuplicates {
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let mut seen = HashSet::new();
        let answers = bench.read_all(call, reads).into_iter().zip(reads);
        answers
            .map(|(answer, read)| if seen.insert(&read.subject) { answer } else { Ok(Profile::default()) })
            .collect()
    }
}

struct ReversesWrites;

impl Fault for ReversesWrites {
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let mut answers: Vec<_> = writes.iter().rev().map(|write| bench.write_one(call, write)).collect();
        answers.reverse();
        answers
    }
}

/// Collects writes in a map by user.
struct LastWriteOnly;

impl Fault for LastWriteOnly {
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let mut last = HashMap::new();
        for (i, write) in writes.iter().enumerate() {
            last.insert(write.subject(), i);
        }
        let write = |(i, write): (usize, &Write)| {
            if last.get(write.subject()) == Some(&i) {
                return bench.write_one(call, write);
            }
            // What the earlier one would have been told.
            let before = bench.state().users.get(write.subject()).cloned();
            let answers = bench.write_one(call, write);
            match before {
                Some(before) => bench.state().users.insert(write.subject().clone(), before),
                None => bench.state().users.remove(write.subject()),
            };
            answers
        };
        writes.iter().enumerate().map(write).collect()
    }
}

struct SortsOutcomes;

impl Fault for SortsOutcomes {
    fn write_user(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        call: Call,
    ) -> Vec<Result<Outcome>> {
        let answers = bench.write_user(state, write, call);
        let mut sorted: Vec<_> = write.changes().iter().zip(answers).collect();
        sorted.sort_by(|(a, _), (b, _)| a.key().cmp(b.key()));
        sorted.into_iter().map(|(_, answer)| answer).collect()
    }
}

struct FirstChangesOnly;

impl Fault for FirstChangesOnly {
    fn write_user(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        call: Call,
    ) -> Vec<Result<Outcome>> {
        let change = |(i, change)| {
            if i < SENT_CHANGES {
                bench.change(state, write, change, call)
            } else {
                bench.judge(state, write, change, call)?.outcome
            }
        };
        write.changes().iter().enumerate().map(change).collect()
    }
}

/// `chunks_exact` for `chunks`, beyond the first round trip.
struct ForgetsRest;

impl Fault for ForgetsRest {
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let sent = if reads.len() <= CHUNK { reads.len() } else { reads.len() / CHUNK * CHUNK };
        let mut answers = bench.read_all(call, &reads[..sent]);
        answers.resize(reads.len(), Ok(Profile::default()));
        answers
    }
}

struct AnswersNothing;

impl Fault for AnswersNothing {
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        if reads.is_empty() {
            return vec![Err(fail(Operation::Read, ErrorKind::Unexpected, "an empty command"))];
        }
        bench.read_all(call, reads)
    }
}

struct ErasesFirst;

impl Fault for ErasesFirst {
    fn erase(&self, bench: &Bench, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        let mut answers = bench.erase_all(call, &erases[..erases.len().min(1)]);
        let first = answers.first().cloned();
        answers.extend(first.into_iter().cycle().take(erases.len().saturating_sub(1)));
        answers
    }
}

struct RotatesWrites;

impl Fault for RotatesWrites {
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        let mut answers = bench.write_all(call, writes);
        let counts: HashSet<_> = answers.iter().map(Vec::len).collect();
        // Only where it does not show in the number of answers.
        if counts.len() == 1 {
            answers.rotate_right(1);
        }
        answers
    }
}
