//! The options behind the question mark of a store's URL, read the same way for every store.
//!
//! What a URL looks like before the question mark, and what its text is escaped with, is each store's business.

use std::time::Duration;

use crate::error::{Error, ErrorKind, Operation, Result};

/// The options of one URL. A store takes those that it knows and then [finishes](Self::finish): what is left is an error
/// that lists what could be said.
///
/// ```
/// use std::time::Duration;
/// use stickystore_core::options::Options;
///
/// let given = [("grace".to_owned(), "5s".to_owned()), ("wiat".to_owned(), "1".to_owned())];
/// let mut options = Options::new("redis", given)?;
/// assert_eq!(options.duration("grace")?, Some(Duration::from_secs(5)));
/// assert_eq!(options.number::<u32>("wait")?, None);
/// let error = options.finish().unwrap_err();
/// assert_eq!(error.context(), "there is no option \"wiat\"; did you mean wait? (wait, grace)");
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Options {
    scheme: &'static str,
    given: Vec<(String, Text)>,
    known: Vec<&'static str>,
}

/// What an option says, which may be a password.
struct Text(String);

impl std::fmt::Debug for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Options {
    /// These names and texts, of a URL of the store with this scheme.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if one is given twice.
    pub fn new(scheme: &'static str, given: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let mut options = Self { scheme, given: Vec::new(), known: Vec::new() };
        for (name, text) in given {
            if options.given.iter().any(|(taken, _)| *taken == name) {
                return Err(options.wrong(format!("the option \"{name}\" is given twice")));
            }
            options.given.push((name, Text(text)));
        }
        Ok(options)
    }

    /// What this option says, if it is given. What it says is never shown in an error.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let place = self.given.iter().position(|(given, _)| given == name)?;
        Some(self.given.swap_remove(place).1.0)
    }

    /// A whole number.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is none, or too large.
    pub fn number<N: std::str::FromStr>(&mut self, name: &'static str) -> Result<Option<N>> {
        self.read(name, "a whole number in its range", |text| text.parse().ok())
    }

    /// A time as [`parse_duration`] reads it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is none.
    pub fn duration(&mut self, name: &'static str) -> Result<Option<Duration>> {
        self.read(name, DURATION, parse_duration)
    }

    /// One of these words.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it is none of them.
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, chosen)| *chosen);
        let words = nearest_first(&text, choices.iter().map(|(word, _)| *word));
        let error = || self.wrong(format!("the option \"{name}\" is one of: {}", words.join(", ")));
        chosen.map(Some).ok_or_else(error)
    }

    /// What this option says, as `parse` reads it; `form` says in an error what it should have been.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if `parse` gives nothing.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        form: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let error = || self.wrong(format!("the option \"{name}\" is {form}"));
        parse(&text).map(Some).ok_or_else(error)
    }

    /// Nothing more is known.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if something is left; it names what there is, the nearest first.
    pub fn finish(self) -> Result<()> {
        let Some((name, _)) = self.given.first() else { return Ok(()) };
        Err(self.wrong(unknown("option", name, self.known.iter().copied())))
    }

    fn wrong(&self, context: String) -> Error {
        Error::new(ErrorKind::Config, context).with_origin(self.scheme, Operation::Open)
    }
}

const DURATION: &str = "a time like 500ms, 60s, 15m, 12h or 90d";

/// A time as options say it: a whole number and `ms`, `s`, `m`, `h` or `d`.
///
/// ```
/// use std::time::Duration;
/// use stickystore_core::options::parse_duration;
///
/// assert_eq!(parse_duration("90d"), Some(Duration::from_secs(90 * 86_400)));
/// assert_eq!(parse_duration("90"), None);
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    let unit = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(unit)?;
    let number: u64 = number.parse().ok()?;
    let seconds = |each: u64| number.checked_mul(each).map(Duration::from_secs);
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3_600),
        "d" => seconds(86_400),
        _ => None,
    }
}

/// Says that there is no such thing, and what there is, the nearest first.
pub fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known = nearest_first(name, known);
    match nearest(name, known.iter().copied()) {
        Some(nearest) => {
            format!("there is no {what} \"{name}\"; did you mean {nearest}? ({})", known.join(", "))
        }
        None if known.is_empty() => format!("there is no {what} \"{name}\", nor any other"),
        None => format!("there is no {what} \"{name}\"; there is {}", known.join(", ")),
    }
}

/// The one of these that a misspelt name may have meant.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let nearest = nearest_first(name, known).into_iter().next()?;
    (distance(name, nearest) < name.len().max(2) / 2 + 1).then_some(nearest)
}

fn nearest_first<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut known: Vec<_> = known.into_iter().collect();
    known.sort_by_key(|known| distance(name, known));
    known
}

fn distance(a: &str, b: &str) -> usize {
    strsim::damerau_levenshtein(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(given: &[(&str, &str)]) -> Options {
        let given = given.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        Options::new("test", given).unwrap()
    }

    #[test]
    fn times_have_a_unit_and_do_not_wrap() {
        assert_eq!(parse_duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse_duration("2h"), Some(Duration::from_secs(7_200)));
        for odd in ["", "s", "1", "-1s", "1.5s", "1 s", "18446744073709551615d", "1µs", "1S"] {
            assert_eq!(parse_duration(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_option_given_twice_is_refused() {
        let given = [("a".to_owned(), "1".to_owned()), ("a".to_owned(), "1".to_owned())];
        let error = Options::new("test", given).unwrap_err();
        assert_eq!(error.to_string(), "test open: configuration: the option \"a\" is given twice");
    }

    #[test]
    fn what_is_misspelt_is_named_with_what_there_is() {
        let mut given = options(&[("deadlien", "1s"), ("mode", "fats")]);
        assert_eq!(given.duration("deadline").unwrap(), None);
        let error = given.choice("mode", &[("slow", 1), ("fast", 2)]).unwrap_err();
        assert_eq!(error.context(), "the option \"mode\" is one of: fast, slow");
        let error = given.finish().unwrap_err();
        assert_eq!(
            error.context(),
            "there is no option \"deadlien\"; did you mean deadline? (deadline, mode)"
        );
        assert_eq!(unknown("store", "xyz", ["redis"]), "there is no store \"xyz\"; there is redis");
    }

    #[test]
    fn nothing_shows_what_an_option_says() {
        let mut given = options(&[("pass", "s3cret"), ("wait", "s3cret")]);
        assert!(!format!("{given:?}").contains("s3cret"));
        assert!(!given.number::<u32>("wait").unwrap_err().to_string().contains("s3cret"));
    }
}
