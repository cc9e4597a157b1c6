//! A URL taken apart: what is ours, and what is the store's.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use stickystore_core::options::{Options, nearest};
use stickystore_core::{Error, ErrorKind, Namespace, Operation, Result, Ttl};
use stickystore_services::{Receipts, Settings, Unproven};

/// What a URL says besides where the store is.
const OURS: [&str; 7] =
    ["namespace", "ttl", "deadline", "receipt", "unproven", "replace_back_after", "coalesce"];

/// A URL taken apart.
#[derive(Debug)]
pub(crate) struct Address {
    /// The URL without our options: it may hold a password, and nothing shows it.
    pub(crate) store: StoreUrl,
    pub(crate) settings: Settings,
    /// Whether concurrent calls are to leave together.
    pub(crate) coalesce: bool,
    /// What the user may have meant by an option that the store will not know.
    pub(crate) meant: Option<String>,
}

/// A URL that nothing shows.
pub(crate) struct StoreUrl(pub(crate) String);

impl std::fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("..")
    }
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (rest, query) = url.split_once('?').unwrap_or((url, ""));
        let named = query.split('&').filter(|option| !option.is_empty());
        let named = named.map(|option| (option.split('=').next().unwrap_or(option), option));
        let (ours, theirs): (Vec<_>, Vec<_>) = named.partition(|(name, _)| OURS.contains(name));
        let meant = theirs.iter().find_map(|(name, _)| {
            let meant = nearest(name, OURS)?;
            Some(format!("or was {meant} meant by \"{name}\"?"))
        });
        let (settings, coalesce) = settings(ours, meant.as_deref())?;
        let theirs: Vec<_> = theirs.into_iter().map(|(_, option)| option).collect();
        let query = if theirs.is_empty() { String::new() } else { format!("?{}", theirs.join("&")) };
        Ok(Self { store: StoreUrl(format!("{rest}{query}")), settings, coalesce, meant })
    }
}

/// What a URL begins with.
pub(crate) fn scheme(url: &str) -> Result<&str> {
    let scheme = url.split_once(':').map(|(scheme, _)| scheme).filter(|scheme| is_scheme(scheme));
    scheme.ok_or_else(|| wrong("a store's URL begins with its scheme, as in redis://host"))
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
}

fn settings(ours: Vec<(&str, &str)>, meant: Option<&str>) -> Result<(Settings, bool)> {
    let mut given = Vec::with_capacity(ours.len());
    for (name, option) in ours {
        let text = option.split_once('=').map_or("", |(_, text)| text);
        let text = percent_decode_str(text).decode_utf8();
        let text = text.map_err(|_| wrong(format!("the option \"{name}\" is not UTF-8")))?;
        given.push((name.to_owned(), text.into_owned()));
    }
    let mut options = Options::new("stickystore", given)?;
    let Some(namespace) = options.text("namespace") else {
        let meant = meant.map(|meant| format!(" ({meant})")).unwrap_or_default();
        return Err(wrong(format!(
            "the URL names no namespace, which keeps projects and environments apart: add namespace=shop{meant}"
        )));
    };
    let mut settings = Settings::new(Namespace::new(namespace)?);
    if let Some(ttl) = options.duration("ttl")? {
        settings = settings.with_ttl(Ttl::new(ttl)?);
    }
    if let Some(deadline) = options.read("deadline", "a time like 250ms, of at least 1ms", deadline)? {
        settings = settings.with_deadline(deadline);
    }
    if let Some(receipts) = options.choice("receipt", &[("on", Receipts::On), ("off", Receipts::Off)])? {
        settings = settings.with_receipts(receipts);
    }
    let policies =
        [("keep-stored", Unproven::KeepStored), ("take-new", Unproven::TakeNew), ("error", Unproven::Error)];
    if let Some(unproven) = options.choice("unproven", &policies)? {
        settings = settings.with_unproven(unproven);
    }
    if let Some(time) = options.duration("replace_back_after")? {
        settings = settings.with_replace_back_after(time);
    }
    let coalesce = options.choice("coalesce", &[("on", true), ("off", false)])?.unwrap_or(false);
    options.finish()?;
    Ok((settings, coalesce))
}

fn deadline(text: &str) -> Option<Duration> {
    stickystore_core::options::parse_duration(text).filter(|time| !time.is_zero())
}

fn wrong(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, context).with_origin("stickystore", Operation::Open)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_options_are_taken_out_and_the_rest_stays_as_it_was() {
        let url = "redis://a:p%3Fw@h:1/2?wait=1&namespace=a%26b&x=%20&ttl=90d&deadline=5ms";
        let address = Address::parse(url).unwrap();
        assert_eq!(address.store.0, "redis://a:p%3Fw@h:1/2?wait=1&x=%20");
        assert_eq!(scheme(url).unwrap(), "redis");
        assert_eq!(address.settings.namespace().as_str(), "a&b");
        assert_eq!(address.settings.call().remaining().as_millis() / 10, 0);
        assert_eq!(Address::parse("embedded:/a b.redb?namespace=n").unwrap().store.0, "embedded:/a b.redb");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let says = |url: &str| Address::parse(url).unwrap_err().context().to_owned();
        for url in ["", "localhost", "/tmp/file", "/tmp/a:b", "C:\\data"] {
            assert!(scheme(url).unwrap_err().context().contains("begins with its scheme"), "{url}");
        }
        assert!(says("redis://h").contains("add namespace="));
        assert!(says("redis://h?namspace=shop").contains("or was namespace meant by \"namspace\"?"));
        assert!(says("redis://h?namespace=").contains("a namespace must have at least 1 byte"));
        assert!(says("redis://h?namespace=n&namespace=m").contains("given twice"));
        assert!(says("redis://h?namespace=n&ttl=90").contains("90d"));
        assert!(says("redis://h?namespace=n&ttl=0s").contains("zero is refused"));
        assert!(says("redis://h?namespace=n&deadline=0s").contains("at least 1ms"));
        assert!(says("redis://h?namespace=n&unproven=takenew").contains("one of: take-new,"));
        assert!(says("redis://h?namespace=n&receipt=no").contains("one of: on, off"));
        assert!(says("redis://h?namespace=n&coalesce=yes").contains("one of: on, off"));
    }

    #[test]
    fn no_part_of_a_url_is_shown() {
        let address = Address::parse("redis://:s3cret@h?namespace=n").unwrap();
        assert!(!format!("{address:?}").contains("s3cret"));
        for url in ["redis://:s3cret@h", "redis://:s3cret@h?namespace=n&ttl=x"] {
            assert!(!Address::parse(url).unwrap_err().to_string().contains("s3cret"), "{url}");
        }
    }
}
