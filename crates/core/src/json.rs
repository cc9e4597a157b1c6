//! JSON as text: validating it, and taking an object apart into members without touching their values.
//!
//! Everything that stickystore stores is JSON text, and most of it belongs to others. So members that we do
//! not know and numbers beyond any machine type have to come out as they went in, to the last digit: the
//! text of a value is never decoded and written again.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind, Result};

mod plain;

/// The members of a JSON object, in the order of the text, each value as the text that it was.
///
/// ```
/// use stickystore_core::json::Members;
///
/// let members = Members::parse(r#"{"id": 18446744073709551615, "more": {"a": 1.50}}"#)?;
/// assert_eq!(members.get("id"), Some("18446744073709551615"));
/// assert_eq!(members.get("more"), Some(r#"{"a": 1.50}"#));
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Members<'a> {
    /// Takes an object apart. Of a name that is there twice, the last counts, as in every JSON parser of the SDKs.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the text is not one JSON object.
    pub fn parse(text: &'a str) -> Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = deserializer
            .deserialize_map(MembersVisitor)
            .and_then(|members| deserializer.end().map(|()| members))
            .map_err(|error| Error::new(ErrorKind::Invalid, format!("not a JSON object{}", place(&error))))?;
        Ok(Self(members))
    }

    /// The text of the value under this name.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(member, _)| member == name).map(|&(_, text)| text)
    }

    /// All members, in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, text)| (name.as_ref(), *text))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Up to so many members are looked through one by one, which is faster than hashing them.
const FEW: usize = 16;

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Vec<(Cow<'de, str>, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Self::Value = Vec::new();
        // Where each name is, once there are too many to look through.
        let mut places = HashMap::new();
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            let place = if members.len() < FEW {
                members.iter().position(|(member, _)| *member == name)
            } else {
                if places.is_empty() {
                    places.extend(members.iter().enumerate().map(|(place, (name, _))| (name.clone(), place)));
                }
                places.get(&name).copied()
            };
            match place.and_then(|place| members.get_mut(place)) {
                Some(member) => member.1 = value.get(),
                None => {
                    if !places.is_empty() {
                        places.insert(name.clone(), members.len());
                    }
                    members.push((name, value.get()));
                }
            }
        }
        Ok(members)
    }
}

/// A member's name, borrowed where it has no escapes (`Cow` alone would always be owned).
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Writes an object member by member; the counterpart of [`Members`].
///
/// ```
/// use stickystore_core::json::ObjectWriter;
///
/// let mut object = ObjectWriter::new();
/// object.string("name", "a \"b\"");
/// object.raw("value", "1.50");
/// assert_eq!(object.finish(), r#"{"name":"a \"b\"","value":1.50}"#);
/// ```
#[derive(Debug, Clone)]
pub struct ObjectWriter(String);

impl ObjectWriter {
    /// An object without members.
    pub fn new() -> Self {
        Self(String::from("{"))
    }

    /// A member whose value is JSON text already.
    pub fn raw(&mut self, name: &str, text: &str) {
        self.name(name);
        self.0.push_str(text);
    }

    /// A member whose value is a string.
    pub fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        push_quoted(&mut self.0, value);
    }

    /// A member whose value is a whole number.
    pub fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        self.0.push_str(&value.to_string());
    }

    /// The object's text.
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_quoted(&mut self.0, name);
        self.0.push(':');
    }
}

impl Default for ObjectWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// The string that this JSON text is, or nothing if it is another kind of value.
pub fn as_string(text: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Name<'_>>(text).ok().map(|name| name.0)
}

/// This string as JSON text.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    push_quoted(&mut out, text);
    out
}

/// The same JSON text without the white space between its tokens. The text must be valid.
pub fn compact(text: &str) -> Cow<'_, str> {
    if !text.contains(is_space) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut inside, mut escaped) = (false, false);
    for c in text.chars() {
        if inside || !is_space(c) {
            out.push(c);
        }
        if inside {
            inside = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            inside = c == '"';
        }
    }
    Cow::Owned(out)
}

