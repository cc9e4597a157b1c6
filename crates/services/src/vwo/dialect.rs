//! The five spellings of a record: which SDK calls its fields what, and which spelling a record is in.

use stickystore_core::json::Members;
use stickystore_core::{Error, ErrorKind, Result};

/// How an SDK spells the fields of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Node's: `userId`, `campaignKey`, `variationName`, `goalIdentifier`, `metaData`. Java's and PHP's too.
    Node,
    /// Python's: as Node's, but `goalIdentifiers`.
    Python,
    /// Ruby's: `user_id`, `campaign_key`, `variation_name`, `goal_identifier`, `meta_data`.
    Ruby,
    /// .NET's: `UserId`, `CampaignKey`, `VariationName`, `GoalIdentifier`, `MetaData`.
    DotNet,
    /// Go's: as .NET's, but `UserID`.
    Go,
}

/// The fields of a record that mean something to the SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    UserId,
    CampaignKey,
    VariationName,
    Goals,
    MetaData,
}

impl Field {
    const ALL: [Self; 5] =
        [Self::UserId, Self::CampaignKey, Self::VariationName, Self::Goals, Self::MetaData];
}

impl Dialect {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Node, Self::Python, Self::Ruby, Self::DotNet, Self::Go];

    /// What this spelling calls the field.
    pub(super) fn name(self, field: Field) -> &'static str {
        match (self, field) {
            (Self::Node | Self::Python, Field::UserId) => "userId",
            (Self::Ruby, Field::UserId) => "user_id",
            (Self::DotNet, Field::UserId) => "UserId",
            (Self::Go, Field::UserId) => "UserID",
            (Self::Node | Self::Python, Field::CampaignKey) => "campaignKey",
            (Self::Ruby, Field::CampaignKey) => "campaign_key",
            (Self::DotNet | Self::Go, Field::CampaignKey) => "CampaignKey",
            (Self::Node | Self::Python, Field::VariationName) => "variationName",
            (Self::Ruby, Field::VariationName) => "variation_name",
            (Self::DotNet | Self::Go, Field::VariationName) => "VariationName",
            (Self::Node, Field::Goals) => "goalIdentifier",
            (Self::Python, Field::Goals) => "goalIdentifiers",
            (Self::Ruby, Field::Goals) => "goal_identifier",
            (Self::DotNet | Self::Go, Field::Goals) => "GoalIdentifier",
            (Self::Node | Self::Python, Field::MetaData) => "metaData",
            (Self::Ruby, Field::MetaData) => "meta_data",
            (Self::DotNet | Self::Go, Field::MetaData) => "MetaData",
        }
    }

    /// Which field this spelling calls so.
    fn field(self, name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| self.name(*field) == name)
    }
}

/// The members of a record, sorted: those of the SDKs by their field, the others as they came.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// A spelling that has all the names of this record.
    spelling: Dialect,
    known: Vec<(Field, &'a str)>,
    pub(super) more: Vec<(&'a str, &'a str)>,
}

impl<'a> Fields<'a> {
    /// Sorts the members. No record has names of two spellings: whose meaning would count?
    pub(super) fn sort(members: &'a Members<'a>) -> Result<Self> {
        let mut possible = Dialect::ALL.to_vec();
        let mut names: Vec<&str> = Vec::new();
        let mut fields = Self { spelling: Dialect::Node, known: Vec::new(), more: Vec::new() };
        for (name, text) in members.iter() {
            let Some(field) = Dialect::ALL.iter().find_map(|dialect| dialect.field(name)) else {
                fields.more.push((name, text));
                continue;
            };
            possible.retain(|dialect| dialect.name(field) == name);
            fields.known.push((field, text));
            names.push(name);
        }
        match possible.first() {
            Some(spelling) => fields.spelling = *spelling,
            None => return Err(mixed(&names)),
        }
        Ok(fields)
    }

    /// The text of this field; a `null` is a field that was left out.
    pub(super) fn get(&self, field: Field) -> Option<&'a str> {
        let found = self.known.iter().find(|(known, _)| *known == field);
        found.map(|(_, text)| *text).filter(|text| *text != "null")
    }

    /// What this record calls the field, or would.
    pub(super) fn name(&self, field: Field) -> &'static str {
        self.spelling.name(field)
    }
}

/// Names two that are never in one record.
fn mixed(names: &[&str]) -> Error {
    let fits = |a: &str, b: &str| {
        Dialect::ALL.iter().any(|dialect| dialect.field(a).is_some() && dialect.field(b).is_some())
    };
    let pairs = names.iter().flat_map(|a| names.iter().map(move |b| (*a, *b)));
    let (first, second) = pairs.into_iter().find(|(a, b)| !fits(a, b)).unwrap_or_default();
    let context = format!(
        "the record mixes spellings: {first:?} and {second:?} are of different SDKs; use the names of one"
    );
    Error::new(ErrorKind::Invalid, context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_spellings_in_one_record_are_refused_and_two_of_their_names_are_named() {
        for (record, names) in [
            (
                r#"{"userId":"u","goalIdentifier":"a","goalIdentifiers":"b"}"#,
                r#""goalIdentifier" and "goalIdentifiers""#,
            ),
            (r#"{"CampaignKey":"c","UserId":"u","UserID":"u"}"#, r#""UserId" and "UserID""#),
            (r#"{"userId":"u","campaign_key":"c"}"#, r#""userId" and "campaign_key""#),
            (r#"{"x":1,"UserID":"u","metaData":null}"#, r#""UserID" and "metaData""#),
        ] {
            let error = Fields::sort(&Members::parse(record).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.context().contains(names), "{}", error.context());
        }
    }

    #[test]
    fn each_spelling_knows_its_own_names_and_no_two_fields_share_one() {
        for dialect in Dialect::ALL.iter().copied() {
            for field in Field::ALL {
                assert_eq!(dialect.field(dialect.name(field)), Some(field));
            }
        }
    }
}
