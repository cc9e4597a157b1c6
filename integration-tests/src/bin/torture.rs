//! The torture run; what it does is in the library's `torture`. `cargo xtask torture` runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    stickystore_integration_tests::torture::command()
}
