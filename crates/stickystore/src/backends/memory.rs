//! `memory:`, a new store each time.

use std::sync::Arc;

use async_trait::async_trait;
use stickystore_core::memory::MemoryStore;
use stickystore_core::options::Options;
use stickystore_core::{AsyncStore, Error, ErrorKind, Immediate, Operation, Result, Store};

use super::Opener;

const SCHEME: &str = "memory";

#[expect(clippy::unnecessary_wraps, reason = "it is always on, and others are not")]
pub(super) fn opener() -> Option<Arc<dyn Opener>> {
    Some(Arc::new(Memory))
}

struct Memory;

#[async_trait]
impl Opener for Memory {
    fn blocking(&self, url: &str) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(open(url)?))
    }

    async fn asynchronous(&self, url: String) -> Result<Arc<dyn AsyncStore>> {
        Ok(Arc::new(Immediate::new(open(&url)?)))
    }
}

/// `memory:`, with the options `grace`, `max_entries` and `max_entry_bytes`.
fn open(url: &str) -> Result<MemoryStore> {
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    if !matches!(place, "memory:" | "memory://") {
        let error = Error::new(ErrorKind::Config, "a memory store is nowhere: its URL is memory:");
        return Err(error.with_origin(SCHEME, Operation::Open));
    }
    let given = query.split('&').filter(|option| !option.is_empty());
    let given = given.map(|option| option.split_once('=').unwrap_or((option, "")));
    let mut options = Options::new(SCHEME, given.map(|(name, text)| (name.to_owned(), text.to_owned())))?;
    let mut builder = MemoryStore::builder();
    if let Some(grace) = options.duration("grace")? {
        builder = builder.grace(grace);
    }
    if let Some(entries) = options.number("max_entries")? {
        builder = builder.max_entries(entries);
    }
    if let Some(bytes) = options.number("max_entry_bytes")? {
        builder = builder.max_entry_bytes(bytes);
    }
    options.finish()?;
    Ok(builder.build())
}
