//! Nothing is lost and nothing flips, on any store, while enough goes wrong; and the naive store loses beside it.

use stickystore_integration_tests::torture::{Backend, Plan};

use crate::{plan, torture};

/// Sees that a run of so many requests a process finds nothing, and that enough happened in it.
fn comes_through(plan: &Plan) {
    let Some(verdict) = torture(plan) else { return };
    println!("{verdict}");
    assert_eq!(verdict.objection(), None, "{verdict}");
    assert!(verdict.naive.lost + verdict.naive.flipped > 0, "the naive store loses: {verdict}");
}

#[test]
fn memory_loses_nothing() {
    comes_through(&plan(Backend::Memory, 3_000));
}

#[test]
fn memory_in_all_layers_loses_nothing() {
    comes_through(&Plan { is_layered: true, ..plan(Backend::Memory, 3_000) });
}

#[test]
fn embedded_loses_nothing_when_its_process_is_killed() {
    comes_through(&plan(Backend::Embedded, 4_000));
}

#[test]
fn embedded_in_all_layers_loses_nothing_when_its_process_is_killed() {
    comes_through(&Plan { is_layered: true, ..plan(Backend::Embedded, 4_000) });
}

#[test]
fn redis_loses_nothing_when_processes_and_the_server_are_killed() {
    comes_through(&plan(Backend::Redis, 3_500));
}

#[test]
fn redis_in_all_layers_loses_nothing_when_processes_and_the_server_are_killed() {
    comes_through(&Plan { is_layered: true, ..plan(Backend::Redis, 3_500) });
}

#[test]
fn memcached_loses_nothing_when_processes_are_killed() {
    comes_through(&plan(Backend::Memcached, 3_500));
}

#[test]
fn memcached_in_all_layers_loses_nothing_when_processes_are_killed() {
    comes_through(&Plan { is_layered: true, ..plan(Backend::Memcached, 3_500) });
}

#[test]
fn mongodb_loses_nothing_when_processes_are_killed() {
    comes_through(&plan(Backend::MongoDb, 2_500));
}

#[test]
fn mongodb_in_all_layers_loses_nothing_when_processes_are_killed() {
    comes_through(&Plan { is_layered: true, ..plan(Backend::MongoDb, 2_500) });
}

#[test]
fn a_mongodb_replica_set_loses_nothing_when_processes_and_its_nodes_are_killed() {
    comes_through(&Plan { nodes: 3, ..plan(Backend::MongoDb, 2_500) });
}

#[test]
fn cassandra_loses_nothing_when_processes_are_killed() {
    comes_through(&plan(Backend::Cassandra, 2_200));
}

#[test]
fn cassandra_in_all_layers_loses_nothing_when_processes_are_killed() {
    comes_through(&Plan { is_layered: true, ..plan(Backend::Cassandra, 2_200) });
}
