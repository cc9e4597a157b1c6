//! How far a long verb has come: one line on a terminal, nothing anywhere else.

use std::io::{IsTerminal as _, Write as _, stderr};

/// A line that is written over and over.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    is_seen: bool,
}

/// Narrower than any terminal that people use.
const WIDTH: usize = 76;

impl Progress {
    pub(crate) fn new() -> Self {
        Self { is_seen: stderr().is_terminal() }
    }

    pub(crate) fn show(self, text: &str) {
        if self.is_seen {
            // Where it cannot be shown, nobody misses it.
            let _ = write!(stderr().lock(), "\r{text:<WIDTH$.WIDTH$}");
        }
    }

    pub(crate) fn clear(self) {
        self.show("");
        if self.is_seen {
            let _ = write!(stderr().lock(), "\r");
        }
    }
}
