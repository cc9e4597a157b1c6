//! Stores that do not end when they should, or say the wrong thing about how they ended.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use stickystore_core::{
    Call, Change, Cursor, Effect, ErrorKind, Namespace, Operation, Outcome, Page, Profile, Read, Result,
    Write,
};

use super::BrokenStore;
use super::bench::{Bench, fail, opened};
use super::fault::Fault;
use super::state::State;

/// How long the slow store takes where it has not the time.
const TOO_LATE: Duration = Duration::from_millis(400);

/// How long an answer takes to come.
const ROUND_TRIP: Duration = Duration::from_millis(2);

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "ignores the deadline",
        breaks: "a call whose deadline has passed answers Timeout, not applied",
        open: || opened(IgnoresDeadline(|_| true)),
    },
    BrokenStore {
        name: "erases after the deadline",
        breaks: "an erase whose deadline has passed is not applied",
        open: || opened(IgnoresDeadline(|operation| operation == Operation::Erase)),
    },
    BrokenStore {
        name: "scans after the deadline",
        breaks: "a scan whose deadline has passed answers Timeout",
        open: || opened(IgnoresDeadline(|operation| operation == Operation::Scan)),
    },
    BrokenStore {
        name: "pings after the deadline",
        breaks: "a ping whose deadline has passed answers Timeout",
        open: || opened(IgnoresDeadline(|operation| operation == Operation::Ping)),
    },
    BrokenStore {
        name: "applies, then says that it has not",
        breaks: "an error says whether the write was not applied or is unknown",
        open: || opened(AppliesAndDenies),
    },
    BrokenStore {
        name: "does not know that it sent nothing",
        breaks: "a call whose deadline has passed is not applied, and says so",
        open: || opened(AlwaysUnknown),
    },
    BrokenStore {
        name: "keeps the answer of a call that was given up",
        breaks: "a call that is given up changes nobody else's answer",
        open: || opened(StaleAnswer::default()),
    },
    BrokenStore {
        name: "answers absent on an error",
        breaks: "absent and failed are two answers",
        open: || opened(AbsentOnError),
    },
    BrokenStore {
        name: "close does not close clones",
        breaks: "every call after a close is Closed, on clones too",
        open: || opened(ClosesOne::default()),
    },
    BrokenStore {
        name: "cannot be closed twice",
        breaks: "close can be called again",
        open: || opened(ClosesOnce),
    },
    BrokenStore {
        name: "reads after close",
        breaks: "every call after a close is Closed: read",
        open: || opened(IgnoresClose(Operation::Read)),
    },
    BrokenStore {
        name: "writes after close",
        breaks: "every call after a close is Closed: write",
        open: || opened(IgnoresClose(Operation::Write)),
    },
    BrokenStore {
        name: "erases after close",
        breaks: "every call after a close is Closed: erase",
        open: || opened(IgnoresClose(Operation::Erase)),
    },
    BrokenStore {
        name: "answers a ping after close",
        breaks: "every call after a close is Closed: ping",
        open: || opened(IgnoresClose(Operation::Ping)),
    },
    BrokenStore {
        name: "scans after close",
        breaks: "every call after a close is Closed: scan",
        open: || opened(IgnoresClose(Operation::Scan)),
    },
    BrokenStore {
        name: "a ping needs a right of its own",
        breaks: "ping says whether the store is there",
        open: || opened(DeniesPing),
    },
    BrokenStore {
        name: "derives Debug",
        breaks: "Debug shows nothing that is stored",
        open: || opened(DerivesDebug),
    },
    BrokenStore {
        name: "names the key in its errors",
        breaks: "errors show no identifiers and no content",
        open: || opened(NamesKeys),
    },
    BrokenStore {
        name: "a closed store is unavailable",
        breaks: "every call after a close is Closed, and no other error",
        open: || opened(ClosedIsUnavailable),
    },
];

/// Looks at the deadline of some operations only.
struct IgnoresDeadline(fn(Operation) -> bool);

impl Fault for IgnoresDeadline {
    fn admit(&self, bench: &Bench, call: Call, operation: Operation) -> Result<()> {
        let late = Call::new(call.now, Instant::now() + TOO_LATE);
        bench.admit(if (self.0)(operation) { late } else { call }, operation)
    }
}

/// Looks at the clock when it is done.
struct AppliesAndDenies;

