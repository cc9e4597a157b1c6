//! What the server decides: memory, sizes, time, its clock, several of them.

use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Clock as _, Effect, Entry, EpochCheck, Erase, ErrorKind,
    Expiry, Outcome, Read, Subject, SystemClock, Ttl, Value, Write,
};
use stickystore_integration_tests::failing::{MACHINE, OVERRUN};
use stickystore_integration_tests::proxy::Proxy;
use stickystore_integration_tests::server::memcached::Behind;
use stickystore_memcached::{Config, MemcachedStore};

use crate::bench::{call, entry, key, server, store, user};

const GRACE: Duration = Duration::from_secs(1);

fn at(subject: &Subject) -> String {
    MemcachedStore::storage_key(subject)
}

fn lives(time: Duration) -> Entry {
    let expiry = Expiry::after(SystemClock.now(), Ttl::new(time).unwrap()).unwrap();
    Entry::new(Value::string("v"), expiry)
}

fn insert_two(subject: &Subject, filler: &str) -> Write {
    let changes = ["a", "b"].map(|name| Change::Insert(key(name), entry(filler)));
    Write::new(subject.clone(), EpochCheck::Is(None), changes.into()).unwrap()
}

/// Fills the server with users of two entries each; all their answers.
async fn fill(store: &MemcachedStore, subjects: &[Subject]) -> Vec<stickystore_core::Result<Outcome>> {
    let filler = "x".repeat(2_000);
    let mut answers = Vec::new();
    for chunk in subjects.chunks(500) {
        let writes: Vec<_> = chunk.iter().map(|subject| insert_two(subject, &filler)).collect();
        answers.extend(store.write(call(), &writes).await.into_iter().flatten());
    }
    answers
}

async fn sizes(store: &MemcachedStore, subjects: &[Subject]) -> Vec<usize> {
    let reads: Vec<_> = subjects.iter().cloned().map(Read::all).collect();
    store.read(call(), &reads).await.into_iter().map(|profile| profile.unwrap().len()).collect()
}

#[tokio::test]
async fn what_a_full_server_evicts_is_absent_and_the_rest_is_whole() {
    let Some(server) = server(&["-m", "4"]) else { return };
    let store = store(&server.url());
    let subjects: Vec<_> = (0..3_000).map(|i| user(&i.to_string())).collect();
    let answers = fill(&store, &subjects).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Outcome::Inserted))));
    let sizes = sizes(&store, &subjects).await;
    assert!(sizes.iter().all(|size| [0, 2].contains(size)), "users go whole");
    assert!(sizes.contains(&0) && sizes.contains(&2), "some went, some stayed");
}

#[tokio::test]
async fn a_full_server_that_may_not_evict_refuses_and_keeps_what_it_has() {
    let Some(server) = server(&["-m", "2", "-M"]) else { return };
    for url in [server.url(), format!("{}?protocol=binary", server.url())] {
        let store = store(&url);
        let subjects: Vec<_> = (0..1_000).map(|i| user(&i.to_string())).collect();
        let answers = fill(&store, &subjects).await;
        let mut full = 0;
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Full, Effect::NotApplied), "{error}");
            full += 1;
        }
        assert!(full > 0 && answers.iter().any(Result::is_ok), "it became full: {full} refused");
        let before = sizes(&store, &subjects).await;
        assert_eq!(
            2_000 - full,
            before.iter().sum::<usize>(),
            "what was acknowledged stands, and nothing else"
        );
        // A server deletes what `set` and `ms` fail to replace, in every mode; what we write with leaves it.
        for (subject, size) in subjects.iter().zip(&before) {
            let changes =
                vec![Change::Insert(key("a"), entry("later")), Change::Put(key("c"), entry("more"))];
            let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
            let answers = store.write_one(call(), write).await;
            if let [Ok(Outcome::Kept(_)), Err(error)] = answers.as_slice() {
                assert_eq!((*size, error.kind(), error.effect()), (2, ErrorKind::Full, Effect::NotApplied));
            }
        }
        let after = sizes(&store, &subjects).await;
        assert!(after.iter().zip(&before).all(|(after, before)| after >= before), "nobody lost anything");
        // Room for the other protocol.
        server.behind().line("flush_all");
    }
}

#[tokio::test]
async fn an_item_that_the_server_finds_too_large_is_refused_and_the_old_one_stands() {
    // A server whose limit we are wrong about: its own word for it is lost on the way.
    let Some(server) = server(&[]) else { return };
    let port = crate::liar::forgets_its_limit(server.port()).await;
    let store = store(&format!("memcache://127.0.0.1:{port}?max_item=4194304"));
    let subject = user("ann");
    store.put(call(), &subject, key("k"), entry("old")).await.unwrap();
    let large = entry(&"x".repeat(2 << 20));
    let error = store.put(call(), &subject, key("l"), large).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::NotApplied), "{error}");
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 1, "the old one stands");
    store.put(call(), &subject, key("m"), entry("small")).await.unwrap();
}

