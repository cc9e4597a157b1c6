//! Reading a user: pages of rows in, what was found out.

use std::time::Instant;

use scylla::DeserializeRow;
use scylla::response::PagingState;
use stickystore_core::decide::not_ours;
use stickystore_core::{Call, Damage, Damaged, Entry, Key, Keys, Profile, Read, Result, Subject, UnixMillis};

use crate::connection::{Level, Request, Sessions};
use crate::error::{self, Failure};
use crate::layout::{self, Row, Slot, Stance};
use crate::statement::{Bound, Ready, Statement};

/// What was found of a user.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) stance: Stance,
    pub(crate) rows: Vec<FoundRow>,
}

/// A row, and those of its columns that conditions name.
#[derive(Debug)]
pub(crate) struct FoundRow {
    pub(crate) key: Key,
    pub(crate) revision: Option<String>,
    pub(crate) expiry: Option<i64>,
    pub(crate) slot: Slot,
}

impl FoundRow {
    /// What a row is; nothing if it is the one of a user who has no entries.
    pub(crate) fn read(row: &Row<'_>, now: UnixMillis) -> Result<Option<Self>> {
        let Some(key) = row.key else { return Ok(None) };
        let (key, _) = layout::key_of(key)?;
        let revision = row.revision.map(str::to_owned);
        Ok(Some(Self { key, revision, expiry: row.expiry, slot: layout::decode(row, now) }))
    }

    #[cfg(test)]
    pub(crate) fn of(key: Key, revision: Option<String>, expiry: Option<i64>, slot: Slot) -> Self {
        Self { key, revision, expiry, slot }
    }
}

/// What is read of a user.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    All,
    Only(&'a [&'a str]),
}

/// Reads what a writer has to know: what is decided of a user's mark and these rows.
pub(crate) async fn find(
    sessions: &Sessions,
    subject: &Subject,
    keys: &[&str],
    now: UnixMillis,
    deadline: Instant,
) -> Result<Found, Failure> {
    let (stance, rows) = rows(sessions, subject, Wanted::Only(keys), Level::Serial, now, deadline).await?;
    Ok(Found { stance, rows })
}

/// Reads a profile.
pub(crate) async fn profile(sessions: &Sessions, call: Call, read: &Read) -> Result<Profile> {
    let keys: Vec<_>;
    let wanted = match &read.keys {
        Keys::Only(only) => {
            keys = only.iter().map(Key::as_str).collect();
            Wanted::Only(&keys)
        }
        _ => Wanted::All,
    };
    let found = rows(sessions, &read.subject, wanted, Level::Plain, call.now, call.deadline);
    let (stance, Entries { entries, damaged }) = found.await.map_err(Failure::told)?;
    if matches!(stance, Stance::Foreign(_)) {
        return Err(not_ours());
    }
    let epoch = stance.mark().filter(|mark| mark.is_live(call.now)).map(|mark| mark.epoch);
    Ok(Profile::new(epoch, entries, damaged, call.now))
}

/// What is kept of rows as they are read.
trait Keep: Default + Send {
    fn keep(&mut self, row: &Row<'_>, now: UnixMillis) -> Result<()>;
}

/// What a profile has.
#[derive(Debug, Default)]
struct Entries {
    entries: Vec<(Key, Entry)>,
    damaged: Vec<Damaged>,
}

impl Keep for Entries {
    fn keep(&mut self, row: &Row<'_>, now: UnixMillis) -> Result<()> {
        let Some(key) = row.key else { return Ok(()) };
        let damage = match layout::decode(row, now) {
            Slot::Ended | Slot::Absent => return Ok(()),
            Slot::Live(entry) => {
                let (key, is_key) = layout::key_of(key)?;
                if is_key {
                    self.entries.push((key, entry));
                    return Ok(());
                }
                Damage::new("has a name that is no key")
            }
            Slot::Damaged(damage) => damage,
        };
        let (key, _) = layout::key_of(key)?;
        self.damaged.push(Damaged::new(key, damage));
        Ok(())
    }
}

impl Keep for Vec<FoundRow> {
    fn keep(&mut self, row: &Row<'_>, now: UnixMillis) -> Result<()> {
        self.extend(FoundRow::read(row, now)?);
        Ok(())
    }
}

/// Reads a user's mark and rows.
///
/// The mark is read with the rows, or after them where there are none: so a writer never knows an erasure that the entries
/// which it read have not seen.
async fn rows<K: Keep>(
    sessions: &Sessions,
    subject: &Subject,
    wanted: Wanted<'_>,
    level: Level,
    now: UnixMillis,
    deadline: Instant,
) -> Result<(Stance, K), Failure> {
    let mut values = user(subject);
    let (statement, keys) = match wanted {
        Wanted::All => (Statement::ReadAll, None),
        Wanted::Only(keys) => (Statement::ReadSome, Some(keys)),
    };
    if keys.is_none_or(|keys| !keys.is_empty()) {
        values.extend(keys.map(|keys| Bound::Texts(keys.to_vec())));
        let ready = Ready { statement, values };
        let (stance, kept, had_rows) = pages(sessions, subject, &ready, level, now, deadline).await?;
        if had_rows || keys.is_none() {
            return Ok((stance, kept));
        }
    }
    Ok((stance(sessions, subject, level, deadline).await?, K::default()))
}

/// What an erase has to know: what stands in the mark's place, and whether a live or damaged entry stands.
pub(crate) async fn heads(
    sessions: &Sessions,
    subject: &Subject,
    level: Level,
    now: UnixMillis,
    deadline: Instant,
) -> Result<(Stance, bool), Failure> {
    let ready = Ready { statement: Statement::ReadHeads, values: user(subject) };
    let (mut stance, mut stood) = (Stance::Free, false);
    let mut state = PagingState::start();
    loop {
        let (answer, next) = sessions.run(&Request::page(&ready, level, &state), deadline).await?;
        let answer = answer.into_rows_result().map_err(odd)?;
        for row in answer.rows::<HeadRow<'_>>().map_err(odd)? {
            let row = row.map_err(odd)?;
            // Whatever changes from page to page, the condition of the mark is what the last page says.
            stance = Stance::of(row.epoch, row.epoch_until);
            let head = Row { revision: row.revision, expiry: row.expiry, value: Some("0"), ..Row::default() };
            stood |= row.key.is_some() && layout::decode(&head, now) != Slot::Ended;
        }
        match next {
            Some(next) => state = next,
            None => return Ok((stance, stood)),
        }
    }
}

