//! An assignment is stored per (namespace, user, key), and nothing else moves.
//!
//! What each change answers is in `table`; here is what holds over several calls.

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _};
use stickystore_core::{Change, EpochCheck, Expiry, Outcome, Profile, Read, Subject, Value, Was};

use crate::act::{anew, change, get, load, put, put_all, some_at};
use crate::context::{CaseResult, Context, Skip, entry, key};
use crate::scene::{LONG, full};
use crate::seen::{assert_answer, assert_entry, assert_profile, assert_view, profile_view};

pub(crate) async fn absent_user_is_an_empty_profile(cx: Context) -> CaseResult {
    let user = cx.user("nobody");
    assert_eq!(load(&cx, &user).await, Profile::default());
    assert_eq!(some_at(&cx, 0, &user, &["a", "b"]).await, Profile::default());
    assert_entry(get(&cx, &user, "a").await.as_ref(), None, "an absent user has no entry");
    Ok(())
}

pub(crate) async fn reading_makes_nothing(cx: Context) -> CaseResult {
    let user = cx.user("nobody");
    for _ in 0..2 {
        assert_eq!(load(&cx, &user).await, Profile::default());
    }
    let stood = cx.store().erase_one(cx.call(), cx.erase(&user, LONG)).await.unwrap();
    assert!(!stood, "a user who was only read has nothing to erase");
    Ok(())
}

pub(crate) async fn user_without_entries_is_as_if_absent(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let (red, blue) = (entry("red"), entry("blue"));
    put_all(&cx, &user, &[("a", red), ("b", blue.clone())]).await;
    assert_eq!(change(&cx, &user, Change::Remove(key("a"))).await, Outcome::Removed);
    assert_eq!(change(&cx, &user, Change::RemoveIf(key("b"), blue.revision)).await, Outcome::Removed);
    assert_eq!(load(&cx, &user).await, Profile::default());
    let stood = cx.store().erase_one(cx.call(), cx.erase(&user, LONG)).await.unwrap();
    assert!(!stood, "nothing of the removed entries is left to erase");
    Ok(())
}

pub(crate) async fn entries_are_independent(cx: Context) -> CaseResult {
    // Four entries each for three users, who differ and agree in every part.
    let elsewhere = Subject::new(cx.other_namespace(), cx.user("ann").user);
    let users = [cx.user("ann"), cx.user("bob"), elsewhere];
    let keys = ["a", "ab", "b", "c"];
    for user in &users {
        put_all(&cx, user, &keys.map(|at| (at, full(&cx, at)))).await;
    }
    let view = async || {
        let reads: Vec<_> = users.iter().cloned().map(Read::all).collect();
        cx.store().read(cx.call(), &reads).await.iter().map(profile_view).collect::<Vec<_>>()
    };
    let mut wanted = view().await;
    let (new, newer, newest) = (entry("new"), full(&cx, "newer"), entry("newest"));
    let made = [
        (Change::Put(key("a"), new.clone()), Outcome::Written, Some(&new)),
        (Change::Replace(key("a"), new.revision, newer.clone()), Outcome::Replaced, Some(&newer)),
        (Change::RemoveIf(key("a"), newer.revision), Outcome::Removed, None),
        (Change::Insert(key("a"), newest.clone()), Outcome::Inserted, Some(&newest)),
        (Change::Remove(key("a")), Outcome::Removed, None),
    ];
    for (made, outcome, left) in made {
        let what = format!("{made:?}");
        assert_eq!(change(&cx, &users[0], made).await, outcome, "{what}");
        match left {
            Some(entry) => wanted[0].insert("a".to_owned(), crate::seen::entry_text(entry)),
            None => wanted[0].remove("a"),
        };
        for (found, wanted) in view().await.iter().zip(&wanted) {
            assert_view(found, wanted, &what);
        }
    }
    cx.store().erase_one(cx.call(), cx.erase(&users[0], LONG)).await.unwrap();
    for (found, wanted) in view().await.iter().zip(&wanted).skip(1) {
        assert_view(found, wanted, "erasing one user");
    }
    Ok(())
}

pub(crate) async fn load_returns_exactly_what_was_written(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let mut odd = full(&cx, "r\u{e9}d \"quoted\"\n");
    odd.expiry = Expiry::At(cx.time(LONG + 1));
    let written = [("bare", entry("red")), ("full", full(&cx, "blue")), ("odd", odd)];
    put_all(&cx, &user, &written).await;
    assert_profile(&load(&cx, &user).await, &written, "load");
    Ok(())
}

