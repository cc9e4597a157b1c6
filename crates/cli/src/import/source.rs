//! Where rows come from: a file of lines, or the strings of a Redis server.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, stdin};

use stickystore_core::json::{self, Members};

use crate::answer::Wrong;

#[cfg(feature = "redis")]
mod redis;
#[cfg(not(feature = "redis"))]
#[path = "source/no_redis.rs"]
mod redis;

/// One thing to import.
pub(super) struct Row {
    /// Where it stands in the source, for people.
    pub(super) place: String,
    /// Under which key, where the source has keys.
    pub(super) key: Option<String>,
    /// Its text, JSON if all is well.
    pub(super) value: String,
}

/// Some rows, and the place behind them.
pub(super) struct Page {
    pub(super) rows: Vec<Row>,
    pub(super) next: String,
}

/// A source that is being read.
pub(super) enum Source {
    Lines { name: String, lines: Box<dyn BufRead>, line: u64 },
    Redis(redis::Strings),
}

impl Source {
    /// Opens the source at this place, or at its start.
    pub(super) fn open(source: &str, place: Option<&str>) -> Result<Self, Box<dyn Error>> {
        if source.starts_with("redis://") || source.starts_with("rediss://") {
            return Ok(Self::Redis(redis::Strings::open(source, place)?));
        }
        let mut lines: Box<dyn BufRead> = if source == "-" {
            Box::new(BufReader::new(stdin()))
        } else {
            Box::new(BufReader::new(File::open(source).map_err(|error| Wrong(format!("{source}: {error}")))?))
        };
        let done =
            place.map_or(Ok(0), str::parse).map_err(|_| Wrong("the state is not of a file".to_owned()))?;
        for _ in 0..done {
            lines.skip_until(b'\n')?;
        }
        Ok(Self::Lines { name: source.to_owned(), lines, line: done })
    }

    /// The next rows, about `count`; nothing at the end.
    pub(super) fn next_page(&mut self, count: usize) -> Result<Option<Page>, Box<dyn Error>> {
        match self {
            Self::Redis(strings) => strings.next_page(count),
            Self::Lines { name, lines, line } => {
                let before = *line;
                let mut rows = Vec::with_capacity(count);
                while rows.len() < count {
                    let mut text = String::new();
                    let unreadable = |error| Wrong(format!("{name}, line {}: {error}", *line + 1));
                    if lines.read_line(&mut text).map_err(unreadable)? == 0 {
                        break;
                    }
                    *line += 1;
                    if !text.trim().is_empty() {
                        rows.push(row(format!("line {line}"), text));
                    }
                }
                Ok((*line > before).then(|| Page { rows, next: line.to_string() }))
            }
        }
    }
}

/// A line is the document itself, or has it under `value`, as JSON or as a string that holds JSON.
fn row(place: String, line: String) -> Row {
    let wrapped = Members::parse(&line).ok().and_then(|members| {
        // An entry of ours has these members too, and a user besides.
        let (key, value) = (members.get("key")?, members.get("value")?);
        let is_wrapper = members.get("user").is_none();
        let text = json::as_string(value).map_or_else(|| value.to_owned(), Into::into);
        is_wrapper.then(|| (json::as_string(key).map(Into::into), text))
    });
    match wrapped {
        Some((key, value)) => Row { place, key, value },
        None => Row { place, key: None, value: line },
    }
}
