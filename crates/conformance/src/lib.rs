//! What every stickystore store must show: a suite of named cases, run through the async and the blocking API.
//!
//! Third parties run it on their own stores: implement the trait, say how it is opened, done.
//!
//! ```
//! use std::sync::Arc;
//! use stickystore_conformance::{Harness, Opened, run};
//! # use stickystore_core::memory::MemoryStore as MyStore;
//!
//! let harness = Harness::blocking("mine", || Ok(Opened::blocking(Arc::new(MyStore::new()))));
//! let report = run(&harness);
//! assert!(report.is_good(), "{report}");
//! println!("{}", report.to_json());
//! ```
//!
//! In a test file, [`conformance_tests!`] makes a `#[test]` of each case instead.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a suite asserts, and an assertion panics"
)]

pub mod broken;

mod act;
mod cases;
mod context;
mod dice;
mod harness;
mod history;
mod model;
mod probe;
mod quick;
mod race;
mod registry;
mod report;
mod run;
mod scene;
mod seen;
mod stamp;

pub use harness::{Api, Harness, Opened, Plant};
pub use probe::Probe;
pub use registry::{CASES, Case};
pub use report::{CaseReport, Report, Verdict};
pub use run::{run, run_some, test};
