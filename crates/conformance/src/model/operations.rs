//! Which sequences of operations are tried: named loosely (this user's third-last revision), so that they still mean
//! something when shrinking has taken others away.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, subsequence};

/// How many users a sequence has.
pub(super) const USERS: usize = 3;
/// How many keys each of them has.
pub(super) const KEYS: usize = 3;
/// The most operations of a sequence.
const MAX_STEPS: usize = 40;

/// The unit of lifetimes, in milliseconds of the injected clock: so long that no server's own clock sweeps what
/// the injected one calls live.
pub(super) const UNIT: u64 = 1_000_000;

/// One operation.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// The clock moves on by so many milliseconds.
    Wait(u64),
    /// A user is read: all of it, or these keys.
    Read { user: usize, keys: Option<Vec<usize>> },
    /// One call with these writes.
    Write(Vec<WriteStep>),
    /// A fresh erasure with a mark of so many milliseconds; zero is refused.
    Erase { user: usize, mark: u64 },
    /// An earlier write once more, exactly as it was.
    WriteAgain(Index),
    /// An earlier erasure once more, exactly as it was.
    EraseAgain(Index),
    /// Everything is compared in between.
    Compare,
}

/// The changes of one user.
#[derive(Debug, Clone)]
pub(crate) struct WriteStep {
    pub(super) user: usize,
    pub(super) check: Check,
    pub(super) changes: Vec<(usize, ChangeStep)>,
}

#[derive(Debug, Clone)]
pub(crate) enum ChangeStep {
    Insert(New),
    Put(New),
    Replace(Named, New),
    Remove,
    RemoveIf(Named),
}

/// An entry that is new by its revision; its value is one of few, so that values come back.
#[derive(Debug, Clone)]
pub(crate) struct New {
    pub(super) value: u8,
    /// How long it lives, in milliseconds; zero is over already.
    pub(super) life: Option<u64>,
    pub(super) was: bool,
}

/// Which revision a change names.
#[derive(Debug, Clone)]
pub(crate) enum Named {
    Standing,
    /// One that stood under that key once and does not now, or nobody's.
    Old(Index),
}

/// Which erasure a write says it knows.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    Ignore,
    Blind,
    /// The one that was read last.
    LastRead,
    Old(Index),
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    vec(step(), 1..=MAX_STEPS)
}

fn step() -> impl Strategy<Value = Step> {
    let keys = proptest::option::of(subsequence((0..KEYS).collect::<Vec<_>>(), 0..=KEYS));
    prop_oneof![
        12 => writes().prop_map(Step::Write),
        3 => any::<Index>().prop_map(Step::WriteAgain),
        3 => (0..USERS, keys).prop_map(|(user, keys)| Step::Read { user, keys }),
        2 => (0..USERS, mark()).prop_map(|(user, mark)| Step::Erase { user, mark }),
        1 => any::<Index>().prop_map(Step::EraseAgain),
        3 => prop_oneof![Just(1), Just(UNIT - 1), Just(UNIT)].prop_map(Step::Wait),
        1 => Just(Step::Compare),
    ]
}

fn writes() -> impl Strategy<Value = Vec<WriteStep>> {
    prop_oneof![3 => vec(write(), 1), 1 => vec(write(), 2..=3)]
}

fn write() -> impl Strategy<Value = WriteStep> {
    let check = prop_oneof![
        2 => Just(Check::Ignore),
        2 => Just(Check::Blind),
        3 => Just(Check::LastRead),
        1 => any::<Index>().prop_map(Check::Old),
    ];
    let keys = prop_oneof![
        3 => (0..KEYS).prop_map(|key| vec![key]),
        1 => subsequence((0..KEYS).collect::<Vec<_>>(), 2..=KEYS).prop_shuffle(),
    ];
    (0..USERS, check, keys, vec(change(), KEYS)).prop_map(|(user, check, keys, changes)| WriteStep {
        user,
        check,
        changes: keys.into_iter().zip(changes).collect(),
    })
}

fn change() -> impl Strategy<Value = ChangeStep> {
    prop_oneof![
        3 => new().prop_map(ChangeStep::Insert),
        2 => new().prop_map(ChangeStep::Put),
        4 => (named(), new()).prop_map(|(read, new)| ChangeStep::Replace(read, new)),
        1 => Just(ChangeStep::Remove),
        2 => named().prop_map(ChangeStep::RemoveIf),
    ]
}

/// Half of them are stale.
fn named() -> impl Strategy<Value = Named> {
    prop_oneof![Just(Named::Standing), any::<Index>().prop_map(Named::Old)]
}

fn new() -> impl Strategy<Value = New> {
    let life = prop_oneof![
        4 => Just(None),
        4 => (1..=3u64).prop_map(|units| Some(units * UNIT)),
        1 => Just(Some(UNIT + 1)),
        1 => Just(Some(0)),
    ];
    (0..3u8, life, any::<bool>()).prop_map(|(value, life, was)| New { value, life, was })
}

fn mark() -> impl Strategy<Value = u64> {
    prop_oneof![6 => (1..=4u64).prop_map(|units| units * UNIT), 1 => Just(UNIT + 1), 1 => Just(0)]
}
