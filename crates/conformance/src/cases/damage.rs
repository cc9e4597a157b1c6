//! What cannot be read is neither absent nor overwritten unasked: damaged entries, and foreign data in the place of
//! a user.
//!
//! Single changes that meet a damaged entry are cells of `table`; here is what holds around them.

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _};
use stickystore_core::{
    Change, Effect, Entry, EpochCheck, ErrorKind, Keys, Outcome, Profile, Read, Result, Revision, Subject,
    Write,
};

use crate::act::{change, get, load, put_all, some_at};
use crate::context::{CaseResult, Context, Skip, entry, key};
use crate::scene::{LONG, every_change, full};
use crate::seen::{answer_text, assert_answer, assert_entry, assert_profile};

/// What stands around the damaged entry of these cases.
const AROUND: [&str; 3] = ["a", "damaged2", "z"];

pub(crate) async fn damaged_entry_is_reported_beside_the_others(cx: Context) -> CaseResult {
    let (user, around) = damaged(&cx).await?;
    assert_stands(&cx, &user, &around, "load").await;
    let profile = some_at(&cx, 0, &user, &["damaged"]).await;
    assert_eq!((profile.len(), damaged_keys(&profile)), (0, vec!["damaged"]), "a read of it alone");
    let profile = some_at(&cx, 0, &user, &["a", "z"]).await;
    assert_profile(&profile, &[around[0].clone(), around[2].clone()], "a read of others alone");
    let profile = some_at(&cx, 0, &user, &["damaged", "a"]).await;
    assert_entry(profile.get("a"), Some(&around[0].1), "a read of it and another");
    assert_eq!((profile.len(), damaged_keys(&profile)), (1, vec!["damaged"]), "a read of it and another");
    Ok(())
}

pub(crate) async fn get_of_a_damaged_entry_is_corrupt(cx: Context) -> CaseResult {
    let (user, around) = damaged(&cx).await?;
    let error = cx.store().get(cx.call(), &user, &key("damaged")).await;
    let error = error.expect_err("a damaged entry is neither absent nor an entry");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&around[0].1), "the others are there");
    assert_entry(get(&cx, &user, "absent").await.as_ref(), None, "what is absent is absent");
    Ok(())
}

pub(crate) async fn user_of_a_damaged_entry_is_not_absent(cx: Context) -> CaseResult {
    let user = cx.user("user");
    cx.plant()?.damaged_entry(&user, &key("damaged")).await;
    let profile = load(&cx, &user).await;
    assert!(!profile.is_empty(), "a damaged entry stands there");
    assert_eq!((profile.len(), damaged_keys(&profile)), (0, vec!["damaged"]));
    Ok(())
}

pub(crate) async fn insert_replace_and_remove_if_leave_it(cx: Context) -> CaseResult {
    let (user, around) = damaged(&cx).await?;
    for round in ["first", "second"] {
        let changes = [
            Change::Insert(key("damaged"), entry("new")),
            Change::Replace(key("damaged"), Revision::random(), entry("new")),
            Change::RemoveIf(key("damaged"), Revision::random()),
        ];
        for made in changes {
            let what = format!("{made:?}, the {round} time");
            let answer = cx.store().change(cx.call(), &user, EpochCheck::Is(None), made).await;
            assert_corrupt(&answer, &what);
            assert_stands(&cx, &user, &around, &what).await;
        }
    }
    Ok(())
}

