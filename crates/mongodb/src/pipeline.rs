//! The pipelines that write, what they are made of, and what the documents that they found mean. No I/O.
//!
//! A pipeline judges by core's tables (`decide`) next to the data; the answers are computed by the tables themselves, from
//! the document as it was before. Nothing of a caller's is ever read as an expression: names and texts are literals.

use std::borrow::Cow;
use std::time::Duration;

use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use stickystore_core::decide::{Stored, decide, decide_erase, foreign};
use stickystore_core::{
    Call, Change, Entry, EpochCheck, Erase, Error, ErrorKind, Limits, Mark, Outcome, Result, Revision,
    UnixMillis, Write,
};

use crate::layout::{self, NEVER, Shown, Slot, VERSION, millis};

/// What an entry's member takes besides the texts of its entry and its key: names, types, revision and expiry.
const MEMBER_BYTES: usize = 96;

/// How often a command names each member.
const NAMED: usize = 3;

/// What an epoch's text is: 11 characters of base64url, with no stray bits.
const EPOCH: &str = r"\A[A-Za-z0-9_-]{10}[AEIMQUYcgkosw048]\z";

/// One find-and-modify: for one user.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) pipeline: Vec<Document>,
    /// What is wanted of the document before; nothing for all of it.
    pub(crate) projection: Option<Document>,
    /// Whether it makes a document where there is none.
    pub(crate) creates: bool,
}

/// What becomes of one [`Write`]: the answers that need no server.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    write: &'a Write,
    settled: Vec<Option<Result<Outcome>>>,
    now: UnixMillis,
    grace: Duration,
}

/// Settles what has expired or is too large; the rest is sent.
pub(crate) fn plan(write: &Write, call: Call, grace: Duration, limits: Limits) -> Plan<'_> {
    let mut settled: Vec<_> = write.changes().iter().map(|change| settle(change, call.now, limits)).collect();
    refuse_what_no_document_holds(write, &mut settled, limits);
    Plan { write, settled, now: call.now, grace }
}

impl Plan<'_> {
    pub(crate) fn id(&self) -> String {
        layout::id(self.write.subject())
    }

    pub(crate) fn is_sent(&self) -> bool {
        self.sent().next().is_some()
    }

    /// What is sent.
    pub(crate) fn run(&self) -> Run {
        let fields: Vec<_> = self.sent().map(|change| layout::field(change.key())).collect();
        let creates = self.sent().any(|change| matches!(change, Change::Insert(..) | Change::Put(..)));
        Run {
            id: self.id(),
            pipeline: writing(self.sent().zip(&fields), self.write.epoch(), self.now, self.grace),
            projection: layout::projection(fields.iter().map(AsRef::as_ref)),
            // Where a mark is asked for, there is nothing to do without a document.
            creates: creates && !matches!(self.write.epoch(), EpochCheck::Is(Some(_))),
        }
    }

    fn sent(&self) -> impl Iterator<Item = &Change> {
        let changes = self.write.changes().iter().zip(&self.settled);
        changes.filter(|(_, settled)| settled.is_none()).map(|(change, _)| change)
    }

    /// As the projection of what is sent.
    fn shown(&self) -> Shown {
        let is_plain = self.sent().all(|change| layout::is_plain(change.key().as_str()));
        if is_plain { Shown::Part } else { Shown::Whole }
    }

    /// All answers, with the document before, if something was sent.
    pub(crate) fn finish(
        self,
        before: impl FnOnce() -> Result<Option<RawDocumentBuf>>,
    ) -> Vec<Result<Outcome>> {
        let (is_sent, shown) = (self.is_sent(), self.shown());
        let Self { write, settled, now, .. } = self;
        let found = if is_sent { before() } else { Ok(None) };
        let user = match &found {
            Ok(found) => Ok(layout::decode(found.as_deref(), shown, now)),
            Err(failed) => Err(failed),
        };
        let judge = |change: &Change| match &user {
            Err(failed) => Err(Error::clone(failed)),
            Ok(Err(_)) => foreign(change, now),
            Ok(Ok(user)) => {
                let field = layout::field(change.key());
                let place = user.slots.binary_search_by(|(name, _)| (*name).cmp(&field)).ok();
                let slot = place.and_then(|place| user.slots.get(place)).map(|(_, slot)| slot);
                outcome(change, slot, write.epoch(), user.mark, now)
            }
        };
        let changes = write.changes().iter().zip(settled);
        changes.map(|(change, settled)| settled.unwrap_or_else(|| judge(change))).collect()
    }
}