/// JSON's white space, which is less than Unicode's.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// How deep arrays and objects are nested in valid JSON text: 0 for a string or a number.
///
/// What is handed to others must not be deeper than their parsers go.
pub fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut inside, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if inside => {
                inside = escaped || byte != b'"';
                escaped = !escaped && byte == b'\\';
            }
            b'"' => inside = true,
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Checks that the text is one JSON value.
pub(crate) fn validate(text: &str) -> Result<()> {
    if plain::is_plain(text) {
        return Ok(());
    }
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(IgnoredAny) => Ok(()),
        Err(error) => {
            Err(Error::new(ErrorKind::Invalid, format!("a value must be JSON text{}", place(&error))))
        }
    }
}

/// Where the text is wrong. Not the parser's own words: they quote the text.
fn place(error: &serde_json::Error) -> String {
    format!(" (line {}, column {})", error.line(), error.column())
}

fn push_quoted(out: &mut String, text: &str) {
    // Plain text, the rule in practice, needs no second look.
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_of_two_equal_names_counts_and_escapes_are_read() {
        let members = Members::parse(r#"{"a":1,"\u0061":2,"b":3}"#).unwrap();
        assert_eq!(members.iter().collect::<Vec<_>>(), [("a", "2"), ("b", "3")]);
    }

    #[test]
    fn the_last_counts_also_among_many() {
        let names: Vec<_> = (0..3 * FEW).map(|i| (i % (2 * FEW)).to_string()).collect();
        let text: Vec<_> = names.iter().enumerate().map(|(i, name)| format!("\"{name}\":{i}")).collect();
        let text = format!("{{{}}}", text.join(","));
        let members = Members::parse(&text).unwrap();
        assert_eq!(members.len(), 2 * FEW);
        for name in 0..2 * FEW {
            let last = if name < FEW { name + 2 * FEW } else { name };
            assert_eq!(members.get(&name.to_string()), Some(last.to_string().as_str()));
        }
    }

    #[test]
    fn what_is_not_one_object_is_refused() {
        for text in ["", "[]", "null", "{", "{} {}", "{}x", r#"{"a"}"#, "{'a':1}"] {
            assert_eq!(Members::parse(text).unwrap_err().kind(), ErrorKind::Invalid, "{text}");
        }
    }

    #[test]
    fn depth_counts_what_is_open_at_once_and_not_in_strings() {
        for (text, deep) in [("1", 0), ("[]", 1), ("[[],[]]", 2), (r#"{"a[{":["\"[[["]}"#, 2)] {
            assert_eq!(depth(text), deep, "{text}");
        }
    }

    #[test]
    fn an_error_says_where_and_quotes_nothing() {
        let error = Members::parse("{\"a\": secret}").unwrap_err();
        assert_eq!(error.to_string(), "invalid input: not a JSON object (line 1, column 7)");
        assert!(std::error::Error::source(&error).is_none());
    }

    #[test]
    fn white_space_inside_strings_stays() {
        let text = "{ \"a b\\\" c\" :\n[ 1 , \"\\\\\" , \" \" ] }";
        assert_eq!(compact(text), "{\"a b\\\" c\":[1,\"\\\\\",\" \"]}");
    }

    proptest! {
        #[test]
        fn any_string_survives_quoting(text in any::<String>()) {
            let json = quoted(&text);
            prop_assert_eq!(as_string(&json).unwrap(), text);
        }

        #[test]
        fn any_members_survive(members in proptest::collection::btree_map(any::<String>(), any::<String>(), 0..8)) {
            let mut object = ObjectWriter::new();
            for (name, value) in &members {
                object.string(name, value);
            }
            let text = object.finish();
            let parsed = Members::parse(&text).unwrap();
            prop_assert_eq!(parsed.len(), members.len());
            for (name, value) in &members {
                prop_assert_eq!(as_string(parsed.get(name).unwrap()).unwrap(), value.as_str());
            }
        }
    }
}
