//! What a refused attempt shows: the columns that its conditions name, of the rows that they name. No I/O.
//!
//! A node answers a refusal with what it has read to judge it, in the same step: where that is everything that a reading would
//! give, there is no need for one.

use scylla::deserialize::row::ColumnIterator;
use scylla::response::query_result::QueryRowsResult;
use stickystore_core::{Key, UnixMillis};

use crate::layout::{Row, Stance};
use crate::read::{Found, FoundRow};

/// The columns without which a row is not known whole.
const WHOLE: [&str; 6] = ["value", "revision", "expiry", "extra", "epoch", "epoch_until"];

/// What it shows; nothing if that is not whole rows. A single statement shows one row and not which: it is `alone`'s.
pub(crate) fn shown(answer: &QueryRowsResult, alone: Option<&Key>, now: UnixMillis) -> Option<Found> {
    let columns = answer.column_specs();
    if !WHOLE.iter().all(|name| columns.get_by_name(name).is_some()) {
        return None;
    }
    let mut found: Option<Found> = None;
    for columns in answer.rows::<ColumnIterator<'_, '_>>().ok()? {
        let mut row = Row { key: alone.map(Key::as_str), ..Row::default() };
        for column in columns.ok()? {
            let column = column.ok()?;
            let bytes = column.slice.map(|slice| slice.as_slice());
            let place = match column.spec.name() {
                "expiry" => {
                    row.expiry = number(bytes)?;
                    continue;
                }
                "epoch_until" => {
                    row.epoch_until = number(bytes)?;
                    continue;
                }
                "key" => &mut row.key,
                "value" => &mut row.value,
                "revision" => &mut row.revision,
                "extra" => &mut row.extra,
                "epoch" => &mut row.epoch,
                _ => continue,
            };
            *place = bytes.map(str::from_utf8).transpose().ok()?;
        }
        let stance = Stance::of(row.epoch, row.epoch_until);
        let found = found.get_or_insert_with(|| Found { stance, rows: Vec::new() });
        found.rows.extend(FoundRow::read(&row, now).ok()?);
    }
    found
}

fn number(bytes: Option<&[u8]>) -> Option<Option<i64>> {
    bytes.map(|bytes| bytes.try_into().map(i64::from_be_bytes)).transpose().ok()
}
