//! The torture run: SDK-like callers in several processes, on a real server, while everything fails that can; and a judge
//! that looks at nothing but what the callers saw.

pub mod history;
pub mod judge;
