#![doc = include_str!("lib.md")]

mod attempt;
mod config;
mod connection;
mod diagnose;
mod erase;
mod error;
mod layout;
mod pages;
mod prepared;
mod read;
mod scan;
mod schema;
mod shown;
mod statement;
mod store;
mod write;

pub use config::{CONNECT_TIMEOUT, Config, GRACE, KEYSPACE, Serial, TABLE};
pub use schema::Replication;
pub use store::CassandraStore;
