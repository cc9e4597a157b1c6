//! Lines of text, values between them: the meta commands where they do, and the older `add` and `cas` to write.
//!
//! When `ms` finds no room, the server deletes the item that it was to replace, in every mode; `add` and `cas` leave it (tried,
//! and read in the server's source). They have no number of their own, so that each is followed by a question that has one.

use bytes::{Buf as _, BytesMut};

use super::{Answer, Command, Form, Garbled, MOST_BYTES, Parts, Refusal, Reply};

/// The longest line that a server has for us.
const LONGEST_LINE: usize = 8 << 10;

/// What is asked for behind a write; nobody's key.
const FENCE: &str = "stickystore!";

/// What ends a line, and a value.
const END: &[u8] = b"\r\n";

pub(super) fn encode(command: &Command<'_>, opaque: u32, out: &mut Parts) {
    match command {
        Command::Get { key } => line(out, &format!("mg {key} v c O{opaque}")),
        Command::Add { key, value, lasts } => {
            block(out, &format!("add {key} 0 {lasts} {}", value.len()), value);
            line(out, &format!("mg {FENCE} O{opaque}"));
        }
        Command::Swap { key, unique, value, lasts } => {
            block(out, &format!("cas {key} 0 {lasts} {} {unique}", value.len()), value);
            line(out, &format!("mg {FENCE} O{opaque}"));
        }
        Command::Noop => line(out, "mn"),
        Command::Stats("") => line(out, "stats"),
        Command::Stats(what) => line(out, &format!("stats {what}")),
        // A server with `-Y` takes the first `set` for a login, whatever its key.
        Command::Login { user, password } => {
            let login = format!("{user} {password}");
            block(out, &format!("set login 0 0 {}", login.len()), login.as_bytes());
        }
    }
}

pub(super) fn decode(arrived: &mut BytesMut, form: Form) -> Result<Option<Answer>, Garbled> {
    let Some((head, next)) = first_line(arrived)? else { return Ok(None) };
    let word = head.split(' ').next().unwrap_or_default();
    let reply = match (word, form) {
        ("ERROR" | "CLIENT_ERROR" | "SERVER_ERROR", _) => Reply::Refused(refusal(&head)),
        ("VA", Form::Get) => return value(arrived, next),
        ("EN", Form::Get) => {
            arrived.advance(next);
            return Ok(Some(Answer { reply: Reply::Missing, opaque: opaque_of(&head)? }));
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
    let opaque = opaque_of(&fence)?;
    arrived.advance(next + after);
    Ok(Some(Answer { reply, opaque }))
}

fn opaque_of(head: &str) -> Result<Option<u32>, Garbled> {
    let flag = head.split(' ').skip(1).find_map(|flag| flag.strip_prefix('O'));
    flag.map(|number| number.parse().map_err(|_| Garbled)).transpose()
}

/// `VA <bytes> <flags>`, and the value.
fn value(arrived: &mut BytesMut, next: usize) -> Result<Option<Answer>, Garbled> {
    let (mut bytes, mut unique, mut opaque) = (None, None, None);
    if let Some((head, _)) = first_line(arrived)? {
        let mut words = head.split(' ').skip(1);
        bytes =
            words.next().and_then(|bytes| bytes.parse().ok()).filter(|bytes: &usize| *bytes <= MOST_BYTES);
        for flag in words {
            if let Some(number) = flag.strip_prefix('c') {
                unique = Some(number.parse().map_err(|_| Garbled)?);
            } else if let Some(number) = flag.strip_prefix('O') {
                opaque = Some(number.parse().map_err(|_| Garbled)?);
            }
        }
    }
    let (bytes, unique) = (bytes.ok_or(Garbled)?, unique.ok_or(Garbled)?);
    if arrived.len() < next + bytes + END.len() {
        return Ok(None);
    }
    arrived.advance(next);
    let value = arrived.split_to(bytes).freeze();
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
fn first_line(arrived: &[u8]) -> Result<Option<(String, usize)>, Garbled> {
    let Some(end) = arrived.windows(END.len()).take(LONGEST_LINE).position(|two| two == END) else {
        return if arrived.len() > LONGEST_LINE { Err(Garbled) } else { Ok(None) };
    };
    let line = arrived.get(..end).and_then(|line| std::str::from_utf8(line).ok()).ok_or(Garbled)?;
    Ok(Some((line.to_owned(), end + END.len())))
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

fn line(out: &mut Parts, line: &str) {
    out.push(line.as_bytes());
    out.push(END);
    out.end_part();
}

fn block(out: &mut Parts, head: &str, value: &[u8]) {
    for bytes in [head.as_bytes(), END, value, END] {
        out.push(bytes);
    }
    out.end_part();
}
