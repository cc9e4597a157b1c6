//! Lines of text, values between them: the meta commands where they do, and the older `add` and `cas` to write.
//!
//! When `ms` finds no room, the server deletes the item that it was to replace, in every mode; `add` and `cas` leave it (tried,
//! and read in the server's source). They have no number of their own, so that each is followed by a question that has one.

use std::fmt;

use bytes::{Buf as _, Bytes, BytesMut};

use super::{Answer, Command, Form, Garbled, MOST_BYTES, Parts, Refusal, Reply};

/// The longest line that a server has for us.
const LONGEST_LINE: usize = 8 << 10;

/// What is asked for behind a write; nobody's key.
const FENCE: &str = "stickystore!";

/// What ends a line, and a value.
const END: &[u8] = b"\r\n";

/// The longest value that is copied out of what has arrived, so that the room is free for what comes next; of a longer one, the
/// room is given away.
const LONGEST_COPY: usize = 4 << 10;

/// The most room that is made at once for what is still to arrive.
const MOST_ROOM: usize = 1 << 20;

pub(super) fn encode(command: &Command<'_>, opaque: u32, out: &mut Parts) {
    match command {
        Command::Get { key } => line(out, format_args!("mg {key} v c O{opaque}")),
        Command::Add { key, value, lasts } => {
            block(out, format_args!("add {key} 0 {lasts} {}", value.len()), value);
            line(out, format_args!("mg {FENCE} O{opaque}"));
        }
        Command::Swap { key, unique, value, lasts } => {
            block(out, format_args!("cas {key} 0 {lasts} {} {unique}", value.len()), value);
            line(out, format_args!("mg {FENCE} O{opaque}"));
        }
        Command::Noop => line(out, format_args!("mn")),
        Command::Stats("") => line(out, format_args!("stats")),
        Command::Stats(what) => line(out, format_args!("stats {what}")),
        // A server with `-Y` takes the first `set` for a login, whatever its key.
        Command::Login { user, password } => {
            let login = format!("{user} {password}");
            block(out, format_args!("set login 0 0 {}", login.len()), login.as_bytes());
        }
    }
}

pub(super) fn decode(arrived: &mut BytesMut, form: Form) -> Result<Option<Answer>, Garbled> {
    let Some((head, next)) = first_line(arrived)? else { return Ok(None) };
    let word = head.split(' ').next().unwrap_or_default();
    let reply = match (word, form) {
        ("ERROR" | "CLIENT_ERROR" | "SERVER_ERROR", _) => Reply::Refused(refusal(head)),
        ("VA", Form::Get) => {
            let head = ValueHead::of(head)?;
            return value(arrived, next, head);
        }
        ("EN", Form::Get) => {
            let opaque = opaque_of(head)?;
            arrived.advance(next);
            return Ok(Some(Answer { reply: Reply::Missing, opaque }));
        }
        ("STAT" | "END", Form::Stats) => return stats(arrived),
        ("MN", Form::Noop) | ("STORED", Form::Login) => Reply::Done,
        ("STORED", Form::Store) => Reply::Stored,
        ("NOT_STORED" | "EXISTS", Form::Store) => Reply::Conflict,
        ("NOT_FOUND", Form::Store) => Reply::Missing,
        _ => return Err(Garbled),
    };
    let answer = Answer { reply, opaque: None };
    if form == Form::Store && answer.leaves_order(form) {
        return fenced(arrived, next, answer.reply);
    }
    arrived.advance(next);
    Ok(Some(answer))
}

/// The answer to a write, once the one to the question behind it is there.
fn fenced(arrived: &mut BytesMut, next: usize, reply: Reply) -> Result<Option<Answer>, Garbled> {
    let Some((fence, after)) = first_line(arrived.get(next..).unwrap_or_default())? else { return Ok(None) };
    // Somebody may keep something under its key.
    if !fence.starts_with("EN ") && !fence.starts_with("HD ") {
        return Err(Garbled);
    }
    let opaque = opaque_of(fence)?;
    arrived.advance(next + after);
    Ok(Some(Answer { reply, opaque }))
}

fn opaque_of(head: &str) -> Result<Option<u32>, Garbled> {
    let flag = head.split(' ').skip(1).find_map(|flag| flag.strip_prefix('O'));
    flag.map(|number| number.parse().map_err(|_| Garbled)).transpose()
}

