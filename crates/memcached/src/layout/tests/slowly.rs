//! The layout read without haste: maps, one line after the other, and escapes by a crate. What [`decode`](super::decode) says is
//! held against it.

use std::collections::BTreeMap;

use super::*;

/// What an item is: its mark, the lines of each key with the expiry of those that are an entry's, and its strays.
pub(super) type Told = Option<(Option<Mark>, Lines, BTreeMap<Key, Vec<Vec<u8>>>)>;
type Lines = BTreeMap<String, Stands>;
type Stands = Result<(Vec<u8>, Expiry), (Vec<Vec<u8>>, Damage)>;

pub(super) fn told(found: &Found<'_>) -> Result<Told, ()> {
    let item = match found {
        Found::Item(item) => item,
        Found::Others => return Ok(None),
        Found::Foreign => return Err(()),
    };
    let told = |slot: &Slot<'_>| match slot {
        Slot::Line { text, expiry } => Ok((text.to_vec(), *expiry)),
        Slot::Damaged { lines, damage } => Err((owned(lines), *damage)),
    };
    let slots = item
        .slots
        .keys()
        .zip(item.slots.iter())
        .map(|(key, (_, slot))| (key.as_str().to_owned(), told(slot)));
    let strays = item.strays.iter().map(|(key, lines)| (key.clone(), owned(lines)));
    Ok(Some((item.mark, slots.collect(), strays.collect())))
}

pub(super) fn decode(text: &[u8], subject: &Subject) -> Result<Told, ()> {
    let mut lines = text.strip_suffix(b"\n").unwrap_or(text).split(|byte| *byte == b'\n').peekable();
    match lines.next().and_then(owner_of) {
        Some(owner) if owner == *subject => {}
        Some(_) => return Ok(None),
        None => return Err(()),
    }
    let mut mark = None;
    if let Some(line) = lines.next_if(|line| line.starts_with(b" ")) {
        mark = Some(headed::decode_mark(&line[1..]).ok_or(())?);
    }
    let (mut named, mut nameless) = (BTreeMap::<String, Vec<&[u8]>>::new(), Vec::new());
    for line in lines {
        if line.starts_with(b" ") {
            return Err(());
        }
        match key_of(line) {
            Some(key) => named.entry(key).or_default().push(line),
            None => nameless.push(line),
        }
    }
    let mut strays = BTreeMap::<Key, Vec<Vec<u8>>>::new();
    for line in nameless {
        let mut name = String::from_utf8_lossy(first_word(line)).into_owned();
        while name.is_empty() || named.contains_key(&name) {
            name.push('?');
        }
        strays.entry(key(&name)).or_default().push(line.to_vec());
    }
    Ok(Some((mark, named.into_iter().map(|(key, lines)| (key, slot(&lines))).collect(), strays)))
}

fn slot(lines: &[&[u8]]) -> Stands {
    let damage = match lines {
        [line] => {
            let text = line.get(first_word(line).len() + 1..);
            match text.and_then(|text| Some((text.to_vec(), headed::expiry(text)?))) {
                Some(entry) => return Ok(entry),
                None => "does not begin as an entry of this layout",
            }
        }
        _ => "stands there more than once",
    };
    Err((owned(lines), Damage::new(damage)))
}

fn owner_of(head: &[u8]) -> Option<Subject> {
    let mut words = std::str::from_utf8(head).ok()?.split(' ');
    let (prefix, version) = (words.next()?, words.next()?);
    let (namespace, user) = (unescaped(words.next()?)?, unescaped(words.next()?)?);
    let is_head = prefix == PREFIX && version == VERSION && words.next().is_none();
    is_head.then_some(Subject::new(Namespace::new(namespace).ok()?, UserId::new(user).ok()?))
}

fn key_of(line: &[u8]) -> Option<String> {
    let key = unescaped(std::str::from_utf8(first_word(line)).ok()?)?;
    Key::new(key.as_str()).is_ok().then_some(key)
}

fn first_word(line: &[u8]) -> &[u8] {
    line.split(|byte| *byte == b' ').next().unwrap()
}

pub(super) fn escaped(id: &str) -> String {
    let escape = |char: char| match char {
        ..=' ' | '\x7f' | ':' | '%' => format!("%{:02X}", u32::from(char)),
        _ => char.to_string(),
    };
    id.chars().map(escape).collect()
}

pub(super) fn unescaped(word: &str) -> Option<String> {
    let id = percent_encoding::percent_decode_str(word).decode_utf8().ok()?;
    (escaped(&id) == word).then(|| id.into_owned())
}

fn owned(lines: &[&[u8]]) -> Vec<Vec<u8>> {
    lines.iter().map(|line| line.to_vec()).collect()
}
