//! How often a call goes to the server and back.

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, EpochCheck, Erase, Keys, Outcome, Read, Revision, Write,
};
use stickystore_integration_tests::proxy::Proxy;
use stickystore_redis::RedisStore;

use crate::bench::{call, entry, key, server, through, user};

/// A store through a proxy that counts, connected, with its scripts known to the server.
async fn counted() -> Option<(stickystore_integration_tests::server::redis::Redis, Proxy, RedisStore)> {
    let server = server(&[])?;
    let proxy = Proxy::start(server.port()).await;
    let store = through(proxy.port());
    store.put(call(), &user("first"), key("k"), entry("v")).await.unwrap();
    store.erase_one(call(), Erase::new(user("first"), call().now)).await.unwrap();
    Some((server, proxy, store))
}

fn write(users: usize) -> Vec<Write> {
    (0..users).map(|i| insert_five(&i.to_string())).collect()
}

fn insert_five(name: &str) -> Write {
    let changes = (0..5).map(|place| Change::Insert(key(&place.to_string()), entry("v")));
    Write::new(user(name), EpochCheck::Is(None), changes.collect()).unwrap()
}

#[tokio::test]
async fn every_single_call_is_one_round_trip() {
    let Some((_server, proxy, store)) = counted().await else { return };
    let ann = user("ann");
    let mut before = proxy.round_trips();
    let mut trips = |what: &str| {
        let now = proxy.round_trips();
        assert_eq!(now - std::mem::replace(&mut before, now), 1, "{what}");
    };
    let first = entry("first");
    store.insert(call(), &ann, EpochCheck::Is(None), key("k"), first.clone()).await.unwrap();
    trips("assign new");
    store.insert(call(), &ann, EpochCheck::Is(None), key("k"), entry("other")).await.unwrap();
    trips("assign existing");
    store.load(call(), &ann).await.unwrap();
    trips("load");
    store.get(call(), &ann, &key("k")).await.unwrap();
    trips("get");
    let read = Read::some(ann.clone(), Keys::only((0..500).map(|i| key(&i.to_string()))).unwrap());
    store.read_one(call(), read).await.unwrap();
    trips("get of 500 keys");
    store.replace(call(), &ann, key("k"), first.revision, entry("next")).await.unwrap();
    trips("replace");
    store.put(call(), &ann, key("k"), entry("put")).await.unwrap();
    trips("put");
    store.remove_if(call(), &ann, key("k"), Revision::random()).await.unwrap();
    trips("remove_if");
    store.remove(call(), &ann, key("k")).await.unwrap();
    trips("remove");
    store.write_one(call(), write(1).pop().unwrap()).await;
    trips("save of 5");
    store.erase_one(call(), Erase::new(ann, call().now)).await.unwrap();
    trips("erase");
    store.ping(call()).await.unwrap();
    trips("ping");
}

#[tokio::test]
async fn a_batch_is_a_round_trip_for_each_128_users() {
    let Some((_server, proxy, store)) = counted().await else { return };
    // The connection for batches.
    store.write(call(), &write(17)).await;
    for (users, expected) in [(100, 1), (128, 1), (129, 2), (256, 2)] {
        let reads: Vec<_> = (0..users).map(|i| Read::all(user(&i.to_string()))).collect();
        let before = proxy.round_trips();
        for profile in store.read(call(), &reads).await {
            profile.unwrap();
        }
        assert_eq!(proxy.round_trips() - before, expected, "{users} users");
    }
    let before = proxy.round_trips();
    store.write(call(), &write(100)).await;
    assert_eq!(proxy.round_trips() - before, 1);
}

#[tokio::test]
async fn sixteen_users_share_a_script_and_a_forgotten_one_is_sent_once() {
    let Some((server, _proxy, store)) = counted().await else { return };
    let calls = |name: &str| {
        let stats = server.command(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls="))?.split(',').next());
        line.map_or(0, |calls| calls.parse::<u64>().unwrap())
    };
    let written = |answers: Vec<Vec<stickystore_core::Result<Outcome>>>| {
        let answers: Vec<_> = answers.into_iter().flatten().map(Result::unwrap).collect();
        assert_eq!(answers, vec![Outcome::Inserted; 500]);
    };
    let (before, told) = (calls("evalsha"), calls("eval"));
    written(store.write(call(), &write(100)).await);
    assert_eq!((calls("evalsha") - before, calls("eval") - told), (7, 0));
    server.command(&["SCRIPT", "FLUSH"]);
    let others: Vec<_> = (100..200).map(|i| insert_five(&i.to_string())).collect();
    written(store.write(call(), &others).await);
    assert_eq!((calls("evalsha") - before, calls("eval") - told), (7 + 7 + 6, 1));
}
