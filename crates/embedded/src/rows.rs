//! What calls do to the rows of the file, inside a transaction that somebody else begins and ends.

use std::time::Duration;

use redb::{ReadableTable, Table};
use stickystore_core::decide::{self, Act, EraseDecision, Stored, decide, decide_erase};
use stickystore_core::{
    Cursor, Damage, Damaged, Entry, Erase, ErrorKind, Expiry, Key, Keys, Mark, Namespace, Operation, Outcome,
    Page, Profile, Read, Result, Subject, UnixMillis, Write,
};

use crate::SCHEME;
use crate::error::fail;
use crate::layout::{
    Row, RowKey, RowName, decode_entry, decode_mark, encode_entry, encode_mark, entry_row, mark_row,
    namespace_rows, row_name, row_user, user_end,
};

/// A result whose error is the file's, not an item's.
pub(crate) type Raw<T> = std::result::Result<T, redb::Error>;

/// What a user's mark row says.
enum UserMark {
    Ours(Option<Mark>),
    /// Something stands there that is no mark: the user is not ours.
    Foreign,
}

fn user_mark(table: &impl ReadableTable<RowKey, &'static [u8]>, subject: &Subject) -> Raw<UserMark> {
    let row = table.get(mark_row(subject))?;
    Ok(match row.map(|row| decode_mark(row.value())) {
        None => UserMark::Ours(None),
        Some(Some(mark)) => UserMark::Ours(Some(mark)),
        Some(None) => UserMark::Foreign,
    })
}

/// One user's profile.
pub(crate) fn read(
    table: &impl ReadableTable<RowKey, &'static [u8]>,
    read: &Read,
    now: UnixMillis,
) -> Raw<Result<Profile>> {
    let subject = &read.subject;
    let UserMark::Ours(mark) = user_mark(table, subject)? else {
        return Ok(Err(decide::not_ours().with_origin(SCHEME, Operation::Read)));
    };
    let mut found = Found::default();
    match &read.keys {
        Keys::Only(keys) => {
            for key in keys {
                if let Some(row) = table.get(entry_row(subject, key))? {
                    found.take(key.clone(), decode_entry(row.value()));
                }
            }
        }
        _ => {
            let end = user_end(subject);
            for row in table.range(mark_row(subject)..end.as_ref())? {
                let (name, value) = row?;
                if let RowName::Entry(key) = row_name(name.value().2) {
                    found.take(key, decode_entry(value.value()));
                }
            }
        }
    }
    Ok(Ok(found.profile(mark, now)))
}

/// A page of a scan.
pub(crate) fn page(
    table: &impl ReadableTable<RowKey, &'static [u8]>,
    namespace: &Namespace,
    cursor: Option<&Cursor>,
    limit: usize,
    now: UnixMillis,
) -> Raw<Page> {
    let (mut start, end) = namespace_rows(namespace);
    if let Some(user) = cursor.and_then(|cursor| row_user(cursor.as_str().as_bytes())) {
        start = user_end(&Subject::new(namespace.clone(), user));
    }
    let mut page = Page::default();
    let mut looked = 0;
    loop {
        // The first row of the next user.
        let next = table.range(start.as_ref()..end.as_ref())?.next().transpose()?;
        let Some(row) = next.map(|(row, _)| Row::of(row.value())) else {
            page.next = None;
            return Ok(page);
        };
        if looked >= limit.max(1) {
            return Ok(page);
        }
        start = row.next_user();
        let Some(user) = row_user(row.as_ref().1) else {
            // No cursor can name it, so it never ends a page.
            page.foreign += 1;
            continue;
        };
        looked += 1;
        page.next = Some(Cursor::new(user.as_str()));
        match read(table, &Read::all(Subject::new(namespace.clone(), user.clone())), now)? {
            Ok(profile) if profile.is_empty() => {}
            Ok(profile) => page.users.push((user, profile)),
            Err(_) => page.foreign += 1,
        }
    }
}