/// What stands in the place of the mark.
async fn stance(
    sessions: &Sessions,
    subject: &Subject,
    level: Level,
    deadline: Instant,
) -> Result<Stance, Failure> {
    let ready = Ready { statement: Statement::ReadMark, values: user(subject) };
    let (answer, _) = sessions.run(&Request::page(&ready, level, &PagingState::start()), deadline).await?;
    let answer = answer.into_rows_result().map_err(odd)?;
    let mark = answer.maybe_first_row::<MarkRow<'_>>().map_err(odd)?.unwrap_or_default();
    Ok(Stance::of(mark.epoch, mark.epoch_until))
}

/// All pages of a reading; from the beginning again if the user was erased meanwhile. And whether there was any row.
async fn pages<K: Keep>(
    sessions: &Sessions,
    subject: &Subject,
    ready: &Ready<'_>,
    level: Level,
    now: UnixMillis,
    deadline: Instant,
) -> Result<(Stance, K, bool), Failure> {
    let sizes = sessions.row_sizes();
    'whole: loop {
        let (mut found, mut kept, mut is_first) = (None, K::default(), true);
        let (mut size, mut state) = (sizes.first(), PagingState::start());
        loop {
            let request = Request::Page { ready, level, size, from: &state };
            let answer = sessions.run(&request, deadline).await;
            let (answer, next) = answer.inspect_err(|_| sizes.forget())?;
            let answer = answer.into_rows_result().map_err(odd)?;
            size = sizes.learn(answer.rows_num(), answer.rows_bytes_size());
            for row in answer.rows::<Row<'_>>().map_err(odd)? {
                let row = row.map_err(odd)?;
                let stance = Stance::of(row.epoch, row.epoch_until);
                if found.as_ref().is_some_and(|found| *found != stance) {
                    continue 'whole;
                }
                found = Some(stance);
                kept.keep(&row, now).map_err(Failure::Final)?;
            }
            if let Some(next) = next {
                (state, is_first) = (next, false);
                continue;
            }
            let had_rows = found.is_some();
            let found = found.unwrap_or_default();
            // A later page may be empty because the user was erased, and an empty one has no mark.
            if !is_first
                && answer.rows_num() == 0
                && stance(sessions, subject, level, deadline).await? != found
            {
                continue 'whole;
            }
            return Ok((found, kept, had_rows));
        }
    }
}

#[derive(Debug, Default, DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
struct MarkRow<'a> {
    epoch: Option<&'a str>,
    epoch_until: Option<i64>,
}

#[derive(Debug, DeserializeRow)]
#[scylla(flavor = "enforce_order", skip_name_checks)]
struct HeadRow<'a> {
    key: Option<&'a str>,
    revision: Option<&'a str>,
    expiry: Option<i64>,
    epoch: Option<&'a str>,
    epoch_until: Option<i64>,
}

fn user(subject: &Subject) -> Vec<Bound<'_>> {
    vec![Bound::Text(subject.namespace.as_str()), Bound::Text(subject.user.as_str())]
}

/// An answer of a shape that the statement does not have.
pub(crate) fn odd<E>(_: E) -> Failure {
    Failure::Final(error::odd_answer())
}