/// What a pipeline has made of this change, by what stood under its key.
fn outcome(
    change: &Change,
    slot: Option<&Slot>,
    check: EpochCheck,
    mark: Option<Mark>,
    now: UnixMillis,
) -> Result<Outcome> {
    let stored = match slot {
        None | Some(Slot::Ended) => Stored::Absent,
        Some(Slot::Live(entry)) => Stored::Entry(entry),
        // A pipeline sees the revision and not what is wrong behind it.
        Some(Slot::Damaged(_, Some(revision))) if names(change, *revision) => {
            return Ok(match change {
                Change::RemoveIf(..) => Outcome::Removed,
                _ => Outcome::Replaced,
            });
        }
        Some(Slot::Damaged(..)) => Stored::Damaged,
    };
    decide(change, stored, check, mark, now).outcome
}

/// Whether the change goes by this very revision.
fn names(change: &Change, revision: Revision) -> bool {
    match change {
        Change::Replace(_, read, new) => *read == revision || new.revision == revision,
        Change::RemoveIf(_, read) => *read == revision,
        _ => false,
    }
}

/// The answer to a change that needs no server.
fn settle(change: &Change, now: UnixMillis, limits: Limits) -> Option<Result<Outcome>> {
    if let Some(entry) = change.entry() {
        let (bytes, limit) = (entry.size_bytes(), limits.entry_bytes);
        if bytes > limit {
            let context = format!("an entry of {bytes} bytes; at most {limit} are kept");
            return Some(Err(Error::new(ErrorKind::TooLarge, context)));
        }
        if !entry.is_live(now) {
            return Some(Ok(Outcome::Expired));
        }
    }
    let is_known = matches!(
        change,
        Change::Insert(..) | Change::Put(..) | Change::Replace(..) | Change::Remove(_) | Change::RemoveIf(..)
    );
    (!is_known).then(|| Err(Error::new(ErrorKind::Unsupported, "this store does not know this change")))
}

/// Refuses the entries of a write that are too many for one command, or for one document even if it holds nothing else: a
/// server would close the connection. What the document holds already, only the server knows; it refuses, and keeps what
/// stands.
fn refuse_what_no_document_holds(write: &Write, settled: &mut [Option<Result<Outcome>>], limits: Limits) {
    let Some(limit) = limits.user_bytes else { return };
    let mut bytes = 0;
    for (change, settled) in write.changes().iter().zip(settled) {
        let Some(entry) = change.entry().filter(|_| settled.is_none()) else { continue };
        let takes = MEMBER_BYTES + entry.size_bytes() + NAMED * layout::field(change.key()).len();
        if bytes + takes > limit {
            let context = format!("the entries of one write take more than {limit} bytes; split it");
            *settled = Some(Err(Error::new(ErrorKind::TooLarge, context)));
        } else {
            bytes += takes;
        }
    }
}

/// What is run for an erase, which shows the whole document before.
pub(crate) fn erasing(erase: &Erase, call: Call, grace: Duration) -> Run {
    let is_marked = and([ours(), mark_lives(call.now)]);
    let attempts: Vec<_> = erase.epoch.attempts().map(|attempt| attempt.to_string()).collect();
    let own = doc! { "$in": ["$mark.epoch", attempts] };
    let ends = doc! { "$cond": [&is_marked, { "$max": ["$mark.until", millis(erase.mark_until)] }, millis(erase.mark_until)] };
    let erased = doc! { "$let": { "vars": { "ends": ends }, "in": {
        "_id": "$_id",
        "v": VERSION,
        "mark": { "epoch": erase.epoch.to_string(), "until": "$$ends" },
        "entries": {},
        "sweep": swept_after("$$ends", call.now, grace),
    } } };
    let kept = and([is_marked, own]);
    Run {
        id: layout::id(&erase.subject),
        pipeline: vec![doc! { "$replaceWith": { "$cond": [kept, "$$ROOT", erased] } }],
        projection: None,
        creates: true,
    }
}

/// Refuses an erase before it is run.
///
/// # Errors
/// The one of [`decide_erase`] for a mark that would have ended.
pub(crate) fn is_in_time(erase: &Erase, now: UnixMillis) -> Result<()> {
    decide_erase(erase, None, false, now).map(drop)
}