pub(crate) async fn every_way_of_writing_stores_the_same(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let (old, new) = (entry("old"), full(&cx, "new"));
    put(&cx, &user, "replaced", &old).await;
    put(&cx, &user, "put", &old).await;
    change(&cx, &user, Change::Replace(key("replaced"), old.revision, new.clone())).await;
    change(&cx, &user, Change::Put(key("put"), new.clone())).await;
    change(&cx, &user, Change::Insert(key("inserted"), new.clone())).await;
    let wanted = ["replaced", "put", "inserted"].map(|at| (at, new.clone()));
    assert_profile(
        &load(&cx, &user).await,
        &wanted,
        "an entry is stored as it is, whatever change brought it",
    );
    Ok(())
}

pub(crate) async fn get_load_and_read_agree(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let written = [("a", full(&cx, "1")), ("ab", entry("2")), ("b", full(&cx, "3"))];
    put_all(&cx, &user, &written).await;
    assert_profile(&load(&cx, &user).await, &written, "load");
    for (at, entry) in &written {
        assert_entry(get(&cx, &user, at).await.as_ref(), Some(entry), "get");
    }
    let some = some_at(&cx, 0, &user, &["a", "ab", "b"]).await;
    assert_profile(&some, &written, "a read of all its keys");
    let batch = [Read::all(user.clone()), Read::all(user.clone())];
    for profile in cx.store().read(cx.call(), &batch).await {
        assert_profile(&profile.unwrap(), &written, "a read in a batch");
    }
    Ok(())
}

pub(crate) async fn read_of_some_keys_gives_only_those(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let (one, two) = (full(&cx, "1"), entry("2"));
    put_all(&cx, &user, &[("a", one.clone()), ("ab", two), ("b", entry("3"))]).await;
    let some = some_at(&cx, 0, &user, &["absent", "a", "a"]).await;
    assert_profile(&some, &[("a", one)], "a named twice, and one that is absent");
    assert_profile(&some_at(&cx, 0, &user, &["absent"]).await, &[], "one that is absent");
    assert_entry(get(&cx, &user, "absent").await.as_ref(), None, "get of one that is absent");
    Ok(())
}

pub(crate) async fn read_of_no_keys_gives_none(cx: Context) -> CaseResult {
    let user = cx.user("user");
    put(&cx, &user, "a", &entry("red")).await;
    assert_profile(&some_at(&cx, 0, &user, &[]).await, &[], "no keys are not all keys");
    Ok(())
}

pub(crate) async fn read_of_some_keys_gives_the_epoch(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let erase = cx.erase(&user, LONG);
    cx.store().erase_one(cx.call(), erase.clone()).await.unwrap();
    put(&cx, &user, "a", &entry("red")).await;
    for keys in [&["a"][..], &["absent"], &[]] {
        let epoch = some_at(&cx, 0, &user, keys).await.epoch();
        assert_eq!(epoch, Some(erase.epoch), "a write that follows from a read of {keys:?} needs it");
    }
    Ok(())
}

pub(crate) async fn put_is_seen_by_every_read_at_once(cx: Context) -> CaseResult {
    let user = cx.user("user");
    for round in 0..5 {
        let new = entry(&round.to_string());
        put(&cx, &user, "a", &new).await;
        assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&new), "get");
        assert_profile(&load(&cx, &user).await, &[("a", new)], "load");
    }
    Ok(())
}

pub(crate) async fn retried_insert_answers_inserted(cx: Context) -> CaseResult {
    // Its first answer was lost; meanwhile others wrote other keys and tried this one.
    let user = cx.user("user");
    let (red, blue) = (entry("red"), entry("blue"));
    assert_eq!(change(&cx, &user, Change::Insert(key("a"), red.clone())).await, Outcome::Inserted);
    assert_eq!(change(&cx, &user, Change::Insert(key("b"), blue.clone())).await, Outcome::Inserted);
    assert_answer(
        &Ok(change(&cx, &user, Change::Insert(key("a"), blue.clone())).await),
        &Outcome::Kept(red.clone()),
        "another insert",
    );
    assert_eq!(change(&cx, &user, Change::Insert(key("a"), red.clone())).await, Outcome::Inserted);
    assert_profile(&load(&cx, &user).await, &[("a", red), ("b", blue)], "after the retry");
    Ok(())
}

