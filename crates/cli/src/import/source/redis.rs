//! The strings of a Redis server, by SCAN: every key that stands there throughout is met at least once.

use std::error::Error;
use std::fmt;

use redis::{Client, Connection, RedisError};

use super::{Page, Row};
use crate::answer::Wrong;

/// A scan that is under way.
pub(in super::super) struct Strings {
    connection: Connection,
    pattern: String,
    /// Where it goes on; nothing at the end.
    cursor: Option<u64>,
}

impl Strings {
    /// `redis://host/0?match=GLOB`.
    pub(super) fn open(url: &str, place: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let (server, query) = url.split_once('?').unwrap_or((url, ""));
        let pattern = match query.split_once('=') {
            _ if query.is_empty() => "*".to_owned(),
            Some(("match", pattern)) => pattern.to_owned(),
            _ => {
                return Err(
                    Wrong("the only option of a source is match, as in ?match=ups:*".to_owned()).into()
                );
            }
        };
        let cursor = place.map_or(Ok(0), str::parse);
        let cursor = cursor.map_err(|_| Wrong("the state is not of a Redis server".to_owned()))?;
        let connection = Client::open(server).and_then(|client| client.get_connection()).map_err(Unread)?;
        Ok(Self { connection, pattern, cursor: Some(cursor) })
    }

    pub(super) fn next_page(&mut self, count: usize) -> Result<Option<Page>, Box<dyn Error>> {
        let Some(cursor) = self.cursor else { return Ok(None) };
        let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
            .arg(cursor)
            .arg("MATCH")
            .arg(&self.pattern)
            .arg("COUNT")
            .arg(count)
            .arg("TYPE")
            .arg("string")
            .query(&mut self.connection)
            .map_err(Unread)?;
        self.cursor = (next != 0).then_some(next);
        let values: Vec<Option<Vec<u8>>> = if keys.is_empty() {
            Vec::new()
        } else {
            redis::cmd("MGET").arg(&keys).query(&mut self.connection).map_err(Unread)?
        };
        let row = |(key, value): (Vec<u8>, Vec<u8>)| {
            let key = String::from_utf8_lossy(&key).into_owned();
            // What is no UTF-8 is no JSON either, and is refused as such.
            Row {
                place: format!("key {key}"),
                key: Some(key),
                value: String::from_utf8_lossy(&value).into_owned(),
            }
        };
        // A key that went away in the meantime has no value.
        let rows = keys.into_iter().zip(values).filter_map(|(key, value)| Some(row((key, value?)))).collect();
        Ok(Some(Page { rows, next: next.to_string() }))
    }
}

/// A server that is not read.
#[derive(Debug)]
struct Unread(RedisError);

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not its text, which may quote what it was sent.
        write!(f, "the source cannot be read: {}", self.0.category())
    }
}

impl Error for Unread {}