/// A transaction's rows, and the last change that was made to them.
pub(crate) struct Rows<'txn> {
    table: Table<'txn, RowKey, &'static [u8]>,
    max_entry_bytes: usize,
    /// What a row holds after the last change: tells, after a commit that failed, whether it happened.
    last: Option<(Row, Option<Vec<u8>>)>,
}

impl<'txn> Rows<'txn> {
    pub(crate) fn new(table: Table<'txn, RowKey, &'static [u8]>, max_entry_bytes: usize) -> Self {
        Self { table, max_entry_bytes, last: None }
    }

    /// The last change; nothing if nothing was changed.
    pub(crate) fn last_change(self) -> Option<(Row, Option<Vec<u8>>)> {
        self.last
    }

    /// Whether anything was changed.
    pub(crate) fn is_changed(&self) -> bool {
        self.last.is_some()
    }

    /// One user's changes, each with its answer.
    pub(crate) fn write(&mut self, write: &Write, now: UnixMillis) -> Raw<Vec<Result<Outcome>>> {
        let subject = write.subject();
        let mark = user_mark(&self.table, subject)?;
        let mut answers = Vec::with_capacity(write.changes().len());
        for change in write.changes() {
            let bytes = change.entry().map_or(0, Entry::size_bytes);
            if bytes > self.max_entry_bytes {
                let context = format!("an entry of {bytes} bytes; at most {} are kept", self.max_entry_bytes);
                answers.push(Err(fail(Operation::Write, ErrorKind::TooLarge, context)));
                continue;
            }
            let UserMark::Ours(mark) = mark else {
                answers.push(decide::foreign(change, now));
                continue;
            };
            let stands = self.slot(subject, change.key())?;
            let stored = match &stands {
                None => Stored::Absent,
                Some(Ok(entry)) => Stored::Entry(entry),
                Some(Err(_)) => Stored::Damaged,
            };
            let decision = decide(change, stored, write.epoch(), mark, now);
            match (decision.act, change.entry()) {
                (Act::Write, Some(entry)) => {
                    self.set(Row::entry(subject, change.key()), encode_entry(entry))?;
                }
                (Act::Delete, _) => self.delete(Row::entry(subject, change.key()))?,
                (Act::Nothing | Act::Write, _) => {}
            }
            answers.push(decision.outcome);
        }
        let named = |answer: Result<Outcome>| answer.map_err(|e| e.with_origin(SCHEME, Operation::Write));
        Ok(answers.into_iter().map(named).collect())
    }

    /// Erases one user.
    pub(crate) fn erase(&mut self, erase: &Erase, now: UnixMillis) -> Raw<Result<bool>> {
        let subject = &erase.subject;
        let (mark, foreign) = match user_mark(&self.table, subject)? {
            UserMark::Ours(mark) => (mark, false),
            UserMark::Foreign => (None, true),
        };
        let mut rows = Vec::new();
        let mut stood = foreign;
        for row in self.table.range(mark_row(subject)..user_end(subject).as_ref())? {
            let (name, value) = row?;
            let name = name.value();
            stood |= match row_name(name.2) {
                RowName::Mark => false,
                RowName::Entry(_) => decode_entry(value.value()).map_or(true, |entry| entry.is_live(now)),
                RowName::Foreign => true,
            };
            rows.push(Row::of(name));
        }
        let EraseDecision { stood, leave } = match decide_erase(erase, mark, stood, now) {
            Ok(decision) => decision,
            Err(error) => return Ok(Err(error.with_origin(SCHEME, Operation::Erase))),
        };
        if let Some(mark) = leave {
            for row in rows {
                self.delete(row)?;
            }
            self.set(Row::mark(subject), encode_mark(mark))?;
        }
        Ok(Ok(stood))
    }

