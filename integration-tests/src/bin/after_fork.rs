//! Opens a blocking store, forks, and calls it on both sides. Exit code 0 if both answered as they should.
//!
//! A process of its own, because a fork copies only the thread that forks.

use std::process::ExitCode;
use std::time::Duration;

use fork::{Fork, fork, waitpid};
use stickystore_core::{Blocking, Call, ErrorKind, Store, SystemClock};
use stickystore_integration_tests::waiting::{Ping, Waiting};

fn main() -> ExitCode {
    let Ok(store) = Blocking::open(|| async { Waiting::open(Ping::Answers) }) else {
        return ExitCode::from(10);
    };
    let call = || Call::within(&SystemClock, Duration::from_secs(5));
    if store.ping(call()).is_err() {
        return ExitCode::from(11);
    }
    match fork() {
        Ok(Fork::Child) => {
            let clone = store.clone();
            let kinds = [&store, &clone].map(|store| store.ping(call()).map_err(|error| error.kind()));
            drop((store, clone));
            ExitCode::from(if kinds == [Err(ErrorKind::Forked); 2] { 0 } else { 12 })
        }
        Ok(Fork::Parent(child)) => {
            let child_ended = waitpid(child).is_ok_and(|status| status == 0);
            let parent_goes_on = store.ping(call()).is_ok();
            println!("child answered: {child_ended}, parent goes on: {parent_goes_on}");
            ExitCode::from(if child_ended && parent_goes_on { 0 } else { 13 })
        }
        Err(_) => ExitCode::from(14),
    }
}
