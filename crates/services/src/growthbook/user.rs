//! Whose assignments an attribute's are: the user id that is made of its name and its value.

use std::borrow::Cow;

/// What stands between the two, as in GrowthBook's own keys.
const SEPARATOR: &str = "||";

/// The user under whom the assignments of an attribute's value are kept: `id||ann` for `id` = `ann`, as GrowthBook's SDKs
/// write their keys. It is what to erase or export when `ann` asks for it.
///
/// No two attributes have the same: in a name, `|` is written `%7C` and `%` is written `%25`, so that the first `||` is
/// the one between name and value. The value stands there as it is.
///
/// ```
/// use stickystore_services::growthbook::user_id;
///
/// assert_eq!(user_id("id", "ann||50%"), "id||ann||50%");
/// assert_eq!(user_id("id||ann", "50%"), "id%7C%7Cann||50%");
/// ```
pub fn user_id(attribute_name: &str, attribute_value: &str) -> String {
    format!("{}{SEPARATOR}{attribute_value}", escaped(attribute_name))
}

fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['|', '%']) {
        Cow::Owned(name.replace('%', "%25").replace('|', "%7C"))
    } else {
        Cow::Borrowed(name)
    }
}
