//! How often a call goes to the server and back.

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, EpochCheck, Erase, Read, Revision, Write,
};
use stickystore_integration_tests::proxy::Proxy;
use stickystore_integration_tests::server::memcached::Memcached;
use stickystore_memcached::MemcachedStore;

use crate::bench::{call, entry, key, server, through, user};

/// A store through a proxy that counts, connected.
async fn counted() -> Option<(Memcached, Proxy, MemcachedStore)> {
    let server = server(&[])?;
    let proxy = Proxy::start(server.port()).await;
    let store = through(proxy.port());
    store.put(call(), &user("first"), key("k"), entry("v")).await.unwrap();
    Some((server, proxy, store))
}

#[tokio::test]
async fn a_read_is_one_round_trip_and_a_change_is_a_read_and_a_write() {
    let Some((_server, proxy, store)) = counted().await else { return };
    let ann = user("ann");
    let mut before = proxy.round_trips();
    let mut trips = |what: &str, expected: usize| {
        let now = proxy.round_trips();
        assert_eq!(now - std::mem::replace(&mut before, now), expected, "{what}");
    };
    let first = entry("first");
    store.insert(call(), &ann, EpochCheck::Is(None), key("k"), first.clone()).await.unwrap();
    trips("assign new", 2);
    store.insert(call(), &ann, EpochCheck::Is(None), key("k"), entry("other")).await.unwrap();
    trips("assign existing", 1);
    store.load(call(), &ann).await.unwrap();
    trips("load", 1);
    store.get(call(), &ann, &key("k")).await.unwrap();
    trips("get", 1);
    store.replace(call(), &ann, key("k"), first.revision, entry("next")).await.unwrap();
    trips("replace", 2);
    store.put(call(), &ann, key("k"), entry("put")).await.unwrap();
    trips("put", 2);
    store.remove_if(call(), &ann, key("k"), Revision::random()).await.unwrap();
    trips("remove_if of another", 1);
    store.remove(call(), &ann, key("k")).await.unwrap();
    trips("remove", 2);
    let changes = (0..5).map(|place| Change::Insert(key(&place.to_string()), entry("v"))).collect();
    store.write_one(call(), Write::new(ann.clone(), EpochCheck::Is(None), changes).unwrap()).await;
    trips("save of 5", 2);
    store.erase_one(call(), Erase::new(ann, call().now)).await.unwrap();
    trips("erase", 2);
    store.ping(call()).await.unwrap();
    trips("ping", 1);
}

#[tokio::test]
async fn a_batch_of_reads_is_a_round_trip_for_each_128_users() {
    let Some((_server, proxy, store)) = counted().await else { return };
    let reads = |users: usize| (0..users).map(|i| Read::all(user(&i.to_string()))).collect::<Vec<_>>();
    // The connection for batches.
    store.read(call(), &reads(17)).await;
    for (users, expected) in [(100, 1), (128, 1), (129, 2), (256, 2)] {
        let before = proxy.round_trips();
        for profile in store.read(call(), &reads(users)).await {
            profile.unwrap();
        }
        assert_eq!(proxy.round_trips() - before, expected, "{users} users");
    }
}
