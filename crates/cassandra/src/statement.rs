//! The statements, each with its name, and what is bound to them. No I/O.
//!
//! Every write is conditional and an UPDATE or a DELETE. Keyspace and table are the only parts of a statement's text that
//! are not written here, and their names are checked by `config`.

use scylla::cluster::metadata::ColumnType;
use scylla::errors::SerializationError;
use scylla::serialize::value::SerializeValue;
use scylla::serialize::writers::{CellWriter, WrittenCellProof};

/// The statements of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Statement {
    /// Writes an entry where nothing stands at all; refused, it shows the whole row.
    PutFirst,
    /// Writes an entry where nothing stands, not even something that ended.
    PutAbsent,
    /// Writes an entry whatever stands there: a condition that always holds, so that it is decided with the others.
    PutAny,
    /// Writes an entry over exactly this one.
    PutOver,
    /// Writes an entry in the place of a live one with this revision and another value; refused, it shows the whole row.
    Replace,
    /// Deletes what is live.
    Delete,
    /// Deletes what is live and has this revision.
    DeleteIf,
    /// Deletes exactly this one.
    DeleteOver,
    /// Leaves an erase mark in the place of exactly this one, or of none.
    Mark,
    /// Deletes all entries of a user; the mark stays.
    DeleteAll,
    /// All rows of a user.
    ReadAll,
    /// Some rows of a user.
    ReadSome,
    /// The mark of a user.
    ReadMark,
    /// What an erase has to know of all rows of a user.
    ReadHeads,
    /// Users of the ring, from a place on.
    Scan,
}

impl Statement {
    pub(crate) const ALL: [Self; 15] = [
        Self::PutFirst,
        Self::PutAbsent,
        Self::PutAny,
        Self::PutOver,
        Self::Replace,
        Self::Delete,
        Self::DeleteIf,
        Self::DeleteOver,
        Self::Mark,
        Self::DeleteAll,
        Self::ReadAll,
        Self::ReadSome,
        Self::ReadMark,
        Self::ReadHeads,
        Self::Scan,
    ];

    /// Its place among all.
    pub(crate) fn place(self) -> usize {
        self as usize
    }

    /// Whether it only reads: the columns of its answer are always those that it names.
    pub(crate) fn is_read(self) -> bool {
        matches!(self, Self::ReadAll | Self::ReadSome | Self::ReadMark | Self::ReadHeads | Self::Scan)
    }

    /// Its text, for this table.
    pub(crate) fn text(self, table: &str) -> String {
        const SET: &str = "SET value = ?, revision = ?, expiry = ?, extra = ?";
        const USER: &str = "WHERE namespace = ? AND user = ?";
        const ROW: &str = "WHERE namespace = ? AND user = ? AND key = ?";
        // A refusal shows the columns that are named here. No `extra` of ours is `-`.
        match self {
            Self::PutFirst => format!(
                "UPDATE {table} USING TTL ? {SET} {ROW} IF revision = null AND expiry = null AND value = null AND extra = null AND epoch_until = null AND epoch = ?"
            ),
            Self::PutAbsent => format!(
                "UPDATE {table} USING TTL ? {SET} {ROW} IF revision = null AND expiry = null AND value = null AND epoch = ?"
            ),
            Self::PutAny => {
                format!("UPDATE {table} USING TTL ? {SET} {ROW} IF revision != ? AND epoch = ?")
            }
            Self::PutOver => {
                format!("UPDATE {table} USING TTL ? {SET} {ROW} IF revision = ? AND expiry = ? AND epoch = ?")
            }
            Self::Replace => format!(
                "UPDATE {table} USING TTL ? {SET} {ROW} IF revision = ? AND value != ? AND expiry > ? AND extra != '-' AND epoch_until = null AND epoch = ?"
            ),
            Self::Delete => format!("DELETE FROM {table} {ROW} IF expiry > ? AND epoch = ?"),
            Self::DeleteIf => {
                format!("DELETE FROM {table} {ROW} IF revision = ? AND expiry > ? AND epoch = ?")
            }
            Self::DeleteOver => {
                format!("DELETE FROM {table} {ROW} IF revision = ? AND expiry = ? AND epoch = ?")
            }
            Self::Mark => {
                format!("UPDATE {table} USING TTL ? SET epoch = ?, epoch_until = ? {USER} IF epoch = ?")
            }
            Self::DeleteAll => format!("DELETE FROM {table} {USER}"),
            Self::ReadAll => {
                format!("SELECT key, value, revision, expiry, extra, epoch, epoch_until FROM {table} {USER}")
            }
            Self::ReadSome => format!(
                "SELECT key, value, revision, expiry, extra, epoch, epoch_until FROM {table} {USER} AND key IN ?"
            ),
            Self::ReadMark => format!("SELECT DISTINCT epoch, epoch_until FROM {table} {USER}"),
            Self::ReadHeads => {
                format!("SELECT key, revision, expiry, epoch, epoch_until FROM {table} {USER}")
            }
            Self::Scan => format!(
                "SELECT DISTINCT namespace, user, token(namespace, user) AS place FROM {table} WHERE token(namespace, user) > ? LIMIT ?"
            ),
        }
    }
}

/// What is bound to a place of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bound<'a> {
    Text(&'a str),
    Own(String),
    Texts(Vec<&'a str>),
    Number(i64),
    Count(i32),
    Null,
}

impl SerializeValue for Bound<'_> {
    fn serialize<'b>(
        &self,
        column: &ColumnType<'_>,
        writer: CellWriter<'b>,
    ) -> Result<WrittenCellProof<'b>, SerializationError> {
        match self {
            Self::Text(text) => text.serialize(column, writer),
            Self::Own(text) => text.serialize(column, writer),
            Self::Texts(texts) => texts.serialize(column, writer),
            Self::Number(number) => number.serialize(column, writer),
            Self::Count(count) => count.serialize(column, writer),
            Self::Null => Ok(writer.set_null()),
        }
    }
}

/// A statement with what is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ready<'a> {
    pub(crate) statement: Statement,
    pub(crate) values: Vec<Bound<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_statement_is_in_its_place() {
        for (place, statement) in Statement::ALL.into_iter().enumerate() {
            assert_eq!(statement.place(), place, "{statement:?}");
        }
    }
}
