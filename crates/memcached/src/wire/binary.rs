//! The binary protocol: heads of 24 bytes. Servers know it as deprecated; it is here for SASL, which has no other.

use bytes::{Buf as _, BytesMut};

use super::{Answer, Command, Garbled, MOST_BYTES, Parts, Refusal, Reply};

const REQUEST: u8 = 0x80;
const RESPONSE: u8 = 0x81;

/// How long every head is.
const HEAD: usize = 24;

mod op {
    pub(super) const GET: u8 = 0x00;
    pub(super) const ADD: u8 = 0x02;
    /// With a unique number; where `SET` finds no room, the server deletes what stands there (tried).
    pub(super) const REPLACE: u8 = 0x03;
    pub(super) const NOOP: u8 = 0x0a;
    pub(super) const STAT: u8 = 0x10;
    pub(super) const SASL_AUTH: u8 = 0x21;
}

pub(super) fn encode(command: &Command<'_>, opaque: u32, out: &mut Parts) {
    let mut request = |op, extras: &[u8], key: &str, value: &[u8], unique: u64| {
        let bytes = extras.len() + key.len() + value.len();
        // No key of ours is longer than 250 bytes, and no value than 1 GiB.
        let head = Head {
            op,
            key: u16::try_from(key.len()).unwrap_or(u16::MAX),
            extras: u8::try_from(extras.len()).unwrap_or(u8::MAX),
            status: 0,
            body: u32::try_from(bytes).unwrap_or(u32::MAX),
            opaque,
            unique,
        };
        head.encode(REQUEST, out);
        for part in [extras, key.as_bytes(), value] {
            out.push(part);
        }
        out.end_part();
    };
    match command {
        Command::Get { key } => request(op::GET, &[], key, &[], 0),
        Command::Add { key, value, lasts } => request(op::ADD, &store_extras(*lasts), key, value, 0),
        Command::Swap { key, unique, value, lasts } => {
            request(op::REPLACE, &store_extras(*lasts), key, value, *unique);
        }
        Command::Noop => request(op::NOOP, &[], "", &[], 0),
        Command::Stats(what) => request(op::STAT, &[], what, &[], 0),
        Command::Login { user, password } => {
            request(op::SASL_AUTH, &[], "PLAIN", format!("\0{user}\0{password}").as_bytes(), 0);
        }
    }
}

pub(super) fn decode(arrived: &mut BytesMut) -> Result<Option<Answer>, Garbled> {
    let Some(head) = Head::decode(arrived)? else { return Ok(None) };
    if head.op == op::STAT && head.status == 0 {
        return stats(arrived, head.opaque);
    }
    let whole = HEAD + head.bytes()?;
    if arrived.len() < whole {
        return Ok(None);
    }
    let mut body = arrived.split_to(whole);
    body.advance(HEAD);
    let reply = match (head.status, head.op) {
        (0x00, op::GET) => {
            let before = usize::from(head.extras) + usize::from(head.key);
            if body.len() < before {
                return Err(Garbled);
            }
            body.advance(before);
            Reply::Found { value: body.freeze(), unique: head.unique }
        }
        (0x00, op::ADD | op::REPLACE) => Reply::Stored,
        (0x00, op::NOOP | op::SASL_AUTH) => Reply::Done,
        (0x00, _) => return Err(Garbled),
        (0x01, _) => Reply::Missing,
        (0x02 | 0x05, _) => Reply::Conflict,
        (0x03, _) => Reply::Refused(Refusal::TooLarge),
        // Another step would be another mechanism.
        (0x20 | 0x21, _) => Reply::Refused(Refusal::Denied),
        (0x82, _) => Reply::Refused(Refusal::NoMemory),
        (0x04 | 0x81 | 0x83, _) => Reply::Refused(Refusal::Unknown),
        _ => Reply::Refused(Refusal::Server),
    };
    Ok(Some(Answer { reply, opaque: Some(head.opaque) }))
}

/// A packet for each, and one without a name at the end.
fn stats(arrived: &mut BytesMut, opaque: u32) -> Result<Option<Answer>, Garbled> {
    let (mut rest, mut stats) = (&arrived[..], Vec::new());
    loop {
        let Some(head) = Head::decode(rest)? else { return Ok(None) };
        let (whole, named) = (HEAD + head.bytes()?, HEAD + usize::from(head.key));
        let Some((packet, after)) = rest.split_at_checked(whole) else { return Ok(None) };
        if (head.op, head.status, head.opaque) != (op::STAT, 0, opaque) {
            return Err(Garbled);
        }
        rest = after;
        if head.key == 0 {
            break;
        }
        let text = |range| packet.get(range).map(|text| String::from_utf8_lossy(text).into_owned());
        stats.push((text(HEAD..named).ok_or(Garbled)?, text(named..whole).ok_or(Garbled)?));
    }
    let used = arrived.len() - rest.len();
    arrived.advance(used);
    Ok(Some(Answer { reply: Reply::Stats(stats), opaque: Some(opaque) }))
}

/// Flags, of which we have none, and for how long.
fn store_extras(lasts: u32) -> [u8; 8] {
    (u64::from(lasts)).to_be_bytes()
}

struct Head {
    op: u8,
    key: u16,
    extras: u8,
    status: u16,
    body: u32,
    opaque: u32,
    unique: u64,
}

impl Head {
    fn encode(&self, magic: u8, out: &mut Parts) {
        out.push(&[magic, self.op]);
        out.push(&self.key.to_be_bytes());
        out.push(&[self.extras, 0]);
        out.push(&self.status.to_be_bytes());
        out.push(&self.body.to_be_bytes());
        out.push(&self.opaque.to_be_bytes());
        out.push(&self.unique.to_be_bytes());
    }

    /// The head that arrived first; nothing if it has not arrived whole.
    fn decode(arrived: &[u8]) -> Result<Option<Self>, Garbled> {
        if arrived.first().is_some_and(|magic| *magic != RESPONSE) {
            return Err(Garbled);
        }
        let Some(mut head) = arrived.get(..HEAD) else { return Ok(None) };
        head.advance(1);
        let (op, key, extras) = (head.get_u8(), head.get_u16(), head.get_u8());
        head.advance(1);
        let (status, body, opaque, unique) = (head.get_u16(), head.get_u32(), head.get_u32(), head.get_u64());
        Ok(Some(Self { op, key, extras, status, body, opaque, unique }))
    }

    fn bytes(&self) -> Result<usize, Garbled> {
        usize::try_from(self.body).ok().filter(|bytes| *bytes <= MOST_BYTES).ok_or(Garbled)
    }
}
