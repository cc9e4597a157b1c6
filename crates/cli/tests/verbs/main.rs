//! The verbs that work on a store, as a user types them: what they print, and their exit codes.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod bench;
mod conformance;
mod doctor;
mod entries;
mod import;
#[cfg(feature = "redis")]
mod moving;
mod optimizely;
#[cfg(feature = "mongodb")]
mod schema;
mod stores;
mod vwo;