pub(crate) async fn removed_entry_can_be_inserted_again(cx: Context) -> CaseResult {
    let user = cx.user("user");
    for value in ["red", "red", "blue"] {
        let new = entry(value);
        assert_eq!(change(&cx, &user, Change::Insert(key("a"), new.clone())).await, Outcome::Inserted);
        assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&new), "what was inserted");
        assert_eq!(change(&cx, &user, Change::Remove(key("a"))).await, Outcome::Removed);
        assert_eq!(change(&cx, &user, Change::Remove(key("a"))).await, Outcome::WasAbsent);
    }
    Ok(())
}

pub(crate) async fn insert_after_erase_inserts(cx: Context) -> CaseResult {
    let user = cx.user("user");
    put_all(&cx, &user, &[("a", entry("red")), ("b", entry("red"))]).await;
    let stood = cx.store().erase_one(cx.call(), cx.erase(&user, LONG)).await.unwrap();
    assert!(stood, "an erase says that there was something");
    let read = load(&cx, &user).await;
    assert_eq!(read.len(), 0, "an erase removes everything");
    let blue = entry("blue");
    let check = EpochCheck::Is(read.epoch());
    let answer = cx.store().insert(cx.call(), &user, check, key("a"), blue.clone()).await;
    assert_answer(&answer, &Outcome::Inserted, "an insert under the epoch that was read");
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&blue), "what was inserted");
    assert_entry(get(&cx, &user, "b").await.as_ref(), None, "what was erased");
    Ok(())
}

pub(crate) async fn replace_notices_equal_value_written_anew(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let read = full(&cx, "red");
    let replace = |at: &str| Change::Replace(key(at), read.revision, entry("blue"));

    put_all(&cx, &user, &[("put", read.clone()), ("recreated", read.clone()), ("back", read.clone())]).await;
    let again = anew(&read, read.expiry).with_was(read.was.clone()).with_unknown(read.unknown.clone());
    put(&cx, &user, "put", &again).await;
    let kept = Outcome::Kept(again.clone());
    assert_answer(&Ok(change(&cx, &user, replace("put")).await), &kept, "after a put of the equal value");

    change(&cx, &user, Change::Remove(key("recreated"))).await;
    change(&cx, &user, Change::Insert(key("recreated"), again.clone())).await;
    let answer = Ok(change(&cx, &user, replace("recreated")).await);
    assert_answer(&answer, &kept, "after a remove and an insert of the equal value");

    let between = entry("between");
    change(&cx, &user, Change::Replace(key("back"), read.revision, between.clone())).await;
    change(&cx, &user, Change::Replace(key("back"), between.revision, again.clone())).await;
    let answer = Ok(change(&cx, &user, replace("back")).await);
    assert_answer(&answer, &kept, "after a replace by another value and one back");

    let wanted = ["put", "recreated", "back"].map(|at| (at, again.clone()));
    assert_profile(&load(&cx, &user).await, &wanted, "nothing was replaced");
    Ok(())
}

pub(crate) async fn remove_if_notices_equal_value_written_anew(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let read = entry("red");
    put(&cx, &user, "a", &read).await;
    change(&cx, &user, Change::Remove(key("a"))).await;
    let again = anew(&read, read.expiry);
    change(&cx, &user, Change::Insert(key("a"), again.clone())).await;
    let answer = Ok(change(&cx, &user, Change::RemoveIf(key("a"), read.revision)).await);
    assert_answer(&answer, &Outcome::Kept(again.clone()), "the entry was made anew");
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&again), "it stays");
    Ok(())
}

pub(crate) async fn late_duplicate_replace_undoes_nothing(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let (red, blue) = (entry("red"), entry("blue"));
    put(&cx, &user, "a", &red).await;
    let first = Change::Replace(key("a"), red.revision, blue.clone());
    assert_eq!(change(&cx, &user, first.clone()).await, Outcome::Replaced);
    // What came between, and even that red stands again.
    let between = entry("between");
    change(&cx, &user, Change::Replace(key("a"), blue.revision, between.clone())).await;
    let answer = Ok(change(&cx, &user, first.clone()).await);
    assert_answer(&answer, &Outcome::Kept(between.clone()), "the duplicate comes late");
    let red_again = anew(&red, red.expiry);
    change(&cx, &user, Change::Replace(key("a"), between.revision, red_again.clone())).await;
    let answer = Ok(change(&cx, &user, first.clone()).await);
    assert_answer(&answer, &Outcome::Kept(red_again.clone()), "the duplicate comes later still");
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&red_again), "what came between stays");
    change(&cx, &user, Change::Remove(key("a"))).await;
    assert_eq!(change(&cx, &user, first).await, Outcome::Gone, "a removed entry does not come back");
    assert_eq!(load(&cx, &user).await, Profile::default());
    Ok(())
}

