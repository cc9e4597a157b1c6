//! The keyspace and the table: their DDL, and whether what a cluster has is what we need. No I/O.
//!
//! How often data is kept is the operator's choice: it is asked for and never guessed.

use std::fmt;
use std::str::FromStr;

use stickystore_core::{Error, ErrorKind, Result};

use crate::config::Config;
use crate::layout::{COLUMNS, COMMENT, VERSION};

/// How many copies of the data there shall be, and where.
///
/// ```
/// use stickystore_cassandra::Replication;
///
/// let everywhere: Replication = "3".parse()?;
/// let each: Replication = "eu=3,us=3".parse()?;
/// assert_eq!(each.to_string(), "eu=3,us=3");
/// # Ok::<(), stickystore_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replication {
    /// So many in every datacenter that there is.
    Everywhere(u8),
    /// So many in each of these datacenters.
    Datacenters(Vec<(String, u8)>),
}

impl FromStr for Replication {
    type Err = Error;

    /// Reads a number, or datacenters with a number each: `3`, `eu=3,us=3`.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let context =
                "replication is a number of copies from 1, or one for each datacenter: 3, or eu=3,us=3";
            Error::new(ErrorKind::Config, context)
        };
        let copies = |text: &str| text.parse().ok().filter(|copies| *copies > 0).ok_or_else(wrong);
        if !text.contains('=') {
            return copies(text).map(Self::Everywhere);
        }
        let datacenter = |part: &str| {
            let (name, number) = part.split_once('=').ok_or_else(wrong)?;
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if name.is_empty() || name == "class" || name == "replication_factor" || !name.chars().all(plain)
            {
                return Err(wrong());
            }
            Ok((name.to_owned(), copies(number)?))
        };
        text.split(',').map(datacenter).collect::<Result<_>>().map(Self::Datacenters)
    }
}

impl fmt::Display for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everywhere(copies) => write!(f, "{copies}"),
            Self::Datacenters(datacenters) => {
                let each = datacenters.iter().map(|(name, copies)| format!("{name}={copies}"));
                f.write_str(&each.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// What makes the keyspace and the table, each a statement of its own.
pub(crate) fn statements(config: &Config, replication: &Replication) -> [String; 2] {
    let copies = match replication {
        Replication::Everywhere(copies) => format!("'replication_factor': {copies}"),
        Replication::Datacenters(datacenters) => {
            let each = datacenters.iter().map(|(name, copies)| format!("'{name}': {copies}"));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let keyspace = &config.keyspace;
    let columns = COLUMNS.map(|(name, kind, role)| match role {
        "static" => format!("    {name} {kind} STATIC,\n"),
        _ => format!("    {name} {kind},\n"),
    });
    [
        format!(
            "CREATE KEYSPACE IF NOT EXISTS \"{keyspace}\"\n    WITH replication = {{'class': 'NetworkTopologyStrategy', {copies}}}"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS {} (\n{}    PRIMARY KEY ((namespace, user), key)\n) WITH comment = '{COMMENT}{VERSION}'",
            table_name(config),
            columns.concat()
        ),
    ]
}

/// The table's name in statements: quoted, since names may be words of the language too.
pub(crate) fn table_name(config: &Config) -> String {
    format!("\"{}\".\"{}\"", config.keyspace, config.table)
}

/// A table as a cluster has it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Name, type, and what it is to the table.
    pub(crate) columns: Vec<(String, String, String)>,
    pub(crate) comment: String,
}

/// Sees that the table is the one that we need.
///
/// # Errors
/// [`ErrorKind::Config`], which names what is missing or different.
pub(crate) fn check(config: &Config, found: &Found) -> Result<()> {
    let Config { keyspace, table, .. } = config;
    let wrong = |what: String| Err(Error::new(ErrorKind::Config, what));
    if found.columns.is_empty() {
        return wrong(format!(
            "there is no table {keyspace}.{table}, or this user may not see it; make it by `stickystore \
             schema --store URL --replication 3 --apply`, or with the statements of CassandraStore::schema"
        ));
    }
    if let Some(version) = found.comment.strip_prefix(COMMENT)
        && version != VERSION
    {
        return wrong(format!(
            "the table {keyspace}.{table} has layout version {version}; this program knows version {VERSION}"
        ));
    }
    let differs = COLUMNS.iter().find_map(|(name, kind, role)| {
        match found.columns.iter().find(|column| column.0 == *name) {
            None => Some(format!("it has no column {name}")),
            Some((_, theirs, place)) if theirs != kind || place != role => {
                Some(format!("its column {name} is {theirs} ({place}) and not {kind} ({role})"))
            }
            Some(_) => None,
        }
    });
    let foreign = || {
        let keys =
            |column: &&(String, String, String)| matches!(column.2.as_str(), "partition_key" | "clustering");
        let more =
            found.columns.iter().filter(keys).find(|column| !COLUMNS.iter().any(|ours| ours.0 == column.0));
        more.map(|column| format!("its key has the column {} besides", column.0))
    };
    match differs.or_else(foreign) {
        None => Ok(()),
        Some(what) => wrong(format!("the table {keyspace}.{table} is not ours: {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::from_url("cassandra://h/shop?table=t").unwrap()
    }

    fn ours() -> Found {
        let columns = COLUMNS.map(|(name, kind, role)| (name.to_owned(), kind.to_owned(), role.to_owned()));
        Found { columns: columns.into(), comment: format!("{COMMENT}{VERSION}") }
    }

    #[test]
    fn the_statements_are_frozen() {
        let both = ["3", "eu=3,us=2"].map(|text| statements(&config(), &text.parse().unwrap()).join(";\n"));
        assert_eq!(both.join(";\n\n"), include_str!("../golden/schema-v1.txt").trim_end());
    }

    #[test]
    fn a_replication_that_is_none_is_refused() {
        for text in ["", "0", "-1", "x", "300", "eu=", "eu=0", "=3", "eu=3,", "eu=3,3", "e'u=3", "class=3"] {
            assert_eq!(text.parse::<Replication>().unwrap_err().kind(), ErrorKind::Config, "{text}");
        }
    }

    #[test]
    fn a_table_that_is_different_is_named() {
        check(&config(), &ours()).unwrap();
        let says = |change: fn(&mut Found), what: &str| {
            let mut found = ours();
            change(&mut found);
            let error = check(&config(), &found).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.context().contains(what) && error.context().contains("shop.t"), "{error}");
        };
        says(|found| found.columns.clear(), "no table");
        says(|found| found.comment = format!("{COMMENT}2"), "layout version 2");
        says(|found| drop(found.columns.remove(3)), "no column value");
        says(|found| found.columns[5].1 = "int".to_owned(), "expiry is int");
        says(|found| found.columns[7].2 = "regular".to_owned(), "epoch is text (regular)");
        says(|found| found.columns.push(("x".into(), "text".into(), "clustering".into())), "column x");
    }

    #[test]
    fn more_columns_and_another_comment_do_not_matter() {
        let mut found = ours();
        found.columns.push(("note".into(), "text".into(), "regular".into()));
        found.comment = "our table".to_owned();
        check(&config(), &found).unwrap();
    }
}
