#![doc = include_str!("lib.md")]

mod config;
mod connection;
mod diagnose;
mod error;
mod layout;
mod read;
mod scan;
mod script;
mod sending;
mod store;
mod wire;

pub use config::{CONNECT_TIMEOUT, Config, GRACE};
pub use store::RedisStore;