/// `VA <bytes> <flags>`.
#[derive(Clone, Copy)]
struct ValueHead {
    bytes: usize,
    unique: u64,
    opaque: Option<u32>,
}

impl ValueHead {
    fn of(head: &str) -> Result<Self, Garbled> {
        let mut words = head.split(' ').skip(1);
        let bytes = words.next().and_then(|bytes| bytes.parse().ok());
        let bytes = bytes.filter(|bytes: &usize| *bytes <= MOST_BYTES).ok_or(Garbled)?;
        let (mut unique, mut opaque) = (None, None);
        for flag in words {
            if let Some(number) = flag.strip_prefix('c') {
                unique = Some(number.parse().map_err(|_| Garbled)?);
            } else if let Some(number) = flag.strip_prefix('O') {
                opaque = Some(number.parse().map_err(|_| Garbled)?);
            }
        }
        Ok(Self { bytes, unique: unique.ok_or(Garbled)?, opaque })
    }
}

/// The value behind its head.
fn value(arrived: &mut BytesMut, next: usize, head: ValueHead) -> Result<Option<Answer>, Garbled> {
    let ValueHead { bytes, unique, opaque } = head;
    let missing = (next + bytes + END.len()).saturating_sub(arrived.len());
    if missing > 0 {
        arrived.reserve(missing.min(MOST_ROOM));
        return Ok(None);
    }
    arrived.advance(next);
    let value = if bytes <= LONGEST_COPY {
        let value = Bytes::copy_from_slice(arrived.get(..bytes).unwrap_or_default());
        arrived.advance(bytes);
        value
    } else {
        arrived.split_to(bytes).freeze()
    };
    if !arrived.starts_with(END) {
        return Err(Garbled);
    }
    arrived.advance(END.len());
    Ok(Some(Answer { reply: Reply::Found { value, unique }, opaque }))
}

/// `STAT <name> <text>` as often as there are, and `END`.
fn stats(arrived: &mut BytesMut) -> Result<Option<Answer>, Garbled> {
    let (mut rest, mut stats) = (&arrived[..], Vec::new());
    loop {
        let Some((line, next)) = first_line(rest)? else { return Ok(None) };
        rest = rest.get(next..).ok_or(Garbled)?;
        if line == "END" {
            break;
        }
        let stat = line.strip_prefix("STAT ").ok_or(Garbled)?;
        let (name, text) = stat.split_once(' ').unwrap_or((stat, ""));
        stats.push((name.to_owned(), text.to_owned()));
    }
    let used = arrived.len() - rest.len();
    arrived.advance(used);
    Ok(Some(Answer { reply: Reply::Stats(stats), opaque: None }))
}

/// The first line without its end, and where the next one begins.
fn first_line(arrived: &[u8]) -> Result<Option<(&str, usize)>, Garbled> {
    let looked_at = arrived.get(..LONGEST_LINE + 1).unwrap_or(arrived);
    let mut feeds = memchr::memchr_iter(b'\n', looked_at);
    let Some(next) = feeds.find_map(|at| looked_at.get(..=at)?.ends_with(END).then_some(at + 1)) else {
        return if arrived.len() > LONGEST_LINE { Err(Garbled) } else { Ok(None) };
    };
    let line =
        arrived.get(..next - END.len()).and_then(|line| std::str::from_utf8(line).ok()).ok_or(Garbled)?;
    Ok(Some((line, next)))
}

/// What an error of the server means, by its own words.
fn refusal(line: &str) -> Refusal {
    match line {
        "SERVER_ERROR object too large for cache" => Refusal::TooLarge,
        "SERVER_ERROR out of memory storing object" => Refusal::NoMemory,
        "CLIENT_ERROR unauthenticated" | "CLIENT_ERROR authentication failure" => Refusal::Denied,
        line if line.starts_with("SERVER_ERROR") => Refusal::Server,
        _ => Refusal::Unknown,
    }
}

fn line(out: &mut Parts, line: fmt::Arguments<'_>) {
    out.push_text(line);
    out.push(END);
    out.end_part();
}

fn block(out: &mut Parts, head: fmt::Arguments<'_>, value: &[u8]) {
    out.push_text(head);
    for bytes in [END, value, END] {
        out.push(bytes);
    }
    out.end_part();
}
