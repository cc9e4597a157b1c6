//! What is said to a server and what it answers: RESP, the second version, which every server speaks. No I/O.
//!
//! The `redis` crate has it too, but makes a vector of every field of an answer and an array of those vectors, which at 64
//! callers was a fifth of what a load costs its client; here an answer stays as it arrived, and is looked into where it lies.

use bytes::{Bytes, BytesMut};
use stickystore_transport::{Garbled, Heard, Parts, Question};

mod joint;

pub(crate) use joint::{Joint, Runs, USERS, WORDS};

/// The longest line that a server has for us.
const LONGEST_LINE: usize = 64 << 10;

/// The longest text that a server keeps.
const LONGEST_TEXT: u64 = 512 << 20;

/// The most digits of a number.
const DIGITS: usize = 19;

/// What ends a line, and a text.
const END: &[u8] = b"\r\n";

/// Commands that are sent together.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    parts: Parts,
    count: usize,
    /// How the only one of them can be joined with those of others.
    joint: Option<Joint>,
}

impl Commands {
    /// None yet, with room for so many bytes.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self { parts: Parts::with_capacity(bytes, 0), count: 0, joint: None }
    }

    /// Appends a command: its name and its arguments.
    pub(crate) fn push(&mut self, words: &[&str]) {
        self.count += 1;
        begin(&mut self.parts, words.len());
        words.iter().for_each(|said| word(&mut self.parts, said));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// What is sent, and what is heard then.
    pub(crate) fn ask(self) -> (Parts, Asked) {
        let replies = Vec::with_capacity(self.count);
        let joint = self.joint.filter(|_| self.count == 1);
        (self.parts, Asked { count: self.count, frame: Frame::default(), replies, joint })
    }
}

/// So many words follow.
fn begin(parts: &mut Parts, words: usize) {
    length(parts, b'*', words);
}

fn word(parts: &mut Parts, word: &str) {
    length(parts, b'$', word.len());
    parts.push(word.as_bytes());
    parts.push(END);
}

fn length(parts: &mut Parts, kind: u8, length: usize) {
    parts.push(&[kind]);
    parts.push(itoa::Buffer::new().format(length).as_bytes());
    parts.push(END);
}

/// Commands that were sent together, and the answers that have come.
#[derive(Debug)]
pub(crate) struct Asked {
    count: usize,
    /// How far the next answer was looked through.
    frame: Frame,
    replies: Vec<Reply>,
    joint: Option<Joint>,
}

impl Question for Asked {
    type Answer = Vec<Reply>;

    fn commands(&self) -> usize {
        self.count
    }

    fn hear(&mut self, arrived: &mut BytesMut) -> Result<Heard<Vec<Reply>>, Garbled> {
        while self.replies.len() < self.count {
            let Some(end) = self.frame.end(arrived)? else { return Ok(Heard::Part) };
            self.replies.push(Reply(arrived.split_to(end).freeze()));
            self.frame = Frame::default();
        }
        Ok(Heard::All(std::mem::take(&mut self.replies)))
    }

    fn is_joinable(&self) -> bool {
        self.joint.is_some()
    }

    fn join<'a>(asked: impl Iterator<Item = (&'a Self, &'a Parts)>) -> (usize, Parts) {
        joint::join(asked.map_while(|(asked, parts)| Some((asked.joint.as_ref()?, parts))))
    }

    fn share(answer: Vec<Reply>, askers: usize) -> Vec<Vec<Reply>> {
        joint::share(answer, askers)
    }
}

/// Where an answer ends: looked for once, however many pieces it arrives in.
#[derive(Debug)]
struct Frame {
    /// How much of it was seen.
    seen: usize,
    /// How many values are still to come, as far as is known.
    left: u64,
}

impl Default for Frame {
    fn default() -> Self {
        Self { seen: 0, left: 1 }
    }
}

impl Frame {
    /// The end of the answer with which this begins; nothing if it has not arrived whole.
    fn end(&mut self, arrived: &[u8]) -> Result<Option<usize>, Garbled> {
        while self.left > 0 {
            let Some((head, body)) = Head::parse(arrived.get(self.seen..).unwrap_or_default())? else {
                return Ok(None);
            };
            let mut next = self.seen + body;
            match head {
                Head::Array(count) => self.left = self.left.saturating_add(count),
                Head::Text(length) => {
                    let Some(end) = arrived.get(next + length..next + length + END.len()) else {
                        return Ok(None);
                    };
                    if end != END {
                        return Err(Garbled);
                    }
                    next += length + END.len();
                }
                Head::Nil | Head::Int(_) | Head::Status(_) | Head::Error(_) => {}
            }
            self.seen = next;
            self.left -= 1;
        }
        Ok(Some(self.seen))
    }
}