pub(crate) async fn put_and_remove_mend_it(cx: Context) -> CaseResult {
    let (user, around) = damaged(&cx).await?;
    let new = full(&cx, "new");
    assert_eq!(change(&cx, &user, Change::Put(key("damaged"), new.clone())).await, Outcome::Written);
    let all: Vec<_> = around.iter().cloned().chain([("damaged", new.clone())]).collect();
    assert_profile(&load(&cx, &user).await, &all, "after a put over it");
    let newer = entry("newer");
    let replace = Change::Replace(key("damaged"), new.revision, newer);
    assert_eq!(change(&cx, &user, replace).await, Outcome::Replaced, "it is an entry like others");

    cx.plant()?.damaged_entry(&user, &key("damaged")).await;
    assert_stands(&cx, &user, &around, "damaged again").await;
    assert_eq!(change(&cx, &user, Change::Remove(key("damaged"))).await, Outcome::Removed);
    assert_profile(&load(&cx, &user).await, &around, "after its removal");
    let insert = Change::Insert(key("damaged"), new);
    assert_eq!(change(&cx, &user, insert).await, Outcome::Inserted, "its place is free");
    Ok(())
}

pub(crate) async fn changes_of_others_leave_it(cx: Context) -> CaseResult {
    let (user, mut around) = damaged(&cx).await?;
    let (new, newer) = (full(&cx, "new"), entry("newer"));
    let changes = [
        Change::Put(key("a"), new.clone()),
        Change::Replace(key("a"), new.revision, newer.clone()),
        Change::Insert(key("b"), new.clone()),
        Change::Remove(key("b")),
        Change::RemoveIf(key("z"), around[2].1.revision),
        Change::Insert(key("z"), around[2].1.clone()),
    ];
    for made in changes {
        let what = format!("{made:?}");
        assert!(change(&cx, &user, made).await.is_applied(), "{what}");
        assert_eq!(damaged_keys(&load(&cx, &user).await), ["damaged"], "{what} does not name it");
    }
    around[0].1 = newer;
    assert_stands(&cx, &user, &around, "after changes of others").await;
    Ok(())
}

pub(crate) async fn changes_beside_a_refused_one_are_made(cx: Context) -> CaseResult {
    let (user, mut around) = damaged(&cx).await?;
    let new = full(&cx, "new");
    let changes = vec![
        Change::Put(key("a"), new.clone()),
        Change::Insert(key("damaged"), new.clone()),
        Change::Put(key("z"), new.clone()),
    ];
    let write = Write::new(user.clone(), EpochCheck::Is(None), changes).unwrap();
    let answers = cx.store().write_one(cx.call(), write).await;
    assert_answer(&answers[0], &Outcome::Written, "before it");
    assert_corrupt(&answers[1], "an insert over it");
    assert_answer(&answers[2], &Outcome::Written, "after it");
    (around[0].1, around[2].1) = (new.clone(), new);
    assert_stands(&cx, &user, &around, "after the write").await;
    Ok(())
}

pub(crate) async fn damaged_entry_ends_by_no_clock(cx: Context) -> CaseResult {
    // What cannot be read has no end that could be known: it stays while all around it end.
    let user = cx.user("user");
    let plant = cx.plant()?;
    put_all(&cx, &user, &[("a", cx.until("short", LONG)), ("endless", entry("endless"))]).await;
    plant.damaged_entry(&user, &key("damaged")).await;
    let later = cx.store().load(cx.at(1_000 * LONG), &user).await.unwrap();
    assert_eq!((later.len(), damaged_keys(&later)), (1, vec!["damaged"]));
    Ok(())
}

pub(crate) async fn erase_counts_damaged_entries_as_there(cx: Context) -> CaseResult {
    let user = cx.user("user");
    cx.plant()?.damaged_entry(&user, &key("damaged")).await;
    let erase = cx.erase(&user, LONG);
    let stood = cx.store().erase_one(cx.call(), erase.clone()).await.unwrap();
    assert!(stood, "a damaged entry stood");
    let profile = load(&cx, &user).await;
    assert!(profile.is_empty(), "it was erased");
    assert_eq!(profile.epoch(), Some(erase.epoch), "the mark is there");
    let insert = Change::Insert(key("damaged"), entry("new"));
    assert_eq!(change(&cx, &user, insert).await, Outcome::Inserted, "its place is free");
    Ok(())
}

