//! The embedded store from outside: the conformance suite, its file, and other processes.

mod conformance;
mod opening;
mod processes;
mod reopening;
mod scratch;
