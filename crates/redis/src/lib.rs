#![doc = include_str!("lib.md")]

mod config;
mod connection;
mod diagnose;
mod error;
mod layout;
mod scan;
mod script;
mod store;

pub use config::{CONNECT_TIMEOUT, Config, GRACE};
pub use store::RedisStore;