pub(crate) async fn scan_reports_what_is_damaged_or_foreign(cx: Context) -> CaseResult {
    let plant = cx.plant()?;
    let Some(scan) = cx.store().scan() else {
        return Err(Skip::because("declared: the store cannot scan"));
    };
    put_all(&cx, &cx.user("whole"), &[("a", entry("red"))]).await;
    plant.damaged_entry(&cx.user("damaged"), &key("damaged")).await;
    plant.foreign_user(&cx.user("foreign")).await;
    let (mut users, mut foreign, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = scan.scan_page(cx.call(), cx.namespace(), cursor.as_ref(), 10).await.unwrap();
        users.extend(page.users.iter().map(|(id, profile)| (id.to_string(), profile.damaged().len())));
        foreign += page.foreign;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    users.sort();
    assert_eq!(users, [("damaged".to_owned(), 1), ("whole".to_owned(), 0)]);
    assert_eq!(foreign, 1, "foreign data is counted");
    Ok(())
}

pub(crate) async fn foreign_user_is_corrupt(cx: Context) -> CaseResult {
    let user = foreign(&cx).await?;
    let keys = Keys::only([key("a")]).unwrap();
    let reads = [Read::all(user.clone()), Read::some(user.clone(), keys), Read::all(cx.user("beside"))];
    for _ in 0..2 {
        let answers = cx.store().read(cx.call(), &reads).await;
        for answer in &answers[..2] {
            let error = answer.as_ref().expect_err("foreign data is never absent");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
        assert_eq!(answers[2].as_ref().unwrap().len(), 1, "another user in the same call is read");
        let error = cx.store().get(cx.call(), &user, &key("a")).await.expect_err("get of a foreign user");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    Ok(())
}

pub(crate) async fn foreign_user_refuses_every_change(cx: Context) -> CaseResult {
    let user = foreign(&cx).await?;
    for check in [EpochCheck::Ignore, EpochCheck::Is(None)] {
        for made in every_change(Revision::random(), &entry("new")) {
            let what = format!("{made:?}");
            let answer = cx.store().change(cx.call(), &user, check, made).await;
            assert_corrupt(&answer, &what);
            assert_foreign(&cx, &user, &what).await;
        }
    }
    let beside = load(&cx, &cx.user("beside")).await;
    assert_eq!(beside.len(), 1, "another user stays");
    Ok(())
}

pub(crate) async fn foreign_user_refuses_each_change_of_a_write(cx: Context) -> CaseResult {
    let user = foreign(&cx).await?;
    let changes = vec![
        Change::Put(key("a"), entry("new")),
        Change::Put(key("late"), cx.until("late", 0)),
        Change::Remove(key("b")),
    ];
    let write = |user: &Subject| Write::new(user.clone(), EpochCheck::Ignore, changes.clone()).unwrap();
    let answers = cx.store().write(cx.call(), &[write(&user), write(&cx.user("beside"))]).await;
    assert_corrupt(&answers[0][0], "a put");
    assert_answer(&answers[0][1], &Outcome::Expired, "a put that ended");
    assert_corrupt(&answers[0][2], "a removal");
    let beside: Vec<_> = answers[1].iter().map(answer_text).collect();
    assert_eq!(beside, ["Written", "Expired", "WasAbsent"], "another user in the same call");
    assert_foreign(&cx, &user, "after the write").await;
    Ok(())
}

pub(crate) async fn expired_change_of_a_foreign_user_is_expired(cx: Context) -> CaseResult {
    let user = foreign(&cx).await?;
    let late = cx.until("late", 0);
    for made in every_change(Revision::random(), &late).into_iter().filter(|made| made.entry().is_some()) {
        assert_eq!(change(&cx, &user, made).await, Outcome::Expired);
    }
    assert_foreign(&cx, &user, "after changes that had ended").await;
    Ok(())
}

pub(crate) async fn erase_removes_foreign_data(cx: Context) -> CaseResult {
    let user = foreign(&cx).await?;
    let erase = cx.erase(&user, LONG);
    let stood = cx.store().erase_one(cx.call(), erase.clone()).await.unwrap();
    assert!(stood, "something stood there");
    let profile = load(&cx, &user).await;
    assert!(profile.is_empty(), "it was erased");
    assert_eq!(profile.epoch(), Some(erase.epoch), "the mark is there");

    let (blind, knowing) = (EpochCheck::Is(None), EpochCheck::Is(Some(erase.epoch)));
    let red = full(&cx, "red");
    let answer = cx.store().insert(cx.call(), &user, blind, key("a"), red.clone()).await;
    assert_answer(&answer, &Outcome::Erased, "the mark holds");
    let answer = cx.store().insert(cx.call(), &user, knowing, key("a"), red.clone()).await;
    assert_answer(&answer, &Outcome::Inserted, "the user works again");
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&red), "what was inserted");

    let again = cx.store().erase_one(cx.call(), erase).await.unwrap();
    assert!(again, "a retry finds its own epoch");
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&red), "a retry removes nothing newer");
    let beside = load(&cx, &cx.user("beside")).await;
    assert_eq!(beside.len(), 1, "another user stays");
    Ok(())
}

