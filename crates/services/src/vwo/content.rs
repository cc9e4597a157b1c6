//! What a record says, in no SDK's spelling: reading it from any, writing it in one, and how it is stored.
//!
//! Stored is Node's spelling without the ids, which are the address of the entry:
//! `{"variationName":"..","goalIdentifier":"..","metaData":..,<other members>}`.

use std::collections::BTreeMap;

use stickystore_core::json::{self, Members, ObjectWriter};
use stickystore_core::{Error, ErrorKind, Result, Value};

use super::dialect::{Dialect, Field, Fields};
use super::goals::Goals;

/// How deep a record may be nested: what is handed out has to be readable by every SDK's JSON parser, and some end at
/// 100 levels.
const MAX_DEPTH: usize = 64;

/// The fields of a record besides the ids.
#[derive(Clone, PartialEq)]
pub(super) struct Content {
    pub(super) variation_name: String,
    pub(super) goals: Goals,
    pub(super) meta_data: Option<Value>,
    /// The members that no SDK knows, each with its text as it was.
    pub(super) more: BTreeMap<String, Value>,
}

/// A record in any spelling, taken apart.
pub(super) struct Parsed {
    pub(super) user_id: Option<String>,
    pub(super) campaign_key: Option<String>,
    /// What the record calls, or would call, its ids.
    pub(super) id_names: (&'static str, &'static str),
    pub(super) content: Content,
}

impl Content {
    pub(super) fn new(variation_name: String) -> Self {
        Self { variation_name, goals: Goals::default(), meta_data: None, more: BTreeMap::new() }
    }

    /// What is stored; nothing if it is of another shape, or another user's or campaign's.
    pub(super) fn stored(value: &Value, user_id: &str, campaign_key: &str) -> Option<Self> {
        let parsed = Parsed::parse(value.as_str()).ok()?;
        let fits = parsed.user_id.is_none_or(|id| id == user_id)
            && parsed.campaign_key.is_none_or(|key| key == campaign_key);
        fits.then_some(parsed.content)
    }

    /// How it is stored.
    pub(super) fn to_value(&self) -> Result<Value> {
        if self.variation_name.is_empty() {
            return Err(invalid("a variation's name must have at least 1 byte".to_owned()));
        }
        let mut object = ObjectWriter::new();
        self.write(&mut object, Dialect::Node);
        let text = object.finish();
        check_depth(&text)?;
        Value::new(text)
    }

    /// Writes all fields but the ids.
    pub(super) fn write(&self, object: &mut ObjectWriter, dialect: Dialect) {
        object.string(dialect.name(Field::VariationName), &self.variation_name);
        if !self.goals.is_empty() {
            object.string(dialect.name(Field::Goals), &self.goals.to_text());
        }
        if let Some(meta_data) = &self.meta_data {
            object.raw(dialect.name(Field::MetaData), meta_data.as_str());
        }
        for (name, value) in &self.more {
            object.raw(name, value.as_str());
        }
    }
}

impl Parsed {
    /// Reads a record in any spelling.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let members = Members::parse(text)
            .map_err(|error| invalid("a VWO record is a JSON object".to_owned()).with_source(error))?;
        check_depth(text)?;
        let fields = Fields::sort(&members)?;
        let variation_name = string(&fields, Field::VariationName)?
            .ok_or_else(|| invalid(format!("the record has no {}", fields.name(Field::VariationName))))?;
        if variation_name.is_empty() {
            let name = fields.name(Field::VariationName);
            return Err(invalid(format!("the {name} of a record must have at least 1 byte")));
        }
        let goals = string(&fields, Field::Goals)?.unwrap_or_default();
        let more = fields.more.iter().map(|&(name, text)| Ok((name.to_owned(), compact(text)?)));
        Ok(Self {
            user_id: string(&fields, Field::UserId)?,
            campaign_key: string(&fields, Field::CampaignKey)?,
            id_names: (fields.name(Field::UserId), fields.name(Field::CampaignKey)),
            content: Content {
                variation_name,
                goals: Goals::parse(&goals),
                meta_data: fields.get(Field::MetaData).map(compact).transpose()?,
                more: more.collect::<Result<_>>()?,
            },
        })
    }
}

/// The same JSON without white space between its tokens.
pub(super) fn compact(text: &str) -> Result<Value> {
    Value::new(json::compact(text))
}

pub(super) fn invalid(context: String) -> Error {
    Error::new(ErrorKind::Invalid, context)
}

fn check_depth(text: &str) -> Result<()> {
    if json::depth(text) > MAX_DEPTH {
        return Err(invalid(format!(
            "the record is nested deeper than {MAX_DEPTH} levels, which SDKs cannot read"
        )));
    }
    Ok(())
}

fn string(fields: &Fields<'_>, field: Field) -> Result<Option<String>> {
    let Some(text) = fields.get(field) else { return Ok(None) };
    match json::as_string(text) {
        Some(string) => Ok(Some(string.into_owned())),
        None if field == Field::Goals => {
            Err(invalid(format!("the {} of a record is a string: goals joined by _vwo_", fields.name(field))))
        }
        None => Err(invalid(format!("the {} of a record is a string", fields.name(field)))),
    }
}
