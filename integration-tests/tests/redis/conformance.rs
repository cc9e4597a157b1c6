//! The suite, through both APIs.

use std::sync::Arc;
use std::time::Duration;

use stickystore_conformance::{Api, Harness, Opened, Plant, conformance_tests};
use stickystore_core::{Blocking, Key, Result, Subject, async_trait};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::redis::Shared;
use stickystore_redis::{Config, RedisStore};

use crate::bench::behind;

/// Small, because the cases about sweeping wait for it.
const GRACE: Duration = Duration::from_millis(200);

struct Behind(Arc<Shared>);

#[async_trait]
impl Plant for Behind {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        let mut command = redis::cmd("HSET");
        command.arg(RedisStore::storage_key(subject)).arg(key.as_str()).arg("written by another program");
        command.exec_async(&mut behind(self.0.url()).await).await.unwrap();
    }

    async fn foreign_user(&self, subject: &Subject) {
        let mut command = redis::cmd("SET");
        command.arg(RedisStore::storage_key(subject)).arg("written by another program");
        command.exec_async(&mut behind(self.0.url()).await).await.unwrap();
    }
}

fn open(server: &Shared) -> Result<RedisStore> {
    RedisStore::new(&Config::from_url(server.url())?.with_grace(GRACE))
}

fn asynchronous() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("redis", Api::Async, why),
    };
    let open = move || {
        let server = Arc::clone(&server);
        async move { Ok(Opened::asynchronous(open(&server)?).with_plant(Behind(server))) }
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
        let store = Blocking::open(move || async move { open(&opened) })?;
        Ok(Opened::blocking(store).with_plant(Behind(Arc::clone(&server))))
    };
    Harness::blocking("redis", open).with_grace(GRACE)
}

conformance_tests!(redis_async, asynchronous);
conformance_tests!(redis_blocking, blocking);
