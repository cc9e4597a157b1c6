//! What is said to a server and what it answers, in the two dialects that servers know. No I/O.
//!
//! The `memcache` crate has such functions too, but its wire layer is declared experimental, copies every value twice, knows
//! no SASL, and brings a pool and five more crates with it; a dialect is a page of code.

use bytes::{Bytes, BytesMut};
use stickystore_transport::{Garbled, Parts};

mod binary;
mod meta;

/// The longest value that a server can have: the most that its `-I` allows.
const MOST_BYTES: usize = 1 << 30;

/// How a server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Text, with the meta commands: what every port speaks but those with SASL.
    Meta,
    /// The binary protocol, the only one with SASL.
    Binary,
}

/// What a server is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Command<'a> {
    /// An item and its unique number.
    Get { key: &'a str },
    /// To keep an item where there is none, for so long as [`lasts`](crate::item::lasts) says.
    Add { key: &'a str, value: &'a [u8], lasts: u32 },
    /// To keep an item in the place of the one with this unique number.
    Swap { key: &'a str, unique: u64, value: &'a [u8], lasts: u32 },
    /// Nothing, to see that it answers.
    Noop,
    /// How it is: in general, or what this names.
    Stats(&'a str),
    /// To know us by this name and password.
    Login { user: &'a str, password: &'a str },
}

/// What it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    Found {
        value: Bytes,
        unique: u64,
    },
    /// Nothing stands there.
    Missing,
    Stored,
    /// Something else stands there.
    Conflict,
    /// What has no answer of its own was done.
    Done,
    Stats(Vec<(String, String)>),
    Refused(Refusal),
}

/// Why it did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The item is larger than it takes; the one before it stands.
    TooLarge,
    /// It has no memory for the item; the one before it stands.
    NoMemory,
    /// It does not know us.
    Denied,
    /// It does not know what it was asked.
    Unknown,
    /// Something else is wrong with it.
    Server,
}

/// What kind of answer a command has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Get,
    Store,
    Noop,
    Stats,
    Login,
}

/// An answer that has arrived whole.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    /// The number of the command that it answers, where the dialect says it.
    pub(crate) opaque: Option<u32>,
}

impl Dialect {
    /// Appends a command under this number.
    pub(crate) fn encode(self, command: &Command<'_>, opaque: u32, out: &mut Parts) {
        match self {
            Self::Meta => meta::encode(command, opaque, out),
            Self::Binary => binary::encode(command, opaque, out),
        }
    }

    /// Takes the first answer, to a command of this form, out of what has arrived; nothing if it has not arrived whole.
    pub(crate) fn decode(self, arrived: &mut BytesMut, form: Form) -> Result<Option<Answer>, Garbled> {
        match self {
            Self::Meta => meta::decode(arrived, form),
            Self::Binary => binary::decode(arrived),
        }
    }
}

impl Command<'_> {
    /// About how long it is, and rarely longer.
    pub(crate) fn most_bytes(&self) -> usize {
        const AROUND: usize = 96;
        AROUND
            + match self {
                Self::Get { key } => key.len(),
                Self::Add { key, value, .. } | Self::Swap { key, value, .. } => key.len() + value.len(),
                Self::Noop | Self::Stats(_) | Self::Login { .. } => 0,
            }
    }

    pub(crate) fn form(&self) -> Form {
        match self {
            Self::Get { .. } => Form::Get,
            Self::Add { .. } | Self::Swap { .. } => Form::Store,
            Self::Noop => Form::Noop,
            Self::Stats(_) => Form::Stats,
            Self::Login { .. } => Form::Login,
        }
    }
}

impl Answer {
    /// Whether it can be the answer to this command. Where the dialect gives no number, it is by its kind; a refusal is one
    /// of whatever comes first, since a server answers in order.
    pub(crate) fn answers(&self, opaque: u32, form: Form) -> bool {
        if self.opaque.is_some_and(|answered| answered != opaque) {
            return false;
        }
        let is_numbered = self.opaque.is_some();
        match (&self.reply, form) {
            (Reply::Refused(_), _) => true,
            (Reply::Found { .. } | Reply::Missing, Form::Get) => is_numbered,
            (Reply::Stored | Reply::Missing | Reply::Conflict, Form::Store) => is_numbered,
            (Reply::Done, Form::Noop | Form::Login) | (Reply::Stats(_), Form::Stats) => true,
            _ => false,
        }
    }

    /// Whether what follows can be trusted to be the next answer.
    pub(crate) fn leaves_order(&self, form: Form) -> bool {
        match self.reply {
            // The server reads on after the value, or takes the value for commands: it does not say.
            Reply::Refused(Refusal::Unknown | Refusal::Server | Refusal::Denied) => form != Form::Store,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests;
