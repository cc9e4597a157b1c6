//! The meta commands: lines of text with flags, values between them.

use bytes::{Buf as _, BytesMut};

use super::{Answer, Command, Garbled, MOST_BYTES, Refusal, Reply};

/// The longest line that a server has for us.
const LONGEST_LINE: usize = 8 << 10;

/// What ends a line, and a value.
const END: &[u8] = b"\r\n";

pub(super) fn encode(command: &Command<'_>, opaque: u32, out: &mut Vec<u8>) {
    match command {
        Command::Get { key } => line(out, &format!("mg {key} v c O{opaque}")),
        Command::Add { key, value, lasts } => {
            line(out, &format!("ms {key} {} ME T{lasts} O{opaque}", value.len()));
            block(out, value);
        }
        Command::Swap { key, unique, value, lasts } => {
            line(out, &format!("ms {key} {} C{unique} T{lasts} O{opaque}", value.len()));
            block(out, value);
        }
        Command::Noop => line(out, "mn"),
        Command::Stats("") => line(out, "stats"),
        Command::Stats(what) => line(out, &format!("stats {what}")),
        // A server with `-Y` takes the first `set` for a login, whatever its key.
        Command::Login { user, password } => {
            let login = format!("{user} {password}");
            line(out, &format!("set login 0 0 {}", login.len()));
            block(out, login.as_bytes());
        }
    }
}

pub(super) fn decode(arrived: &mut BytesMut) -> Result<Option<Answer>, Garbled> {
    let Some((head, next)) = first_line(arrived)? else { return Ok(None) };
    let mut words = head.split(' ');
    let opaque = || match head.split(' ').find_map(|flag| flag.strip_prefix('O')) {
        Some(number) => number.parse().map(Some).map_err(|_| Garbled),
        None => Ok(None),
    };
    let (reply, opaque) = match words.next() {
        Some("VA") => return value(arrived, next),
        Some("HD") => (Reply::Stored, opaque()?),
        Some("EN" | "NF") => (Reply::Missing, opaque()?),
        Some("NS" | "EX") => (Reply::Conflict, opaque()?),
        Some("MN" | "STORED") => (Reply::Done, None),
        Some("STAT" | "END") => return stats(arrived),
        Some("ERROR" | "CLIENT_ERROR" | "SERVER_ERROR") => (Reply::Refused(refusal(&head)), None),
        _ => return Err(Garbled),
    };
    arrived.advance(next);
    Ok(Some(Answer { reply, opaque }))
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

fn line(out: &mut Vec<u8>, line: &str) {
    block(out, line.as_bytes());
}

fn block(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.extend_from_slice(END);
}