/// Whether something stood, from the document before.
pub(crate) fn stood(erase: &Erase, before: Option<&RawDocument>, now: UnixMillis) -> Result<bool> {
    let (mark, stood) = match layout::decode(before, Shown::Whole, now) {
        Ok(user) => (user.mark, user.slots.iter().any(|(_, slot)| *slot != Slot::Ended)),
        Err(_) => (None, true),
    };
    decide_erase(erase, mark, stood, now).map(|decision| decision.stood)
}

/// The pipeline of these changes, each with its member's name: one stage, which leaves the document as it is if nothing
/// changes.
fn writing<'a>(
    changes: impl Iterator<Item = (&'a Change, &'a Cow<'a, str>)>,
    check: EpochCheck,
    now: UnixMillis,
    grace: Duration,
) -> Vec<Document> {
    let (mut written, mut gone) = (vec![Bson::from("$$was")], Vec::new());
    for (change, field) in changes {
        match change {
            Change::Insert(_, entry) => {
                written.push(setting(field, entry, &["$$pass".into(), open(now).into()]));
            }
            Change::Put(_, entry) => written.push(set(field, entry, "$$pass").into()),
            Change::Replace(_, read, entry) => {
                let differs = doc! { "$ne": ["$$e.value", literal(entry.value.as_str())] };
                written.push(setting(field, entry, &[has(*read, now).into(), differs.into()]));
            }
            Change::Remove(_) => gone.push(naming(field, doc! { "$not": [open(now)] })),
            Change::RemoveIf(_, read) => gone.push(naming(field, has(*read, now))),
            // Settled before.
            _ => {}
        }
    }
    let mut goes: Vec<Bson> = vec![swept("$$e.v.expiry").into()];
    if !gone.is_empty() {
        goes.insert(0, doc! { "$in": ["$$e.k", "$$gone"] }.into());
    }
    let next = doc! { "$let": {
        "vars": {
            "gone": gone,
            "before": { "$subtract": [{ "$min": [millis(now), { "$toLong": "$$NOW" }] }, long(grace)] },
        },
        "in": { "$arrayToObject": { "$filter": {
            "input": { "$objectToArray": { "$mergeObjects": written } },
            "as": "e",
            "cond": { "$not": [{ "$or": goes }] },
        } } },
    } };
    let last = doc! { "$max": ["$mark.until", millis(now), { "$max": { "$map": {
        "input": { "$objectToArray": "$$next" },
        "as": "e",
        "in": { "$cond": [is_expiry("$$e.v.expiry"), "$$e.v.expiry", NEVER] },
    } } }] };
    // Never lowered.
    let stands = doc! { "$cond": [{ "$eq": [{ "$type": "$sweep" }, "date"] }, "$sweep", Bson::Null] };
    let sweep = doc! { "$cond": [
        { "$eq": ["$$last", NEVER] },
        "$$REMOVE",
        { "$max": [stands, swept_after("$$last", now, grace)] },
    ] };
    let changed = doc! { "$let": { "vars": { "last": last }, "in": { "$setField": {
        "field": "sweep",
        "input": { "$mergeObjects": ["$$ROOT", { "v": VERSION, "entries": "$$next" }] },
        "value": sweep,
    } } } };
    let judged = doc! { "$let": {
        "vars": { "was": { "$ifNull": ["$entries", {}] }, "pass": passes(check, now) },
        "in": { "$let": {
            "vars": { "next": next },
            "in": { "$cond": [{ "$eq": ["$$next", "$entries"] }, "$$ROOT", changed] },
        } },
    } };
    vec![doc! { "$replaceWith": { "$cond": [ours(), judged, "$$ROOT"] } }]
}

/// An object with this entry's member if all of these hold of what stands there, `$$e`; else one without members.
fn setting(field: &str, entry: &Entry, conditions: &[Bson]) -> Bson {
    about(field, set(field, entry, doc! { "$and": conditions }))
}

/// The same if this holds, whatever stands there.
fn set(field: &str, entry: &Entry, condition: impl Into<Bson>) -> Document {
    let set = doc! { "$setField": { "field": literal(field), "input": {}, "value": literal(layout::encode(entry)) } };
    doc! { "$cond": [condition.into(), set, {}] }
}

/// The member's name if this holds of what stands there, `$$e`; else null, which is no name.
fn naming(field: &str, condition: Document) -> Bson {
    about(field, doc! { "$cond": [condition, literal(field), Bson::Null] })
}

