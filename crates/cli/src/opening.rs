//! Which store a verb works on: `--store`, with what a person would leave out.

use stickystore::{Registry, Result, Settings, Sticky};

/// Where a store is if nobody says otherwise: a file in the current folder.
const DEFAULT_STORE: &str = "embedded:stickystore.redb";

/// The namespace if neither the URL nor an option names one.
const DEFAULT_NAMESPACE: &str = "default";

/// How long a call may take if the URL does not say: a person waits, not a page.
const DEADLINE: &str = "10s";

/// The store and how its answer is shown.
#[derive(clap::Args)]
pub(crate) struct StoreOptions {
    /// The store's URL, as embedded:sticky.redb or redis://localhost?ttl=90d
    #[arg(long, value_name = "URL", env = "STICKYSTORE_STORE", hide_env_values = true, default_value = DEFAULT_STORE)]
    store: String,
    /// What keeps projects and environments apart, unless the URL names it [default: default]
    #[arg(long, value_name = "NAME", env = "STICKYSTORE_NAMESPACE")]
    namespace: Option<String>,
}

/// Which values count as absent, for the verbs that a service stands behind.
#[derive(clap::Args)]
pub(crate) struct RetiredOptions {
    /// Count this value under this key as absent: it is given to nobody, and the next save replaces it; may be repeated
    #[arg(long, num_args = 2, value_names = ["KEY", "VALUE"])]
    retired: Vec<String>,
}

impl RetiredOptions {
    /// The same store, with these values retired.
    pub(crate) fn of(&self, sticky: Sticky) -> Sticky {
        let (pairs, _) = self.retired.as_chunks::<2>();
        let retire = |settings: Settings, [key, value]: &[String; 2]| settings.with_retired(key, value);
        sticky.with_settings(|settings| pairs.iter().fold(settings, retire))
    }
}

impl StoreOptions {
    pub(crate) fn open(&self) -> Result<Sticky> {
        Registry::new().open(&self.url())
    }

    /// The whole URL; it may hold a password.
    pub(crate) fn url(&self) -> String {
        let mut url = self.store.clone();
        if !has(&url, "namespace") || self.namespace.is_some() {
            let namespace = self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE);
            add(&mut url, "namespace", &escaped(namespace));
        }
        if !has(&url, "deadline") {
            add(&mut url, "deadline", DEADLINE);
        }
        url
    }
}

/// This store, in this namespace unless its URL names one.
pub(crate) fn in_namespace(store: &str, namespace: &str) -> StoreOptions {
    let namespace = (!has(store, "namespace")).then(|| namespace.to_owned());
    StoreOptions { store: store.to_owned(), namespace }
}

fn has(url: &str, option: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|given| given.split('=').next() == Some(option))
}

fn add(url: &mut String, option: &str, text: &str) {
    url.push(if url.contains('?') { '&' } else { '?' });
    url.push_str(option);
    url.push('=');
    url.push_str(text);
}

/// With everything escaped that could mean something in a query.
pub(crate) fn escaped(text: &str) -> String {
    let byte = |byte: u8| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(store: &str, namespace: Option<&str>) -> StoreOptions {
        StoreOptions { store: store.to_owned(), namespace: namespace.map(str::to_owned) }
    }

    #[test]
    fn what_is_left_out_is_filled_in() {
        let url = |store, namespace| options(store, namespace).url();
        assert_eq!(url("memory:", None), "memory:?namespace=default&deadline=10s");
        assert_eq!(
            url("redis://h?wait=1", Some("a b&c")),
            "redis://h?wait=1&namespace=a%20b%26c&deadline=10s"
        );
        assert_eq!(url("memory:?namespace=n&deadline=1s", None), "memory:?namespace=n&deadline=1s");
        // Said twice, it is refused where the URL is read.
        assert!(options("memory:?namespace=n", Some("m")).open().is_err());
    }
}
