//! What stickystore's stores cost beside the bare drivers, interleaved in one run. `cargo xtask bench` starts servers of its
//! own and runs this; by hand: `cargo run --release --manifest-path benches/Cargo.toml -- --backend redis --url redis://..`.
//!
//! Rows go to standard output as they are measured, whole as JSON with `--json FILE`, and as plots with `--plots FOLDER`. There
//! are two programs of it: `stickystore-benches` measures times, `counted` allocations, which takes time.

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::StatsAlloc;

mod arrivals;
mod backend;
mod crowd;
mod heap;
mod held;
#[cfg(any(feature = "memcached", feature = "mongodb", feature = "redis"))]
mod instead;
mod measure;
mod operation;
mod options;
mod ours;
mod plot;
mod processors;
mod report;
mod rows;
mod threads;
#[cfg(feature = "cassandra")]
mod with_cassandra;
#[cfg(feature = "memcached")]
mod with_memcached;
#[cfg(feature = "mongodb")]
mod with_mongodb;
#[cfg(feature = "redis")]
mod with_redis;
mod words;

// The store's own pipelines, which are sent by hand beside it.
#[cfg(feature = "mongodb")]
#[expect(dead_code, reason = "what the store makes of answers is not used")]
#[path = "../../crates/mongodb/src/layout.rs"]
#[rustfmt::skip]
mod layout;
#[cfg(feature = "mongodb")]
#[expect(dead_code, reason = "what the store makes of answers is not used")]
#[path = "../../crates/mongodb/src/pipeline.rs"]
#[rustfmt::skip]
mod pipeline;

use options::Options;
use report::Report;
use rows::Row;

/// Does what the command line says; with what counts allocations, those.
#[must_use]
pub fn run(counts: Option<&'static StatsAlloc<System>>) -> ExitCode {
    if let Some(counts) = counts {
        heap::count(counts);
    }
    let options = match Options::from_words(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("{}", Row::headings());
    let Some(report) = runtime.block_on(report(&options)) else {
        eprintln!("the backend {:?} is not in this build: add its feature", options.backend);
        return ExitCode::from(2);
    };
    let written = options.json.map_or(Ok(()), |path| std::fs::write(path, report.json()));
    let drawn =
        written.and_then(|()| options.plots.map_or(Ok(()), |folder| plot::draw(&folder, &report.rows)));
    match drawn {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Nothing if the backend is not in this build.
async fn report(options: &Options) -> Option<Report> {
    Some(match options.backend.as_str() {
        #[cfg(feature = "cassandra")]
        "cassandra" => with_cassandra::report(options).await,
        #[cfg(feature = "memcached")]
        "memcached" => with_memcached::report(options).await,
        #[cfg(feature = "mongodb")]
        "mongodb" => with_mongodb::report(options).await,
        #[cfg(feature = "redis")]
        "redis" => with_redis::report(options).await,
        _ => return None,
    })
}
