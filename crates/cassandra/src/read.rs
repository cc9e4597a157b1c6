//! Reading a user: pages of rows in, what was found out.

use std::time::Instant;

use scylla::DeserializeRow;
use scylla::response::PagingState;
use stickystore_core::decide::not_ours;
use stickystore_core::{Call, Damage, Damaged, Key, Keys, Profile, Read, Result, Subject, UnixMillis};

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
    /// Whether its name is one that a key can have.
    is_key: bool,
    pub(crate) revision: Option<String>,
    pub(crate) expiry: Option<i64>,
    pub(crate) slot: Slot,
}

#[cfg(test)]
impl FoundRow {
    pub(crate) fn of(key: Key, revision: Option<String>, expiry: Option<i64>, slot: Slot) -> Self {
        Self { key, is_key: true, revision, expiry, slot }
    }
}

/// What is read of a user.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    All,
    Only(&'a [&'a str]),
}

/// Reads a user's rows and mark.
///
/// The mark is read with the rows, or after them where there are none: so a writer never knows an erasure that the entries
/// which it read have not seen.
pub(crate) async fn find(
    sessions: &Sessions,
    subject: &Subject,
    wanted: Wanted<'_>,
    level: Level,
    now: UnixMillis,
    deadline: Instant,
) -> Result<Found, Failure> {
    let keys = match wanted {
        Wanted::All => {
            let ready = Ready { statement: Statement::ReadAll, values: user(subject) };
            return pages(sessions, subject, &ready, level, now, deadline).await.map(|(found, _)| found);
        }
        Wanted::Only(keys) => keys,
    };
    if !keys.is_empty() {
        let mut values = user(subject);
        values.push(Bound::Texts(keys.to_vec()));
        let ready = Ready { statement: Statement::ReadSome, values };
        let (found, had_rows) = pages(sessions, subject, &ready, level, now, deadline).await?;
        if had_rows {
            return Ok(found);
        }
    }
    Ok(Found { stance: stance(sessions, subject, level, deadline).await?, rows: Vec::new() })
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
    let found = find(sessions, &read.subject, wanted, Level::Plain, call.now, call.deadline)
        .await
        .map_err(Failure::told)?;
    found.profile(call.now)
}

impl Found {
    /// The profile that it is.
    ///
    /// # Errors
    /// `Corrupt` if the user is not ours.
    pub(crate) fn profile(self, now: UnixMillis) -> Result<Profile> {
        if matches!(self.stance, Stance::Foreign(_)) {
            return Err(not_ours());
        }
        let epoch = self.stance.mark().filter(|mark| mark.is_live(now)).map(|mark| mark.epoch);
        let (mut entries, mut damaged) = (Vec::new(), Vec::new());
        for row in self.rows {
            match row.slot {
                Slot::Live(entry) if row.is_key => entries.push((row.key, entry)),
                Slot::Live(_) => {
                    damaged.push(Damaged::new(row.key, Damage::new("has a name that is no key")));
                }
                Slot::Damaged(damage) => damaged.push(Damaged::new(row.key, damage)),
                Slot::Ended | Slot::Absent => {}
            }
        }
        Ok(Profile::new(epoch, entries, damaged, now))
    }
}

/// What an erase has to know: what stands in the mark's place, and whether a live or damaged entry stands.
pub(crate) async fn heads(
    sessions: &Sessions,
    subject: &Subject,
    now: UnixMillis,
    deadline: Instant,
) -> Result<(Stance, bool), Failure> {
    let ready = Ready { statement: Statement::ReadHeads, values: user(subject) };
    let (mut stance, mut stood) = (Stance::Free, false);
    let mut state = PagingState::start();
    loop {
        let (answer, next) = sessions.run(&Request::page(&ready, Level::Serial, &state), deadline).await?;
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
async fn pages(
    sessions: &Sessions,
    subject: &Subject,
    ready: &Ready<'_>,
    level: Level,
    now: UnixMillis,
    deadline: Instant,
) -> Result<(Found, bool), Failure> {
    let (mut found, mut had_rows, mut is_first) = (Found::default(), false, true);
    let mut state = PagingState::start();
    loop {
        let (answer, next) = sessions.run(&Request::page(ready, level, &state), deadline).await?;
        let answer = answer.into_rows_result().map_err(odd)?;
        let mut is_another = false;
        for row in answer.rows::<Row<'_>>().map_err(odd)? {
            let row = row.map_err(odd)?;
            let stance = Stance::of(row.epoch, row.epoch_until);
            is_another |= had_rows && stance != found.stance;
            (found.stance, had_rows) = (stance, true);
            let Some(key) = row.key else { continue };
            let (key, is_key) = layout::key_of(key).map_err(Failure::Final)?;
            let slot = layout::decode(&row, now);
            let revision = row.revision.map(str::to_owned);
            found.rows.push(FoundRow { key, is_key, revision, expiry: row.expiry, slot });
        }
        if next.is_none() && !is_first && !is_another {
            // A page may be empty because the user was erased, and an empty one has no mark.
            is_another = stance(sessions, subject, level, deadline).await? != found.stance;
        }
        match next {
            _ if is_another => {
                (found, had_rows, is_first) = (Found::default(), false, true);
                state = PagingState::start();
            }
            Some(next) => (state, is_first) = (next, false),
            None => return Ok((found, had_rows)),
        }
    }
}

#[derive(Debug, Default, DeserializeRow)]
struct MarkRow<'a> {
    epoch: Option<&'a str>,
    epoch_until: Option<i64>,
}

#[derive(Debug, DeserializeRow)]
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
