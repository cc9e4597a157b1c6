//! The suite, through both APIs.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stickystore_conformance::{Api, Harness, Opened, Plant, conformance_tests, run};
use stickystore_core::{Blocking, Key, Result, Subject, async_trait};
use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::memcached::{Behind, Shared};
use stickystore_layers::coalesce::{Bounds, Coalesced};
use stickystore_memcached::{Config, MemcachedStore};

/// The least that a server that counts in seconds can keep: the cases about sweeping wait for it.
const GRACE: Duration = Duration::from_secs(1);

const RUNTIMES: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// How many callers have a store of their own.
const OWN: NonZeroUsize = NonZeroUsize::new(8).unwrap();

struct BehindItsBack(Arc<Shared>);

#[async_trait]
impl Plant for BehindItsBack {
    async fn damaged_entry(&self, subject: &Subject, key: &Key) {
        let mut behind = Behind::connect(self.0.url());
        let at = MemcachedStore::storage_key(subject);
        let escaped = |id: &str| {
            let escape = |c: char| match c {
                '\0'..=' ' | '\x7f' | ':' | '%' => format!("%{:02X}", u32::from(c)),
                c => c.to_string(),
            };
            id.chars().map(escape).collect::<String>()
        };
        let head = || {
            format!(
                "stickystore 1 {} {}\n",
                escaped(subject.namespace.as_str()),
                escaped(subject.user.as_str())
            )
        };
        let key = escaped(key.as_str());
        let stands = behind.get(&at).unwrap_or_else(|| head().into_bytes());
        let of_key = |line: &&[u8]| line.starts_with(format!("{key} ").as_bytes());
        let lines = stands.split_inclusive(|byte| *byte == b'\n').filter(|line| !of_key(line));
        let damaged = format!("{key} written by another program\n").into_bytes();
        behind.set(&at, &lines.chain([damaged.as_slice()]).collect::<Vec<_>>().concat());
    }

    async fn foreign_user(&self, subject: &Subject) {
        let at = MemcachedStore::storage_key(subject);
        Behind::connect(self.0.url()).set(&at, b"written by another program");
    }
}

fn open(server: &Shared) -> Result<MemcachedStore> {
    MemcachedStore::new(&Config::from_url(server.url())?.with_grace(GRACE))
}

fn asynchronous() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("memcached", Api::Async, why),
    };
    let open = move || {
        let server = Arc::clone(&server);
        async move { Ok(Opened::asynchronous(open(&server)?).with_plant(BehindItsBack(server))) }
    };
    Harness::asynchronous("memcached", open).with_grace(GRACE)
}

fn blocking() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("memcached", Api::Blocking, why),
    };
    let open = move || {
        let opened = Arc::clone(&server);
        let store = Blocking::open(move || async move { open(&opened) })?;
        Ok(Opened::blocking(store).with_plant(BehindItsBack(Arc::clone(&server))))
    };
    Harness::blocking("memcached", open).with_grace(GRACE)
}

/// As a URL opens it, wherever there are several processors.
fn driven() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("memcached, driven by its callers", Api::Blocking, why),
    };
    let open = move || {
        let opened = Arc::clone(&server);
        let open = move || std::future::ready(open(&opened));
        let store = Blocking::open_driven_on(RUNTIMES, open)?.with_own(OWN);
        Ok(Opened::blocking(store).with_plant(BehindItsBack(Arc::clone(&server))))
    };
    Harness::blocking("memcached, driven by its callers", open).with_grace(GRACE)
}

/// The same users in the other dialect.
#[test]
fn the_binary_protocol_passes_the_suite() {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    let config = Config::from_url(server.url()).unwrap().with_grace(GRACE).with_binary_protocol();
    let open = move || {
        let (config, server) = (config.clone(), Arc::clone(&server));
        async move { Ok(Opened::asynchronous(MemcachedStore::new(&config)?).with_plant(BehindItsBack(server))) }
    };
    let report = run(&Harness::asynchronous("memcached, binary", open).with_grace(GRACE));
    assert!(report.is_good(), "{report}");
}

/// One in flight, so that whatever is asked at the same time has to go together.
fn coalesced() -> Harness {
    let server = match Shared::get() {
        Ok(server) => server,
        Err(Missing(why)) => return Harness::missing("memcached, coalesced", Api::Async, why),
    };
    let open = move || {
        let server = Arc::clone(&server);
        async move {
            let store = Coalesced::with(open(&server)?, Bounds::default().with_in_flight(1));
            Ok(Opened::asynchronous(store).with_plant(BehindItsBack(server)))
        }
    };
    Harness::asynchronous("memcached, coalesced", open).with_grace(GRACE)
}

conformance_tests!(memcached_async, asynchronous);
conformance_tests!(memcached_coalesced, coalesced);
conformance_tests!(memcached_blocking, blocking);
conformance_tests!(memcached_driven, driven);
