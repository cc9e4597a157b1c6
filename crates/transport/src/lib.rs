#![doc = include_str!("lib.md")]

mod error;
mod fastest;
mod lane;
mod pipe;
mod secret;
mod stream;
mod tls;

pub use error::{
    ended, garbled, is_tls_alert, no_answer, not_sent, refused_by_tls, streaming, tls_error, too_late_to_send,
};
pub use fastest::{Fastest, fastest};
pub use lane::{Connect, Connection, Detach, Lane, Link};
pub use pipe::{Garbled, Heard, Pace, Parts, Pipe, Question};
pub use secret::Secret;
pub use stream::{Address, Duplex, Stream, Target, Waiting};
pub use tls::TlsSettings;
