#![doc = include_str!("lib.md")]

mod config;
mod connection;
mod diagnose;
mod error;
mod layout;
mod pipeline;
mod question;
mod scan;
mod schema;
mod store;

pub use config::{CONNECT_TIMEOUT, Config, GRACE};
pub use store::MongodbStore;