fn about(field: &str, what: Document) -> Bson {
    let stands = doc! { "$getField": { "field": literal(field), "input": "$$was" } };
    doc! { "$let": { "vars": { "e": stands }, "in": what } }.into()
}

/// Nothing stands there, or what has ended.
fn open(now: UnixMillis) -> Document {
    doc! { "$or": [
        { "$eq": [{ "$type": "$$e" }, "missing"] },
        { "$and": [is_long("$$e.expiry"), { "$gt": ["$$e.expiry", 0] }, { "$lte": ["$$e.expiry", millis(now)] }] },
    ] }
}

/// What stands there is live and has this revision.
fn has(read: Revision, now: UnixMillis) -> Document {
    doc! { "$and": [
        { "$eq": ["$$e.revision", read.to_string()] },
        is_expiry("$$e.expiry"),
        { "$gt": ["$$e.expiry", millis(now)] },
    ] }
}

/// What an expiry can be. A missing one sorts before every number, so that its type comes first.
fn is_expiry(of: &str) -> Document {
    doc! { "$and": [
        is_long(of),
        { "$gt": [of, 0] },
        { "$or": [{ "$lte": [of, millis(UnixMillis::MAX)] }, { "$eq": [of, NEVER] }] },
    ] }
}

/// It ended longer than the grace ago, by the caller's clock and the server's.
fn swept(of: &str) -> Document {
    doc! { "$and": [is_long(of), { "$gt": [of, 0] }, { "$lt": [of, "$$before"] }] }
}

fn is_long(of: &str) -> Document {
    doc! { "$eq": [{ "$type": of }, "long"] }
}

/// When the server may sweep what ends then: by its own clock, from how long that is by the caller's.
fn swept_after(last: &str, now: UnixMillis, grace: Duration) -> Document {
    doc! { "$add": ["$$NOW", { "$subtract": [last, millis(now)] }, long(grace)] }
}

fn passes(check: EpochCheck, now: UnixMillis) -> Bson {
    match check {
        EpochCheck::Ignore => true.into(),
        EpochCheck::Is(None) => doc! { "$not": [mark_lives(now)] }.into(),
        EpochCheck::Is(Some(epoch)) => {
            and([mark_lives(now), doc! { "$eq": ["$mark.epoch", epoch.to_string()] }]).into()
        }
    }
}

/// Of a document that is ours.
fn mark_lives(now: UnixMillis) -> Document {
    and([is_long("$mark.until"), doc! { "$gt": ["$mark.until", millis(now)] }])
}

/// The document is of this layout, or has nothing but its id; as [`layout::decode`] has it. Each case is asked only if those
/// before it do not hold. Several kinds are compared at once: an expression costs more to send and to read than to judge.
fn ours() -> Document {
    let case = |case: Document, then: bool| doc! { "case": case, "then": then };
    let kind = |of: &str| doc! { "$type": of };
    let head = || [kind("$v").into(), "$v".into(), kind("$entries").into(), kind("$mark").into()];
    let unmarked: [Bson; 4] = ["int".into(), VERSION.into(), "object".into(), "missing".into()];
    let marks: [Bson; 2] = [kind("$mark.epoch").into(), kind("$mark.until").into()];
    let marked: [Bson; 6] =
        ["int".into(), VERSION.into(), "object".into(), "object".into(), "string".into(), "long".into()];
    let both: Vec<Bson> = head().into_iter().chain(marks).collect();
    doc! { "$switch": {
        "branches": [
            case(doc! { "$eq": [head().to_vec(), unmarked.to_vec()] }, true),
            case(doc! { "$eq": ["$$ROOT", { "_id": "$_id" }] }, true),
            case(doc! { "$ne": [both, marked.to_vec()] }, false),
        ],
        "default": { "$and": [
            { "$regexMatch": { "input": "$mark.epoch", "regex": EPOCH } },
            { "$gt": ["$mark.until", 0] },
            { "$lte": ["$mark.until", millis(UnixMillis::MAX)] },
        ] },
    } }
}

fn and<const N: usize>(all: [Document; N]) -> Document {
    doc! { "$and": Vec::from(all) }
}

fn literal(value: impl Into<Bson>) -> Document {
    doc! { "$literal": value.into() }
}

fn long(time: Duration) -> Bson {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(UnixMillis::MAX.get());
    Bson::Int64(layout::signed(millis))
}
