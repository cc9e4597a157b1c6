//! The strings of a Redis server, by SCAN: every key that stands there throughout is met at least once.

use std::error::Error;
use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use redis::{Client, Connection, RedisError};

use super::{NO_TEXT, Page, Row};
use crate::answer::Wrong;

/// How long the server may take to be reached, or to answer: longer than a failover, shorter than a person waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// A scan that is under way.
pub(in super::super) struct Strings {
    connection: Connection,
    pattern: String,
    /// What the server calls its run: a scan's place means nothing to another.
    run: String,
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
        if server.starts_with("rediss:") {
            let what =
                "a source is read without TLS: name it as redis://, or give its rows as lines on stdin";
            return Err(Wrong(what.to_owned()).into());
        }
        let mut connection = connect(server)?;
        connection.set_read_timeout(Some(PATIENCE)).map_err(Unread)?;
        connection.set_write_timeout(Some(PATIENCE)).map_err(Unread)?;
        let run = run(&mut connection);
        let cursor = match place.and_then(|place| place.split_once(' ')) {
            Some((cursor, of)) if of == run && !run.is_empty() => cursor.parse().unwrap_or(0),
            // Another run of the server has its keys in another order: what was imported is found there.
            _ => 0,
        };
        Ok(Self { connection, pattern, run, cursor: Some(cursor) })
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
            let place = format!("key {}", String::from_utf8_lossy(&key));
            // A key that is no text names nobody: another user must not get its entries.
            let (key, value) = match (String::from_utf8(key), String::from_utf8(value)) {
                (Ok(key), Ok(value)) => (Some(key), Ok(value)),
                _ => (None, Err(NO_TEXT)),
            };
            Row { place, key, value }
        };
        // A key that went away in the meantime has no value.
        let rows = keys.into_iter().zip(values).filter_map(|(key, value)| Some(row((key, value?)))).collect();
        Ok(Some(Page { rows, next: format!("{next} {}", self.run) }))
    }
}

/// Connects. The driver's own timeout ends before it has logged in, and a server that never answers would hold it there.
fn connect(server: &str) -> Result<Connection, Box<dyn Error>> {
    let client = Client::open(server).map_err(Unread)?;
    let (sender, receiver) = mpsc::channel();
    // It is left behind if it hangs: the command ends then.
    thread::spawn(move || sender.send(client.get_connection_with_timeout(PATIENCE)));
    match receiver.recv_timeout(PATIENCE) {
        Ok(connected) => Ok(connected.map_err(Unread)?),
        Err(_) => Err(Wrong("the source cannot be read: the server does not answer".to_owned()).into()),
    }
}

/// The id of the server's run; empty if it does not say.
fn run(connection: &mut Connection) -> String {
    let info: String = redis::cmd("INFO").arg("server").query(connection).unwrap_or_default();
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:"));
    run.unwrap_or_default().trim().to_owned()
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
