//! The suite, through both APIs.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stickystore_conformance::{Api, Harness, Opened, Plant, conformance_tests};
use stickystore_core::{Blocking, Key, Result, Subject, async_trait};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::redis::Shared;
use stickystore_layers::coalesce::{Bounds, Coalesced};
use stickystore_redis::{Config, RedisStore};

use crate::bench::behind;

/// How long what ended stands. Small, because the cases about sweeping wait for it.
pub(crate) const GRACE: Duration = Duration::from_millis(200);

const RUNTIMES: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// How many callers have a store of their own.
const OWN: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// What the suite does behind the store's back.
pub(crate) struct Behind(pub(crate) String);

#[async_trait]
impl Plant for Behind {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        let mut command = redis::cmd("HSET");
        command.arg(RedisStore::storage_key(subject)).arg(key.as_str()).arg("written by another program");
        command.exec_async(&mut behind(&self.0).await).await.unwrap();
    }

    async fn foreign_user(&self, subject: &Subject) {
        let mut command = redis::cmd("SET");
        command.arg(RedisStore::storage_key(subject)).arg("written by another program");
        command.exec_async(&mut behind(&self.0).await).await.unwrap();
    }
}

pub(crate) fn open(url: &str, grace: Duration) -> Result<RedisStore> {
    RedisStore::new(&Config::from_url(url)?.with_grace(grace))
}

fn asynchronous() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("redis", Api::Async, why),
    };
    let open = move || {
        let server = Arc::clone(&server);
        async move {
            Ok(Opened::asynchronous(open(server.url(), GRACE)?).with_plant(Behind(server.url().to_owned())))
        }
    };
    Harness::asynchronous("redis", open).with_grace(GRACE)
}

fn blocking() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("redis", Api::Blocking, why),
    };
    let open = move || {
        let opened = Arc::clone(&server);
        let store = Blocking::open(move || async move { open(opened.url(), GRACE) })?;
        Ok(Opened::blocking(store).with_plant(Behind(server.url().to_owned())))
    };
    Harness::blocking("redis", open).with_grace(GRACE)
}

/// As a URL opens it, wherever there are several processors.
fn driven() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("redis, driven by its callers", Api::Blocking, why),
    };
    let open = move || {
        let opened = Arc::clone(&server);
        let open = move || std::future::ready(open(opened.url(), GRACE));
        let store = Blocking::open_driven_on(RUNTIMES, open)?.with_own(OWN);
        Ok(Opened::blocking(store).with_plant(Behind(server.url().to_owned())))
    };
    Harness::blocking("redis, driven by its callers", open).with_grace(GRACE)
}

/// One in flight, so that whatever is asked at the same time has to go together.
fn coalesced() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("redis, coalesced", Api::Async, why),
    };
    let open = move || {
        let server = Arc::clone(&server);
        async move {
            let store = Coalesced::with(open(server.url(), GRACE)?, Bounds::default().with_in_flight(1));
            Ok(Opened::asynchronous(store).with_plant(Behind(server.url().to_owned())))
        }
    };
    Harness::asynchronous("redis, coalesced", open).with_grace(GRACE)
}

conformance_tests!(redis_async, asynchronous);
conformance_tests!(redis_coalesced, coalesced);
conformance_tests!(redis_blocking, blocking);
conformance_tests!(redis_driven, driven);
