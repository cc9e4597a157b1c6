//! What a set makes of the record that stands: what is added, what is replaced, what has to stay. Pure.
//!
//! Goals are always united. A field that the set leaves out stays. A field that it gives is added where none stands;
//! where another value stands, it replaces that only if the caller had read it, else that stays. If another variation
//! stands and stays, nothing but goals is added: metadata and members of other names belong to their variation.

use stickystore_core::Value;

use super::content::Content;

/// What becomes of another value that stands where the set has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// It stays: nothing proves that the caller had read it.
    Stay,
    /// It is replaced: the caller had read it.
    Go,
}

/// What a set makes of what stands.
pub(super) struct Merged {
    pub(super) content: Content,
    pub(super) goals_added: Vec<String>,
    /// Something stands there now that did not.
    pub(super) added: bool,
    /// Something else went for it.
    pub(super) replaced: bool,
    /// Something that stands there differs from the set and stays.
    pub(super) kept: bool,
}

/// The record that stands, with what the set has.
pub(super) fn merge(stands: &Content, given: &Content, others: Others) -> Merged {
    let mut content = stands.clone();
    let goals_added = content.goals.unite(&given.goals);
    let added = !goals_added.is_empty();
    let mut merged = Merged { content, goals_added, added, replaced: false, kept: false };
    if stands.variation_name != given.variation_name {
        if others == Others::Stay {
            merged.kept = true;
            return merged;
        }
        merged.content.variation_name.clone_from(&given.variation_name);
        merged.replaced = true;
    }
    if let Some(given) = &given.meta_data
        && merged.takes(stands.meta_data.as_ref(), given, others)
    {
        merged.content.meta_data = Some(given.clone());
    }
    for (name, given) in &given.more {
        if merged.takes(stands.more.get(name), given, others) {
            merged.content.more.insert(name.clone(), given.clone());
        }
    }
    merged
}

/// What the caller added or changed since it read the record: what it read may have been erased meanwhile, and must not
/// come back as if it were new.
pub(super) fn since(read: &Content, given: &Content) -> Content {
    let changed = given.more.iter().filter(|(name, given)| read.more.get(*name) != Some(given));
    Content {
        variation_name: given.variation_name.clone(),
        goals: given.goals.without(&read.goals),
        meta_data: given.meta_data.clone().filter(|given| Some(given) != read.meta_data.as_ref()),
        more: changed.map(|(name, given)| (name.clone(), given.clone())).collect(),
    }
}

impl Merged {
    /// Whether the record takes the value that the set gives for a field.
    fn takes(&mut self, stands: Option<&Value>, given: &Value, others: Others) -> bool {
        match stands {
            Some(stands) if stands == given => return false,
            Some(_) if others == Others::Stay => {
                self.kept = true;
                return false;
            }
            Some(_) => self.replaced = true,
            None => self.added = true,
        }
        true
    }
}
