//! Two processes on one server.

use stickystore_integration_tests::racing::Race;
use stickystore_integration_tests::server::mongodb::MongoDb;

use crate::bench::server;

/// A race on a server of its own.
fn race() -> Option<(MongoDb, Race)> {
    let server = server(&[])?;
    let race = Race::new(env!("CARGO_BIN_EXE_racer"), &server.url());
    Some((server, race))
}

#[test]
fn one_insert_wins_over_two_processes_and_everybody_is_told_its_entry() {
    let Some((_server, race)) = race() else { return };
    race.one_insert_wins();
}

#[test]
fn counters_of_two_processes_lose_nothing() {
    let Some((_server, race)) = race() else { return };
    race.counters_lose_nothing();
}

#[test]
fn an_erase_of_another_process_leaves_nothing_of_before() {
    let Some((_server, race)) = race() else { return };
    race.an_erase_leaves_nothing_of_before();
}

#[test]
fn a_process_that_is_killed_while_it_writes_disturbs_no_other() {
    let Some((_server, race)) = race() else { return };
    race.one_that_is_killed_disturbs_no_other();
}
