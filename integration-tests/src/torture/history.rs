//! What happened to one entry, as its callers saw it: what each had read, what it wrote, what it was told, and when.
//!
//! Every write has a token of its own, which travels inside the value: whoever reads a token knows which write it sees,
//! whatever variation it names.

/// A moment on the clock that all processes of a machine share, in nanoseconds.
pub type Moment = u64;

/// After everything.
pub const NEVER: Moment = Moment::MAX;

/// From when to when something happened; a moment within it is when it took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// When the call was made.
    pub begin: Moment,
    /// When it had been answered; [`NEVER`] if it may take effect any time yet.
    pub end: Moment,
}

/// One write of the entry by one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What it wrote; no other write has it.
    pub token: String,
    /// When the call was made and answered.
    pub span: Span,
    /// What its caller had been handed and changed; nothing if it only adds.
    pub held: Option<String>,
    /// Nobody knows whether its caller could prove that; where it could not, this only adds.
    pub may_add: bool,
    /// What it assigned.
    pub variation: String,
    /// The variations that it may replace unread: an operator has retired them.
    pub retired: Vec<String>,
    /// When the read ended by which its caller knew of erasures; nothing if it had made none.
    pub knew: Option<Moment>,
    /// Between when and when it expires, by its writer's clock; nothing if never.
    pub dies: Option<Span>,
    /// What its caller was told.
    pub fate: Fate,
    /// Which process made it.
    pub process: usize,
}

impl Attempt {
    /// Whether it may come to stand where nothing does.
    pub fn adds(&self) -> bool {
        self.held.is_none() || self.may_add
    }
}

/// What the caller of a write was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It stands.
    Acknowledged,
    /// Nothing, or that nobody knows.
    Unknown,
    /// It was not written: something else stands, or nothing may come.
    Refused,
    /// It failed, and was not applied.
    Failed,
}

/// What a read showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Within when it stood there: until the call was answered, and from when it was made, or earlier if what answered may be
    /// behind.
    pub span: Span,
    /// When the call was made.
    pub asked: Moment,
    /// The token that stood there; nothing if nothing did.
    pub token: Option<String>,
    /// The goals that were shown with it, if goals were shown at all.
    pub goals: Option<Vec<String>>,
    /// How far its reader's clock is ahead, in nanoseconds.
    pub ahead: i64,
    /// Which process read it: what it had been told of its own writes when it asked, it sees.
    pub process: usize,
}

/// A goal that was added to whatever stood there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// Which; no other write has it.
    pub name: String,
    /// When the call was made and answered.
    pub span: Span,
    /// Between when and when what it was added to expires at the earliest, by its writer's clock; nothing if never.
    pub dies: Option<Span>,
    /// What its caller was told.
    pub fate: Fate,
}

/// The user was erased, or may have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// When the call was made and answered; without an answer it ends [`NEVER`].
    pub span: Span,
}

/// Everything that happened to one entry.
#[derive(Debug, Clone, Default)]
pub struct EntryHistory {
    /// The writes, in any order.
    pub attempts: Vec<Attempt>,
    /// What was read, in any order.
    pub sightings: Vec<Sighting>,
    /// The erasures of its user, in any order.
    pub erasures: Vec<Erasure>,
    /// When an operator removed it, or may have, in any order.
    pub removals: Vec<Span>,
    /// The goals, in any order.
    pub goals: Vec<Goal>,
}

impl Span {
    /// From then to then.
    pub fn new(begin: Moment, end: Moment) -> Self {
        Self { begin, end }
    }
}

/// This moment on a clock that is so far ahead.
pub(super) fn shifted(moment: Moment, ahead: i64) -> Moment {
    if moment == NEVER { NEVER } else { moment.saturating_add_signed(ahead) }
}
