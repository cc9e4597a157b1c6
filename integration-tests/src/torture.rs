//! The torture run: SDK-like callers in several processes, on a real server, while everything fails that can; and a judge
//! that looks at nothing but what the callers saw.
//!
//! A call takes this way: a caller (`callers`) says in its log (`log`) what it holds, and calls; on the way the call meets
//! faults (`faulty`, and the wire's); the logs of all processes are merged (`merge`) into what happened to each entry
//! (`history`), which is judged (`judge`), a generation of users after the other (`windows`). What a process does is in `child`, what a whole run does in `run`.

mod backend;
mod callers;
mod child;
mod clock;
mod command;
mod datafile;
mod dice;
mod faulty;
pub mod history;
pub mod judge;
mod layers;
mod log;
mod merge;
mod naive;
mod place;
mod plants;
mod process;
mod profiles;
mod record;
mod run;
mod twice;
mod verdict;
mod windows;
mod wire;

pub use backend::Backend;
pub use command::command;
pub use merge::Tally;
pub use plants::{PLANTS, SOUND};
pub use run::{Plan, Until, run};
pub use verdict::{End, Verdict};