impl Fault for AppliesAndDenies {
    fn write(&self, bench: &Bench, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        if call.remaining().is_zero() && !bench.is_closed() {
            bench.write_all(Call::new(call.now, Instant::now() + TOO_LATE), writes);
        }
        bench.write_all(call, writes)
    }
}

/// Takes every timeout for one on the wire.
struct AlwaysUnknown;

impl Fault for AlwaysUnknown {
    fn admit(&self, bench: &Bench, call: Call, operation: Operation) -> Result<()> {
        bench.admit(call, operation).map_err(|error| match error.kind() {
            ErrorKind::Timeout => error.with_effect(Effect::Unknown),
            _ => error,
        })
    }
}

/// A connection goes back into its pool although an answer is still to come over it.
#[derive(Default)]
struct StaleAnswer(Mutex<Option<Vec<Result<Profile>>>>);

impl Fault for StaleAnswer {
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        let mut stale = self.0.lock().unwrap();
        let in_time = Call::new(call.now, Instant::now() + TOO_LATE);
        if !call.remaining().is_zero() && call.remaining() < ROUND_TRIP {
            *stale = Some(bench.read_all(in_time, reads));
            let late = fail(Operation::Read, ErrorKind::Timeout, "no answer by the deadline");
            return vec![Err(late.with_effect(Effect::Unknown)); reads.len()];
        }
        let answers = bench.read_all(call, reads);
        match stale.take() {
            Some(stale) if stale.len() == answers.len() => stale,
            _ => answers,
        }
    }
}

/// `unwrap_or_default`.
struct AbsentOnError;

impl Fault for AbsentOnError {
    fn read(&self, bench: &Bench, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        bench.read_all(call, reads).into_iter().map(|answer| Ok(answer.unwrap_or_default())).collect()
    }
}

/// Every handle has a flag of its own.
#[derive(Default)]
struct ClosesOne(Mutex<HashSet<usize>>);

impl Fault for ClosesOne {
    fn admit(&self, bench: &Bench, call: Call, operation: Operation) -> Result<()> {
        if self.0.lock().unwrap().contains(&bench.handle) {
            return Err(fail(operation, ErrorKind::Closed, "this store was closed"));
        }
        bench.admit(call, operation)
    }

    fn close(&self, bench: &Bench, _call: Call) -> Result<()> {
        self.0.lock().unwrap().insert(bench.handle);
        Ok(())
    }
}

struct ClosesOnce;

impl Fault for ClosesOnce {
    fn close(&self, bench: &Bench, _call: Call) -> Result<()> {
        if bench.is_closed() {
            return Err(fail(Operation::Close, ErrorKind::Closed, "this store was closed"));
        }
        bench.close_all();
        Ok(())
    }
}

/// One operation does not ask.
struct IgnoresClose(Operation);

impl Fault for IgnoresClose {
    fn admit(&self, bench: &Bench, call: Call, operation: Operation) -> Result<()> {
        match bench.admit(call, operation) {
            Err(error) if error.kind() == ErrorKind::Closed && operation == self.0 => Ok(()),
            answer => answer,
        }
    }

    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(bench, call, Operation::Scan)?;
        Ok(bench.page(&bench.state(), namespace, cursor, limit, call.now))
    }
}

struct ClosedIsUnavailable;

impl Fault for ClosedIsUnavailable {
    fn admit(&self, bench: &Bench, call: Call, operation: Operation) -> Result<()> {
        if bench.is_closed() {
            return Err(fail(operation, ErrorKind::Unavailable, "the connection is gone"));
        }
        bench.admit(call, operation)
    }
}

/// `PING` is not among what the user of the server may call.
struct DeniesPing;

impl Fault for DeniesPing {
    fn ping(&self, bench: &Bench, call: Call) -> Result<()> {
        bench.admit(call, Operation::Ping)?;
        Err(fail(Operation::Ping, ErrorKind::Denied, "no permission for this command"))
    }
}

struct DerivesDebug;

impl Fault for DerivesDebug {
    fn debug(&self, bench: &Bench) -> Option<String> {
        Some(format!("{:?}", bench.state()))
    }
}

/// For whoever has to find the entry.
struct NamesKeys;

impl Fault for NamesKeys {
    fn change(
        &self,
        bench: &Bench,
        state: &mut State,
        write: &Write,
        change: &Change,
        call: Call,
    ) -> Result<Outcome> {
        bench.change(state, write, change, call).map_err(|error| {
            fail(Operation::Write, error.kind(), &format!("{}: {}", change.key(), error.context()))
                .with_effect(error.effect())
        })
    }
}