/// The line with which a value begins.
enum Head<'a> {
    Nil,
    Int(i64),
    Status(&'a [u8]),
    Error(&'a [u8]),
    /// So many bytes follow, and the end of a line.
    Text(usize),
    /// So many values follow.
    Array(u64),
}

impl<'a> Head<'a> {
    /// The first line, and where what follows it begins; nothing if it has not arrived whole.
    fn parse(arrived: &'a [u8]) -> Result<Option<(Self, usize)>, Garbled> {
        let Some((kind, line)) = arrived.split_first() else { return Ok(None) };
        if let b'+' | b'-' = kind {
            let Some(feed) = memchr::memchr(b'\n', arrived.get(..LONGEST_LINE).unwrap_or(arrived)) else {
                return if arrived.len() < LONGEST_LINE { Ok(None) } else { Err(Garbled) };
            };
            let line = arrived.get(1..=feed).and_then(|line| line.strip_suffix(END)).ok_or(Garbled)?;
            let head = if *kind == b'+' { Self::Status(line) } else { Self::Error(line) };
            return Ok(Some((head, feed + 1)));
        }
        if !matches!(kind, b':' | b'$' | b'*') {
            return Err(Garbled);
        }
        let Some((number, length)) = number(line)? else { return Ok(None) };
        let head = match (kind, number) {
            (b':', number) => Self::Int(number),
            (_, -1) => Self::Nil,
            (b'$', number) => {
                let length = u64::try_from(number).ok().filter(|length| *length <= LONGEST_TEXT);
                Self::Text(length.and_then(|length| usize::try_from(length).ok()).ok_or(Garbled)?)
            }
            (_, number) => Self::Array(u64::try_from(number).map_err(|_| Garbled)?),
        };
        Ok(Some((head, 1 + length)))
    }
}

/// The number in a line, and how long that is; nothing if it has not arrived whole. Nearly every line is one: no more than a look at
/// each digit.
fn number(line: &[u8]) -> Result<Option<(i64, usize)>, Garbled> {
    let (digits, sign) = line.strip_prefix(b"-").map_or((line, 0), |digits| (digits, 1));
    let mut number: i64 = 0;
    for (place, byte) in digits.iter().enumerate().take(DIGITS + 1) {
        let digit = match byte {
            b'0'..=b'9' => i64::from(byte - b'0'),
            b'\r' if place > 0 => {
                return match digits.get(place + 1) {
                    Some(b'\n') => Ok(Some((number, sign + place + END.len()))),
                    Some(_) => Err(Garbled),
                    None => Ok(None),
                };
            }
            _ => return Err(Garbled),
        };
        let digit = if sign == 0 { digit } else { -digit };
        number = number.checked_mul(10).and_then(|number| number.checked_add(digit)).ok_or(Garbled)?;
    }
    if digits.len() > DIGITS { Err(Garbled) } else { Ok(None) }
}

/// One whole answer, as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply(Bytes);

impl Reply {
    /// What it is.
    pub(crate) fn value(&self) -> Value<'_> {
        // It is whole: where its array ends need not be looked for again.
        if let Ok(Some((Head::Array(count), body))) = Head::parse(&self.0) {
            let rest = self.0.get(body..).unwrap_or_default();
            return usize::try_from(count).map_or(Value::Odd, |left| Value::Array(Items { left, rest }));
        }
        Value::first(&self.0).map_or(Value::Odd, |(value, _)| value)
    }

    /// The server's refusal, if it is one.
    pub(crate) fn refusal(&self) -> Option<Refusal<'_>> {
        match self.value() {
            Value::Refusal(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The server's refusal, if it is one, or a list that begins with one: what is true of the server, a script says of each
    /// user.
    pub(crate) fn first_refusal(&self) -> Option<Refusal<'_>> {
        match self.value() {
            Value::Refusal(refusal) => Some(refusal),
            Value::Array(mut items) => match items.next() {
                Some(Value::Refusal(refusal)) => Some(refusal),
                _ => None,
            },
            _ => None,
        }
    }

    /// The answers of which it is a list, if it is one.
    pub(crate) fn items(&self) -> Option<Vec<Reply>> {
        let Value::Array(mut items) = self.value() else { return None };
        let mut replies = Vec::with_capacity(items.len());
        let mut before = items.rest;
        while items.next().is_some() {
            let item = before.get(..before.len().checked_sub(items.rest.len())?)?;
            replies.push(Reply(self.0.slice_ref(item)));
            before = items.rest;
        }
        Some(replies)
    }
}

/// What an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Nil,
    Int(i64),
    Status(&'a [u8]),
    Text(&'a [u8]),
    Array(Items<'a>),
    Refusal(Refusal<'a>),
    /// Not what an answer can be.
    Odd,
}

impl<'a> Value<'a> {
    /// The value with which this begins, and what follows it.
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, body) = Head::parse(bytes).ok()??;
        let rest = bytes.get(body..)?;
        let value = match head {
            Head::Nil => Self::Nil,
            Head::Int(number) => Self::Int(number),
            Head::Status(line) => Self::Status(line),
            Head::Error(line) => Self::Refusal(Refusal(line)),
            Head::Text(length) => {
                let (text, rest) = rest.split_at_checked(length)?;
                return Some((Self::Text(text), rest.strip_prefix(END)?));
            }
            Head::Array(count) => {
                let end = Frame::default().end(bytes).ok()??;
                let left = usize::try_from(count).ok()?;
                return Some((Self::Array(Items { left, rest: bytes.get(body..end)? }), bytes.get(end..)?));
            }
        };
        Some((value, rest))
    }

    /// What is said in words.
    pub(crate) fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) | Self::Status(text) => std::str::from_utf8(text).ok(),
            _ => None,
        }
    }
}

/// The values of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Items<'a> {
    left: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (value, rest) = Value::first(self.rest).unwrap_or((Value::Odd, b""));
        self.rest = rest;
        Some(value)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Items<'_> {}

/// What a server says instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal<'a>(&'a [u8]);

impl<'a> Refusal<'a> {
    /// Its first word.
    pub(crate) fn code(&self) -> &'a str {
        self.words().0
    }

    /// What follows it.
    pub(crate) fn details(&self) -> &'a str {
        self.words().1
    }

    fn words(&self) -> (&'a str, &'a str) {
        let line = std::str::from_utf8(self.0).unwrap_or("ERR");
        line.split_once(' ').unwrap_or((line, ""))
    }
}

#[cfg(test)]
mod tests;