#[tokio::test]
async fn what_would_not_fit_is_never_sent_and_what_stands_stays() {
    let Some(server) = server(&["-I", "64k", "-o", "slab_chunk_max=32768"]) else { return };
    let (store, subject) = (store(&server.url()), user("ann"));
    let large = "x".repeat(20_000);
    for name in ["a", "b", "c"] {
        store.put(call(), &subject, key(name), entry(&large)).await.unwrap();
    }
    let changes = vec![Change::Put(key("d"), entry(&large)), Change::Put(key("e"), entry("small"))];
    let write = Write::new(subject.clone(), EpochCheck::Is(None), changes).unwrap();
    let answers = store.write_one(call(), write).await;
    let error = answers[0].clone().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::NotApplied), "{error}");
    assert!(error.context().contains("max_item"), "{error}");
    assert_eq!(answers[1].clone().unwrap(), Outcome::Written);
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 4);
    assert_eq!(server.behind().stats()["cmd_set"], "4", "nothing that was refused was sent");
}

#[tokio::test]
async fn the_largest_item_that_is_sent_is_one_that_the_server_takes() {
    let Some(server) = server(&["-I", "2m", "-m", "64"]) else { return };
    let config = Config::from_url(&format!("{}?max_item=2097152", server.url())).unwrap();
    let store = MemcachedStore::new(&config).unwrap();
    let limits = store.info().limits;
    let subject = user(&"u".repeat(300));
    let value = Value::string(&"x".repeat(limits.entry_bytes - 2));
    let largest = Entry::new(value, Expiry::Never);
    store.put(call(), &subject, key(&"k".repeat(4_096)), largest.clone()).await.unwrap();
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 1);
    // As much again as there is room for.
    let stands = server.behind().get(&at(&subject)).unwrap().len();
    let head = "k 1 AAECAwQFBgc 0 \"\"\n".len();
    let room = limits.user_bytes.unwrap() - stands - head;
    let answer = store.put(call(), &subject, key("k"), entry(&"x".repeat(room + 1))).await;
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::TooLarge);
    store.put(call(), &subject, key("k"), entry(&"x".repeat(room))).await.unwrap();
    assert_eq!(store.load(call(), &subject).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_server_without_compare_and_swap_is_refused() {
    let Some(server) = server(&["-C"]) else { return };
    let error = store(&server.url()).put(call(), &user("ann"), key("k"), entry("v")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Config, Effect::NotApplied), "{error}");
    assert!(error.context().contains("-C"), "{error}");
}

#[tokio::test]
async fn an_item_stays_as_long_as_the_latest_of_what_it_holds() {
    let Some(server) = server(&[]) else { return };
    let store = MemcachedStore::new(&Config::from_url(&server.url()).unwrap().with_grace(GRACE)).unwrap();
    let mut behind = server.behind();
    let day = Duration::from_secs(86_400);
    for days in [1, 29, 30, 31, 400] {
        let subject = user("ann");
        store.put(call(), &subject, key("long"), lives(days * day)).await.unwrap();
        let lasts = |behind: &mut Behind| {
            let seconds = behind.lasts(&at(&subject)).unwrap();
            let wanted = i64::from(days) * 86_400;
            assert!((wanted..wanted + 5).contains(&seconds), "{days} days: {seconds} s");
        };
        lasts(&mut behind);
        store.put(call(), &subject, key("short"), lives(Duration::from_millis(1))).await.unwrap();
        lasts(&mut behind);
    }
    let subject = user("ann");
    store.put(call(), &subject, key("k"), entry("endless")).await.unwrap();
    store.put(call(), &subject, key("short"), lives(Duration::from_millis(500))).await.unwrap();
    assert_eq!(behind.lasts(&at(&subject)), Some(-1));
    store.erase_one(call(), Erase::new(subject.clone(), SystemClock.now())).await.unwrap();
    let mark = behind.lasts(&at(&subject)).unwrap();
    assert!((900..905).contains(&mark), "an erased user lasts as long as its mark: {mark} s");
}