    /// Looks at so many rows after `hand` and takes away what ended longer ago than the grace; how many it took, and
    /// the hand's new place, which is none at the end of the file.
    pub(crate) fn sweep(
        &mut self,
        hand: Option<&Row>,
        rows: usize,
        grace: Duration,
        now: UnixMillis,
    ) -> Raw<(u64, Option<Row>)> {
        let mut ended = Vec::new();
        let mut looked = 0;
        let mut last = None;
        let start = hand.map_or((&[][..], &[][..], &[][..]), Row::as_ref);
        for row in self.table.range(start..)? {
            if looked == rows {
                break;
            }
            let (name, value) = row?;
            let row = Row::of(name.value());
            if hand == Some(&row) {
                continue;
            }
            looked += 1;
            let expiry = match row_name(name.value().2) {
                RowName::Mark => decode_mark(value.value()).map(|mark| Expiry::At(mark.until)),
                RowName::Entry(_) => decode_entry(value.value()).ok().map(|entry: Entry| entry.expiry),
                RowName::Foreign => None,
            };
            if expiry.is_some_and(|expiry| expiry.is_swept(now, grace)) {
                ended.push(row.clone());
            }
            last = Some(row);
        }
        // Not a change that anybody was promised: it stays out of `last`, unless it is all there is.
        let taken = ended.len() as u64;
        for row in ended {
            self.table.remove(row.as_ref())?;
            self.last.get_or_insert((row, None));
        }
        Ok((taken, last.filter(|_| looked == rows)))
    }

    /// Puts anything into any row. For tests.
    pub(crate) fn plant(&mut self, row: Row, bytes: Vec<u8>) -> Raw<()> {
        self.set(row, bytes)
    }

    fn slot(&self, subject: &Subject, key: &Key) -> Raw<Option<std::result::Result<Entry, Damage>>> {
        Ok(self.table.get(entry_row(subject, key))?.map(|row| decode_entry(row.value())))
    }

    fn set(&mut self, row: Row, bytes: Vec<u8>) -> Raw<()> {
        self.table.insert(row.as_ref(), bytes.as_slice())?;
        self.last = Some((row, Some(bytes)));
        Ok(())
    }

    fn delete(&mut self, row: Row) -> Raw<()> {
        if self.table.remove(row.as_ref())?.is_some() {
            self.last = Some((row, None));
        }
        Ok(())
    }
}

/// How many rows cannot be read, of how many, among those that could be looked at while `go_on` said so; and whether
/// those were all.
pub(crate) fn count_damaged(
    table: &impl ReadableTable<RowKey, &'static [u8]>,
    mut go_on: impl FnMut() -> bool,
) -> Raw<(u64, u64, bool)> {
    let (mut damaged, mut rows) = (0, 0);
    for row in table.range::<(&[u8], &[u8], &[u8])>(..)? {
        if !go_on() {
            return Ok((damaged, rows, false));
        }
        let (name, value) = row?;
        let (_, user, key) = name.value();
        let reads = row_user(user).is_some()
            && match row_name(key) {
                RowName::Mark => decode_mark(value.value()).is_some(),
                RowName::Entry(_) => decode_entry(value.value()).is_ok(),
                RowName::Foreign => false,
            };
        rows += 1;
        damaged += u64::from(!reads);
    }
    Ok((damaged, rows, true))
}

#[derive(Default)]
struct Found {
    entries: Vec<(Key, Entry)>,
    damaged: Vec<Damaged>,
}

impl Found {
    fn take(&mut self, key: Key, row: std::result::Result<Entry, Damage>) {
        match row {
            Ok(entry) => self.entries.push((key, entry)),
            Err(damage) => self.damaged.push(Damaged::new(key, damage)),
        }
    }

    fn profile(self, mark: Option<Mark>, now: UnixMillis) -> Profile {
        let epoch = mark.filter(|mark| mark.is_live(now)).map(|mark| mark.epoch);
        Profile::new(epoch, self.entries, self.damaged, now)
    }
}