pub(crate) async fn late_duplicate_remove_if_removes_nothing_newer(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let (red, blue) = (entry("red"), entry("blue"));
    put(&cx, &user, "a", &red).await;
    let first = Change::RemoveIf(key("a"), red.revision);
    assert_eq!(change(&cx, &user, first.clone()).await, Outcome::Removed);
    change(&cx, &user, Change::Insert(key("a"), blue.clone())).await;
    let answer = Ok(change(&cx, &user, first).await);
    assert_answer(&answer, &Outcome::Kept(blue.clone()), "the duplicate comes late");
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&blue), "what is newer stays");
    Ok(())
}

pub(crate) async fn values_are_owned(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let written = full(&cx, "red");
    let mut callers = written.clone();
    let mut change = [Change::Put(key("a"), callers.clone())];
    let write = stickystore_core::Write::new(user.clone(), EpochCheck::Ignore, change.to_vec()).unwrap();
    cx.store().write_one(cx.call(), write).await.remove(0).unwrap();
    change[0] = Change::Remove(key("a"));
    callers.value = Value::string("changed");
    let mut returned = get(&cx, &user, "a").await.unwrap();
    returned.value = callers.value.clone();
    returned.was = Was::default();
    returned.expiry = Expiry::Never;
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&written), "copies are the caller's own");
    assert_eq!(cx.value(&user, &key("a")).await.as_deref(), Some("\"red\""));
    Ok(())
}

pub(crate) async fn clone_shares_state(cx: Context) -> CaseResult {
    sees_the_same(&cx, cx.clone_of_store()).await;
    Ok(())
}

pub(crate) async fn two_handles_see_each_other_at_once(cx: Context) -> CaseResult {
    let second = cx.second_handle().await?;
    if let Some(behind) = cx.info().reads_behind {
        let reason = format!("declared: a read may be {behind:?} behind what another handle wrote");
        return Err(Skip::because(reason));
    }
    sees_the_same(&cx, &second).await;
    Ok(())
}

/// What either handle does is seen by the other in the next call, in turns.
async fn sees_the_same(cx: &Context, second: &crate::probe::Probe) {
    let user = cx.user("user");
    let at = key("a");
    let handles = [cx.store(), second];
    for turn in 0..4 {
        let (one, other) = (handles[turn % 2], handles[(turn + 1) % 2]);
        let (new, newer) = (entry("new"), full(cx, "newer"));
        let answer = one.insert(cx.call(), &user, EpochCheck::Is(None), at.clone(), new.clone()).await;
        assert_answer(&answer, &Outcome::Inserted, "an insert through one");
        let answer = other.insert(cx.call(), &user, EpochCheck::Is(None), at.clone(), entry("lost")).await;
        assert_answer(&answer, &Outcome::Kept(new.clone()), "an insert through the other");
        let answer = other.replace(cx.call(), &user, at.clone(), new.revision, newer.clone()).await;
        assert_answer(&answer, &Outcome::Replaced, "a replace through the other");
        let seen = one.get(cx.call(), &user, &at).await.unwrap();
        assert_entry(seen.as_ref(), Some(&newer), "a get through the one");
        assert_profile(&one.load(cx.call(), &user).await.unwrap(), &[("a", newer)], "a load through the one");
        assert_eq!(one.remove(cx.call(), &user, at.clone()).await.unwrap(), Outcome::Removed);
        assert_eq!(other.load(cx.call(), &user).await.unwrap(), Profile::default());
    }
}

pub(crate) async fn debug_shows_nothing_stored(cx: Context) -> CaseResult {
    let user = cx.user("user-of-nobodys-business");
    put(&cx, &user, "key-of-nobodys-business", &entry("value-of-nobodys-business")).await;
    let _ = load(&cx, &user).await;
    let shown = format!("{:?} {:#?}", cx.store(), cx.clone_of_store());
    assert!(!shown.contains("nobodys"), "a store's Debug tells of nobody: {shown}");
    Ok(())
}
