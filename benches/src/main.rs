//! Measures how long things take: see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    stickystore_benches::run(None)
}
