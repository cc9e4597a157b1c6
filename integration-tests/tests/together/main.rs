//! All stores in one process, by their URLs, as one program would have them.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

mod table;
mod tls;
