#![doc = include_str!("lib.md")]

mod config;
mod connection;
mod diagnose;
mod error;
mod greeting;
mod groups;
mod item;
mod layout;
mod servers;
mod store;
mod swap;
mod wire;

pub use config::{CONNECT_TIMEOUT, Config, GRACE, MAX_ITEM};
pub use store::MemcachedStore;
