//! How often a call goes to the server and back.
//!
//! The driver asks after the server's health besides, over connections of its own: so it is not bytes that are counted here, as
//! with the other stores, but what the server says it has run.

use mongodb::Client;
use mongodb::bson::{Bson, doc};
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, EpochCheck, Erase, Read, Revision, Write,
};

use crate::bench::{call, entry, key, server, store, user};

/// The commands that a store could send.
const COMMANDS: [&str; 9] =
    ["aggregate", "count", "delete", "find", "findAndModify", "getMore", "insert", "ping", "update"];

/// How many of them this server has run.
async fn run_so_far(client: &Client) -> i64 {
    let status = client.database("admin").run_command(doc! { "serverStatus": 1 }).await.unwrap();
    let commands = status.get_document("metrics").unwrap().get_document("commands").unwrap();
    let total = |name: &&str| match commands.get_document(name).unwrap().get("total") {
        Some(Bson::Int64(total)) => *total,
        other => panic!("{name}: {other:?}"),
    };
    COMMANDS.iter().map(total).sum()
}

#[tokio::test]
async fn every_single_call_is_one_round_trip_but_for_the_first_question_to_a_primary() {
    let Some(server) = server(&[]) else { return };
    let (store, client) = (store(&server.url()), Client::with_uri_str(server.url()).await.unwrap());
    store.put(call(), &user("first"), key("k"), entry("v")).await.unwrap();
    let ann = user("ann");
    let mut before = run_so_far(&client).await;
    store.load(call(), &ann).await.unwrap();
    let now = run_so_far(&client).await;
    assert_eq!(now - before, 2, "it waits until a majority has confirmed what stands there");
    before = now;
    let mut trips = async |what: &str| {
        let now = run_so_far(&client).await;
        assert_eq!(now - std::mem::replace(&mut before, now), 1, "{what}");
    };
    let first = entry("first");
    store.insert(call(), &ann, EpochCheck::Is(None), key("k"), first.clone()).await.unwrap();
    trips("assign new").await;
    store.insert(call(), &ann, EpochCheck::Is(None), key("k"), entry("other")).await.unwrap();
    trips("assign existing").await;
    store.load(call(), &ann).await.unwrap();
    trips("load").await;
    store.get(call(), &ann, &key("k")).await.unwrap();
    trips("get").await;
    store.replace(call(), &ann, key("k"), first.revision, entry("next")).await.unwrap();
    trips("replace").await;
    store.put(call(), &ann, key("k"), entry("put")).await.unwrap();
    trips("put").await;
    store.remove_if(call(), &ann, key("k"), Revision::random()).await.unwrap();
    trips("remove_if of another").await;
    store.remove(call(), &ann, key("k")).await.unwrap();
    trips("remove").await;
    let changes = (0..5).map(|place| Change::Insert(key(&place.to_string()), entry("v"))).collect();
    store.write_one(call(), Write::new(ann.clone(), EpochCheck::Is(None), changes).unwrap()).await;
    trips("save of 5").await;
    store.erase_one(call(), Erase::new(ann, call().now)).await.unwrap();
    trips("erase").await;
    let reads: Vec<_> = (0..100).map(|i| Read::all(user(&i.to_string()))).collect();
    for profile in store.read(call(), &reads).await {
        profile.unwrap();
    }
    trips("read of 100 users").await;
    store.ping(call()).await.unwrap();
    trips("ping").await;
}