pub(crate) async fn foreign_data_in_the_place_of_entries_is_corrupt(cx: Context) -> CaseResult {
    // Another program took the place of a user who had entries.
    let plant = cx.plant()?;
    let user = cx.user("user");
    put_all(&cx, &user, &[("a", entry("red")), ("b", entry("blue"))]).await;
    plant.foreign_user(&user).await;
    assert_foreign(&cx, &user, "after the entries were taken").await;
    let stood = cx.store().erase_one(cx.call(), cx.erase(&user, LONG)).await.unwrap();
    assert!(stood, "something stood there");
    assert!(load(&cx, &user).await.is_empty(), "neither the foreign data nor the entries are left");
    Ok(())
}

/// A user with a damaged entry, and the entries around it.
async fn damaged(cx: &Context) -> Result<(Subject, Vec<(&'static str, Entry)>), Skip> {
    let plant = cx.plant()?;
    let user = cx.user("user");
    let around = AROUND.map(|at| (at, full(cx, at)));
    put_all(cx, &user, &around).await;
    plant.damaged_entry(&user, &key("damaged")).await;
    Ok((user, around.to_vec()))
}

/// A user whose place foreign data has taken, and another one beside.
async fn foreign(cx: &Context) -> Result<Subject, Skip> {
    let plant = cx.plant()?;
    let user = cx.user("user");
    put_all(cx, &cx.user("beside"), &[("stays", entry("stays"))]).await;
    plant.foreign_user(&user).await;
    Ok(user)
}

/// Asserts that the damaged entry stands and that exactly these stand around it.
async fn assert_stands(cx: &Context, user: &Subject, around: &[(&str, Entry)], what: &str) {
    let profile = load(cx, user).await;
    assert_eq!(damaged_keys(&profile), ["damaged"], "the damaged entry: {what}");
    let whole = Profile::new(profile.epoch(), profile, Vec::new(), cx.start());
    assert_profile(&whole, around, what);
}

/// Asserts that what stands in the user's place is still not ours.
async fn assert_foreign(cx: &Context, user: &Subject, what: &str) {
    let error = cx.store().load(cx.call(), user).await.expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
}

fn assert_corrupt(answer: &Result<Outcome>, what: &str) {
    let wanted = format!("{:?}, {:?}", ErrorKind::Corrupt, Effect::NotApplied);
    assert_eq!(answer_text(answer), wanted, "{what}");
}

fn damaged_keys(profile: &Profile) -> Vec<&str> {
    profile.damaged().iter().map(|damaged| damaged.key.as_str()).collect()
}