#[tokio::test]
async fn what_has_ended_goes_by_itself_and_half_a_second_is_neither_shorter_nor_endless() {
    let Some(server) = server(&[]) else { return };
    let store = MemcachedStore::new(&Config::from_url(&server.url()).unwrap().with_grace(GRACE)).unwrap();
    let (subject, lasting, mut behind) = (user("ann"), user("bob"), server.behind());
    store.put(call(), &subject, key("k"), lives(Duration::from_millis(500))).await.unwrap();
    store.put(call(), &lasting, key("long"), lives(Duration::from_secs(60))).await.unwrap();
    store.put(call(), &lasting, key("short"), lives(Duration::from_millis(500))).await.unwrap();
    let began = Instant::now();
    while behind.lasts(&at(&subject)).is_some() {
        assert!(began.elapsed() < Duration::from_secs(10), "what ended is swept");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(began.elapsed() >= Duration::from_millis(1_400), "not before its grace: {:?}", began.elapsed());
    let profile = store.load(call(), &lasting).await.unwrap();
    assert_eq!((profile.len(), profile.get("long").is_some()), (1, true));
    let bytes = behind.get(&at(&lasting)).unwrap().len();
    store.put(call(), &lasting, key("later"), lives(Duration::from_secs(60))).await.unwrap();
    assert!(!String::from_utf8(behind.get(&at(&lasting)).unwrap()).unwrap().contains("short"), "{bytes}");
}

#[tokio::test]
async fn an_emptied_user_leaves_nothing_for_long() {
    let Some(server) = server(&[]) else { return };
    let store = MemcachedStore::new(&Config::from_url(&server.url()).unwrap().with_grace(GRACE)).unwrap();
    let (subject, mut behind) = (user("ann"), server.behind());
    store.put(call(), &subject, key("k"), entry("endless")).await.unwrap();
    assert_eq!(store.remove(call(), &subject, key("k")).await.unwrap(), Outcome::Removed);
    assert!(behind.lasts(&at(&subject)).is_some_and(|seconds| (0..=3).contains(&seconds)));
}

#[tokio::test]
async fn users_are_shared_out_over_servers_and_a_lost_one_takes_only_its_own() {
    let (Some(first), Some(mut second), Some(third)) = (server(&[]), server(&[]), server(&[])) else {
        return;
    };
    let ports = [first.port(), second.port(), third.port()].map(|port| format!("127.0.0.1:{port}"));
    let store = store(&format!("memcache://{}", ports.join(",")));
    let reversed = self::store(&format!("memcache://{},{},{}", ports[2], ports[1], ports[0]));
    let subjects: Vec<_> = (0..300).map(|i| user(&i.to_string())).collect();
    let writes: Vec<_> = subjects.iter().map(|subject| insert_two(subject, "v")).collect();
    for answer in store.write(call(), &writes).await.into_iter().flatten() {
        assert_eq!(answer.unwrap(), Outcome::Inserted);
    }
    assert_eq!(sizes(&reversed, &subjects).await, [2; 300], "the order of the list does not matter");
    for (server, port) in [&first, &second, &third].into_iter().zip(&ports) {
        let kept = subjects.iter().filter(|subject| store.server_of(subject) == port).count();
        assert_eq!(server.behind().stats()["curr_items"], kept.to_string());
        assert!(kept > 50, "each has its share: {kept}");
    }
    second.kill();
    let reads: Vec<_> = subjects.iter().cloned().map(Read::all).collect();
    for (subject, profile) in subjects.iter().zip(store.read(call(), &reads).await) {
        match profile {
            Ok(profile) => assert_eq!(profile.len(), 2),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "a lost server is not an absent user");
                assert_eq!(store.server_of(subject), ports[1]);
            }
        }
    }
    assert_eq!(store.ping(call()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    second.start_again();
    let sizes = sizes(&store, &subjects).await;
    for (subject, size) in subjects.iter().zip(sizes) {
        assert_eq!(size, if store.server_of(subject) == ports[1] { 0 } else { 2 });
    }
}

#[tokio::test]
async fn a_number_of_an_item_from_before_a_restart_replaces_nothing_after_it() {
    // The server's numbers begin anew when it restarts: the writer's old one soon names another item.
    let Some(mut server) = server(&[]) else { return };
    let proxy = Proxy::start(server.port()).await;
    let writer = crate::bench::through(proxy.port());
    let subject = user("ann");
    writer.put(call(), &subject, key("old"), entry("v")).await.unwrap();
    for _ in 0..3 {
        server.kill();
        server.start_again();
        let direct = store(&server.url());
        direct.put(call(), &subject, key("new"), entry("v")).await.unwrap();
        writer.put(call(), &subject, key("old"), entry("v")).await.unwrap();
        let profile = direct.load(call(), &subject).await.unwrap();
        assert_eq!(profile.len(), 2, "what was written after the restart stands");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_writers_of_one_user_all_succeed() {
    let Some(server) = server(&[]) else { return };
    let subject = user("ann");
    // A handle each: nothing in the process puts them in order.
    let writers = (0..64).map(|i| {
        let (store, subject) = (store(&server.url()), subject.clone());
        tokio::spawn(async move {
            for turn in 0..5 {
                let name = key(&format!("{i} {turn}"));
                let answer = store.insert(call(), &subject, EpochCheck::Is(None), name, entry("v")).await;
                assert_eq!(answer.unwrap(), Outcome::Inserted);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(store(&server.url()).load(call(), &subject).await.unwrap().len(), 320);
}

#[tokio::test]
async fn a_writer_that_loses_tries_again_and_applied_nothing_when_its_time_is_over() {
    const CONFLICTS: usize = 8;
    let (port, writes) = crate::liar::faster_so_often(CONFLICTS).await;
    let (store, began) = (crate::bench::through(port), Instant::now());
    let answer = store.put(crate::bench::within(5_000), &user("ann"), key("k"), entry("v")).await;
    let error = answer.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied), "{error}");
    assert_eq!(writes.load(std::sync::atomic::Ordering::SeqCst), CONFLICTS);
    let took = began.elapsed();
    let deadline = Duration::from_millis(5_000);
    assert!((deadline..deadline + OVERRUN + MACHINE).contains(&took), "{took:?}");
}
