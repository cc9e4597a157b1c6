//! Where rows come from: a file of lines, or the strings of a Redis server.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, stdin};

use stickystore_core::json::{self, Members};

use crate::answer::{MAX_INPUT, Wrong};

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
    /// Its text, JSON if all is well; or why it has none.
    pub(super) value: Result<String, &'static str>,
}

const NO_TEXT: &str = "it is not UTF-8";
const TOO_LONG: &str = "it has more than 16 MiB";

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
                let (mut rows, mut bytes) = (Vec::with_capacity(count), 0);
                while rows.len() < count && bytes < MAX_INPUT {
                    let unreadable = |error| Wrong(format!("{name}, line {}: {error}", *line + 1));
                    let Some(text) = next_line(&mut **lines).map_err(unreadable)? else { break };
                    *line += 1;
                    bytes += text.as_ref().map_or(0, |text| text.len() as u64);
                    if !text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
                        rows.push(row(format!("line {line}"), text));
                    }
                }
                Ok((*line > before).then(|| Page { rows, next: line.to_string() }))
            }
        }
    }
}

/// The next line, or why it is none that can be imported; nothing at the end.
fn next_line(lines: &mut dyn BufRead) -> std::io::Result<Option<Result<String, &'static str>>> {
    let mut line = Vec::new();
    if lines.take(MAX_INPUT).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.len() as u64 == MAX_INPUT && !line.ends_with(b"\n") {
        lines.skip_until(b'\n')?;
        return Ok(Some(Err(TOO_LONG)));
    }
    Ok(Some(String::from_utf8(line).map_err(|_| NO_TEXT)))
}

/// A line is the document itself, or has it under `value`, as JSON or as a string that holds JSON.
fn row(place: String, line: Result<String, &'static str>) -> Row {
    let line = match line {
        Ok(line) => line,
        Err(why) => return Row { place, key: None, value: Err(why) },
    };
    let wrapped = Members::parse(&line).ok().and_then(|members| {
        // An entry of ours has these members too, and a user besides.
        let (key, value) = (members.get("key")?, members.get("value")?);
        let is_wrapper = members.get("user").is_none();
        let text = json::as_string(value).map_or_else(|| value.to_owned(), Into::into);
        is_wrapper.then(|| (json::as_string(key).map(Into::into), text))
    });
    match wrapped {
        Some((key, value)) => Row { place, key, value: Ok(value) },
        None => Row { place, key: None, value: Ok(line) },
    }
}
