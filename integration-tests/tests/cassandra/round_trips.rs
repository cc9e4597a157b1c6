//! How often a call goes to the node and back.
//!
//! The driver asks each connection every other second whether it lives: so it is not bytes that are counted here, as with the
//! other stores, but the protocol's frames that run something.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use stickystore_cassandra::CassandraStore;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, EpochCheck, Erase, Read, Revision, Write,
};
use stickystore_integration_tests::server::cassandra::Shared;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::bench::{call, entry, key, shared_node, through, user};

/// Version, flags, stream (two bytes), opcode, length (four bytes).
const HEADER: usize = 9;
const OPCODE: usize = 4;

/// QUERY, EXECUTE, BATCH.
const RUNS: [u8; 3] = [0x07, 0x0a, 0x0d];

/// A way to the node of these tests, the store on it, connected, and how often it had something run.
async fn counted() -> Option<(Arc<Shared>, CassandraStore, Arc<AtomicUsize>)> {
    let node = shared_node()?;
    let hosts = node.url().split_once("://").unwrap().1.split('/').next().unwrap().to_owned();
    let port: u16 = hosts.rsplit_once(':').map_or(9042, |(_, port)| port.parse().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let store = through(listener.local_addr().unwrap().port());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let node = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let (from_client, mut to_client) = client.into_split();
            let (mut from_node, to_node) = node.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_node, &mut to_client).await });
            tokio::spawn(carry(from_client, to_node, Arc::clone(&counted)));
        }
    });
    store.put(call(), &user("first"), key("k"), entry("v")).await.unwrap();
    Some((node, store, count))
}

/// Frame by frame, until one side ends.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, count: Arc<AtomicUsize>) {
    let mut frame = vec![0; HEADER];
    while from.read_exact(&mut frame).await.is_ok() {
        let length = u32::from_be_bytes(frame.last_chunk().copied().unwrap());
        if frame.get(OPCODE).is_some_and(|opcode| RUNS.contains(opcode)) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        frame.resize(HEADER + usize::try_from(length).unwrap(), 0);
        let body = frame.split_at_mut(HEADER).1;
        if from.read_exact(body).await.is_err() || to.write_all(&frame).await.is_err() {
            return;
        }
        frame.truncate(HEADER);
    }
}

#[tokio::test]
async fn a_first_guess_is_one_round_trip_and_a_refusal_that_does_not_show_enough_is_a_read_more() {
    let Some((_node, store, count)) = counted().await else { return };
    let ann = user("ann");
    let trips = |what: &str, expected: usize| {
        assert_eq!(count.swap(0, Ordering::SeqCst), expected, "{what}");
    };
    count.store(0, Ordering::SeqCst);
    let first = entry("first");
    store.insert(call(), &ann, EpochCheck::Is(None), key("k"), first.clone()).await.unwrap();
    trips("assign new", 1);
    store.insert(call(), &ann, EpochCheck::Is(None), key("k"), entry("other")).await.unwrap();
    trips("assign existing", 1);
    store.load(call(), &ann).await.unwrap();
    trips("load", 1);
    store.get(call(), &ann, &key("k")).await.unwrap();
    trips("get", 1);
    store.get(call(), &ann, &key("absent")).await.unwrap();
    trips("get of what is absent", 2);
    store.replace(call(), &ann, key("k"), first.revision, entry("next")).await.unwrap();
    trips("replace", 1);
    store.replace(call(), &ann, key("k"), first.revision, entry("late")).await.unwrap();
    trips("replace of another", 1);
    store.put(call(), &ann, key("k"), entry("put")).await.unwrap();
    trips("put", 1);
    store.remove_if(call(), &ann, key("k"), Revision::random()).await.unwrap();
    trips("remove_if of another", 2);
    store.remove(call(), &ann, key("k")).await.unwrap();
    trips("remove", 1);
    let changes = (0..5).map(|place| Change::Insert(key(&place.to_string()), entry("v"))).collect();
    store.write_one(call(), Write::new(ann.clone(), EpochCheck::Is(None), changes).unwrap()).await;
    trips("save of 5", 1);
    let changes = (4..9).map(|place| Change::Insert(key(&place.to_string()), entry("v"))).collect();
    store.write_one(call(), Write::new(ann.clone(), EpochCheck::Is(None), changes).unwrap()).await;
    trips("save of 5, one of them taken", 2);
    store.erase_one(call(), Erase::new(ann, call().now)).await.unwrap();
    trips("erase", 2);
    let reads: Vec<_> = (0..100).map(|i| Read::all(user(&i.to_string()))).collect();
    for profile in store.read(call(), &reads).await {
        profile.unwrap();
    }
    trips("read of 100 users, each by itself", 100);
}

#[tokio::test]
async fn a_user_of_many_small_entries_is_two_pages_to_who_knows_nothing_and_one_to_who_has_read_some() {
    let Some((_node, store, count)) = counted().await else { return };
    let ann = user("ann");
    let changes = (0..500).map(|i| Change::Insert(key(&i.to_string()), entry("v"))).collect();
    store.write_one(call(), Write::new(ann.clone(), EpochCheck::Is(None), changes).unwrap()).await;
    count.store(0, Ordering::SeqCst);
    assert_eq!(store.load(call(), &ann).await.unwrap().len(), 500);
    assert_eq!(count.swap(0, Ordering::SeqCst), 2, "the first load of all");
    let bob = user("bob");
    store.put(call(), &bob, key("k"), entry("v")).await.unwrap();
    for _ in 0..100 {
        store.load(call(), &bob).await.unwrap();
    }
    count.store(0, Ordering::SeqCst);
    assert_eq!(store.load(call(), &ann).await.unwrap().len(), 500);
    assert_eq!(count.swap(0, Ordering::SeqCst), 1, "when small rows are what there is");
}
