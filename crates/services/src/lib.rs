//! The sticky-assignment interfaces of A/B testing SDKs, over any stickystore store.
//!
//! Each SDK has its own module with its own words and JSON; what they share is how a store is used
//! ([`Settings`]) and how a save reports ([`SaveReport`]).
//!
//! The rule of every save: it replaces exactly the stored entries that its caller provably read and changed; everything
//! else it can only add; what it could not do it says.
#![doc = include_str!("traces.md")]

pub mod assign;
pub mod growthbook;
pub mod optimizely;
pub mod session;
pub mod vwo;

mod receipt;
mod report;
mod settings;

pub use report::{SaveReport, Saved, Why};
pub use settings::{Receipts, Settings, Unproven};
