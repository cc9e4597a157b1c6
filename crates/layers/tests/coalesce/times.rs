//! Calls whose `now` differs.

use stickystore_core::{AsyncStoreExt as _, EpochCheck, Erase, Immediate, Outcome, UnixMillis};

use crate::bench::{at, coalesced, ends, entry, erase, key, load, load_by, put, put_by, subject, value};

/// The time of all calls of these tests, about.
const NOW: u64 = 1_000_000;

#[tokio::test(start_paused = true)]
async fn calls_within_50_ms_share_a_batch_and_later_ones_take_the_next() {
    let (store, scripted) = coalesced(1);
    let _first = load(&store, "ann");
    let _others = [("bob", 30), ("cid", 0), ("dan", 50), ("eve", 51)]
        .map(|(user, later)| load_by(&store, user, at(NOW + later)));
    scripted.seen().await;
    scripted.answer(0).await;
    scripted.answer(1).await;
    assert_eq!(scripted.seen().await[1..], ["read bob cid dan", "read eve"]);
}

#[tokio::test(start_paused = true)]
async fn each_reader_sees_to_the_millisecond_what_lives_by_its_own_time() {
    let (store, scripted) = coalesced(1);
    let memory = Immediate::new(scripted.memory().clone());
    memory.put(at(NOW), &subject("bob"), key(), ends("b", NOW + 20)).await.unwrap();
    let _first = load(&store, "ann");
    let readers = [40, 19, 0, 20, 21].map(|later| (later, load_by(&store, "bob", at(NOW + later))));
    scripted.seen().await;
    scripted.answer(0).await;
    scripted.answer(1).await;
    assert_eq!(scripted.seen().await.len(), 2);
    for (later, reader) in readers {
        let seen = value(&reader.await.unwrap().unwrap()).is_some();
        assert_eq!(seen, later < 20, "{later} ms later");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_keeps_epoch_and_damage_when_it_loses_an_ended_entry() {
    let (store, scripted) = coalesced(1);
    let memory = Immediate::new(scripted.memory().clone());
    let mark = Erase::new(subject("bob"), at(NOW).now);
    let epoch = mark.epoch;
    memory.erase_one(at(NOW), mark).await.unwrap();
    memory.put(at(NOW), &subject("bob"), key(), ends("b", NOW + 20)).await.unwrap();
    scripted.memory().plant(
        &subject("bob"),
        stickystore_core::Key::new("broken").unwrap(),
        "by another program",
    );
    let _first = load(&store, "ann");
    let readers = [0, 40].map(|later| load_by(&store, "bob", at(NOW + later)));
    scripted.seen().await;
    scripted.answer(0).await;
    scripted.answer(1).await;
    for reader in readers {
        let profile = reader.await.unwrap().unwrap();
        assert_eq!((profile.epoch(), profile.damaged().len()), (Some(epoch), 1));
    }
}

#[tokio::test(start_paused = true)]
async fn writes_of_a_batch_go_under_the_latest_time() {
    let (store, scripted) = coalesced(1);
    let _first = put(&store, "ann", "a");
    let _others = [("bob", 0), ("cid", 30), ("dan", 10)]
        .map(|(user, later)| put_by(&store, user, entry("x"), at(NOW + later)));
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "write bob cid dan");
    assert_eq!(scripted.calls()[1].call.now, UnixMillis::new(NOW + 30).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_entry_lives_by_its_own_time_is_not_expired_by_anothers() {
    let (store, scripted) = coalesced(1);
    let _first = put(&store, "ann", "a");
    let brief = put_by(&store, "bob", ends("b", NOW + 20), at(NOW));
    let later = put_by(&store, "cid", entry("c"), at(NOW + 40));
    scripted.seen().await;
    scripted.answer(0).await;
    scripted.answer(1).await;
    scripted.answer(2).await;
    assert_eq!(brief.await.unwrap().unwrap(), Outcome::Written);
    assert_eq!(later.await.unwrap().unwrap(), Outcome::Written);
    assert_eq!(scripted.seen().await[1..], ["write bob", "write cid"]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_expired_by_its_own_time_stays_so_in_a_batch() {
    let (store, scripted) = coalesced(1);
    let _first = put(&store, "ann", "a");
    let ended = put_by(&store, "bob", ends("b", NOW), at(NOW));
    let _other = put_by(&store, "cid", entry("c"), at(NOW + 1));
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "write bob cid");
    scripted.answer(1).await;
    assert_eq!(ended.await.unwrap().unwrap(), Outcome::Expired);
}

#[tokio::test(start_paused = true)]
async fn an_erase_whose_mark_lives_by_its_own_time_is_not_refused_by_anothers() {
    let (store, scripted) = coalesced(1);
    let _first = put(&store, "ann", "a");
    let brief = {
        let (store, call) = (store.clone(), at(NOW));
        let until = UnixMillis::new(NOW + 20).unwrap();
        let erase = Erase::new(subject("bob"), call.now).with_mark_until(until);
        tokio::spawn(async move { store.erase_one(call, erase).await })
    };
    let _other = erase(&store, "cid");
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "erase bob");
    scripted.answer(1).await;
    assert!(!brief.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn no_write_is_judged_by_a_time_that_none_of_its_batch_had() {
    let (store, scripted) = coalesced(1);
    let memory = Immediate::new(scripted.memory().clone());
    memory.put(at(NOW), &subject("bob"), key(), ends("b", NOW + 31)).await.unwrap();
    let _first = put(&store, "ann", "a");
    let insert = {
        let store = store.clone();
        tokio::spawn(async move {
            store.insert(at(NOW), &subject("bob"), EpochCheck::Ignore, key(), entry("new")).await
        })
    };
    let _other = put_by(&store, "cid", entry("c"), at(NOW + 30));
    scripted.seen().await;
    scripted.answer(0).await;
    assert_eq!(scripted.seen().await[1], "write bob cid");
    scripted.answer(1).await;
    assert!(matches!(insert.await.unwrap().unwrap(), Outcome::Kept(_)));
}
