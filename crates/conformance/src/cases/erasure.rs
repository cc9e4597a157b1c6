//! What is erased stays erased: the mark, who it refuses, and how it ends.

use futures::FutureExt as _;
use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Effect, Entry, Epoch, EpochCheck, Erase, ErrorKind, Expiry,
    Key, Keys, Outcome, Read, Revision, Subject, Value, Write,
};

use crate::act;
use crate::context::{CaseResult, Context, entry, key};
use crate::quick::in_time;
use crate::race::{Rounds, at_once};
use crate::seen::assert_entries;
use crate::stamp::{number, stamped};

/// How long marks last here, in milliseconds of the injected clock: far beyond what a case takes in real time.
const MARK: u64 = 600_000;

/// When the expired entries of these cases end: late enough that no server has swept them by its own clock while the case
/// runs.
const END: u64 = 300_000;

/// Erases at the case's time zero.
async fn erase(cx: &Context, erase: &Erase) -> bool {
    cx.store().erase_one(cx.call(), erase.clone()).await.expect("erase answers")
}

/// Asserts that the user's mark has this epoch and lives until exactly then.
async fn assert_mark(cx: &Context, subject: &Subject, epoch: Epoch, until: u64, context: &str) {
    assert_eq!(act::load(cx, subject).await.epoch(), Some(epoch), "the mark stands, {context}");
    let last = act::load_at(cx, until - 1, subject).await.epoch();
    assert_eq!(last, Some(epoch), "the mark stands in its last millisecond, {context}");
    assert_eq!(act::load_at(cx, until, subject).await.epoch(), None, "the mark ends then, {context}");
}

pub(crate) async fn removes_everything_and_says_so(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    for at in ["a", "b", "a:b", "ключ"] {
        act::put(&cx, &user, at, &entry("v")).await;
    }
    act::put(&cx, &user, "short", &cx.until("v", MARK)).await;
    let erasure = cx.erase(&user, MARK);
    assert!(erase(&cx, &erasure).await, "something stood");
    let profile = act::load(&cx, &user).await;
    assert!(profile.is_empty(), "nothing stands");
    assert_eq!(profile.epoch(), Some(erasure.epoch));
    for at in ["a", "b", "a:b", "ключ", "short"] {
        assert_eq!(cx.value(&user, &key(at)).await, None);
    }
    assert!(!erase(&cx, &cx.erase(&user, MARK)).await, "nothing stood any more");
    Ok(())
}

pub(crate) async fn absent_user_gets_a_mark(cx: Context) -> CaseResult {
    let user = cx.user("nobody");
    let erasure = cx.erase(&user, MARK);
    assert!(!erase(&cx, &erasure).await, "nothing stood");
    assert_mark(&cx, &user, erasure.epoch, MARK, "of an absent user").await;
    assert_eq!(act::insert(&cx, &user, EpochCheck::Is(None), "k", &entry("late")).await, Outcome::Erased);
    assert!(act::load(&cx, &user).await.is_empty());
    Ok(())
}

/// Every kind of read tells the epoch, also one that asks for no key or for absent ones.
pub(crate) async fn every_read_gives_the_epoch(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    let erasure = cx.erase(&user, MARK);
    erase(&cx, &erasure).await;
    for stands in [false, true] {
        let keys = [vec![], vec![key("k")], vec![key("absent"), key("k")]];
        let keys = keys.into_iter().map(|keys| Keys::only(keys).unwrap());
        for keys in keys.chain([Keys::All]) {
            let read = Read::some(user.clone(), keys.clone());
            let profile = cx.store().read_one(cx.call(), read).await.unwrap();
            assert_eq!(profile.epoch(), Some(erasure.epoch), "{keys:?}, an entry stands: {stands}");
            let wanted = stands && keys != Keys::only([]).unwrap();
            assert_eq!(profile.len(), usize::from(wanted), "only what was asked for");
        }
        act::put(&cx, &user, "k", &entry("v")).await;
    }
    Ok(())
}

pub(crate) async fn stale_epoch_writes_nothing(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    let first = cx.erase(&user, MARK);
    erase(&cx, &first).await;
    let second = cx.erase(&user, MARK);
    erase(&cx, &second).await;
    for stale in [first.epoch, Epoch::random()] {
        let stale = EpochCheck::Is(Some(stale));
        assert_eq!(act::insert(&cx, &user, stale, "k", &entry("late")).await, Outcome::Erased);
        let put = cx.store().change(cx.call(), &user, stale, Change::Put(key("k"), entry("late"))).await;
        assert_eq!(put.unwrap(), Outcome::Erased);
        assert!(act::load(&cx, &user).await.is_empty(), "nothing was written");
    }
    assert_mark(&cx, &user, second.epoch, MARK, "after refusals").await;
    // In the place of an entry that expired, too.
    let short = cx.until("short", END);
    let known = EpochCheck::Is(Some(second.epoch));
    assert_eq!(act::insert(&cx, &user, known, "k", &short).await, Outcome::Inserted);
    let stale = EpochCheck::Is(Some(first.epoch));
    let late = cx.store().insert(cx.at(END), &user, stale, key("k"), entry("late")).await.unwrap();
    assert_eq!(late, Outcome::Erased);
    act::assert_holds(&cx, &user, &[("k", &short)]).await;
    Ok(())
}

pub(crate) async fn blind_write_waits_for_the_mark(cx: Context) -> CaseResult {
    let (user, blind) = (cx.user("ann"), EpochCheck::Is(None));
    let (before, late) = (entry("before"), entry("late"));
    assert_eq!(act::insert(&cx, &user, blind, "k", &before).await, Outcome::Inserted, "no mark yet");
    erase(&cx, &cx.erase(&user, MARK)).await;
    for millis in [0, 1, MARK - 1] {
        let insert = cx.store().insert(cx.at(millis), &user, blind, key("k"), late.clone()).await;
        assert_eq!(insert.unwrap(), Outcome::Erased, "at {millis} ms");
        let put = Change::Put(key("k"), late.clone());
        let put = cx.store().change(cx.at(millis), &user, blind, put).await;
        assert_eq!(put.unwrap(), Outcome::Erased, "at {millis} ms");
        assert!(act::load_at(&cx, millis, &user).await.is_empty());
    }
    let insert = cx.store().insert(cx.at(MARK), &user, blind, key("k"), late.clone()).await;
    assert_eq!(insert.unwrap(), Outcome::Inserted, "the mark has ended");
    assert_entries(&act::load_at(&cx, MARK, &user).await, &[("k", &late)], "the user has these");
    Ok(())
}

/// Whoever read the new epoch writes as if nothing had been erased, and an operator's put asks for none.
pub(crate) async fn known_epoch_writes(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    act::put(&cx, &user, "k", &entry("before")).await;
    erase(&cx, &cx.erase(&user, MARK)).await;
    let known = EpochCheck::Is(act::load(&cx, &user).await.epoch());
    let (inserted, put, forced) = (entry("inserted"), entry("put"), entry("forced"));
    assert_eq!(act::insert(&cx, &user, known, "inserted", &inserted).await, Outcome::Inserted);
    let change = Change::Put(key("put"), put.clone());
    assert_eq!(cx.store().change(cx.call(), &user, known, change).await.unwrap(), Outcome::Written);
    assert_eq!(act::insert(&cx, &user, EpochCheck::Ignore, "forced", &forced).await, Outcome::Inserted);
    act::assert_holds(&cx, &user, &[("inserted", &inserted), ("put", &put), ("forced", &forced)]).await;
    Ok(())
}

/// A stale epoch refuses only what would create: the others say what they find.
pub(crate) async fn what_creates_nothing_ignores_the_epoch(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    let erasure = cx.erase(&user, MARK);
    erase(&cx, &erasure).await;
    let (known, stale) = (EpochCheck::Is(Some(erasure.epoch)), EpochCheck::Is(None));
    let entries = ["a", "b", "c", "d"].map(|at| (at, entry(at)));
    for (at, entry) in &entries {
        assert_eq!(act::insert(&cx, &user, known, at, entry).await, Outcome::Inserted);
    }
    let [a, b, c, d] = entries.map(|(_, entry)| entry);
    let new = entry("new");
    let changes = vec![
        Change::Insert(key("a"), new.clone()),
        Change::Replace(key("b"), b.revision, new.clone()),
        Change::Remove(key("c")),
        Change::RemoveIf(key("d"), d.revision),
        Change::Replace(key("e"), a.revision, new.clone()),
        Change::Remove(key("f")),
        Change::RemoveIf(key("g"), c.revision),
    ];
    let write = Write::new(user.clone(), stale, changes).unwrap();
    let outcomes: Vec<_> =
        cx.store().write_one(cx.call(), write).await.into_iter().map(Result::unwrap).collect();
    let expected = [
        Outcome::Kept(a.clone()),
        Outcome::Replaced,
        Outcome::Removed,
        Outcome::Removed,
        Outcome::Gone,
        Outcome::WasAbsent,
        Outcome::WasAbsent,
    ];
    assert_eq!(outcomes, expected);
    act::assert_holds(&cx, &user, &[("a", &a), ("b", &new)]).await;
    // An insert that finds itself creates nothing either.
    assert_eq!(act::insert(&cx, &user, stale, "a", &a).await, Outcome::Inserted);
    Ok(())
}

pub(crate) async fn writes_leave_the_mark(cx: Context) -> CaseResult {
    let (stands, new) = (entry("stands"), entry("new"));
    let (k, absent) = (|| key("k"), || key("absent"));
    let stale = EpochCheck::Is(None);
    // A mark is not what an entry's end, shorter or longer than its own, may move.
    let ends = |millis| Entry::new(Value::string("ends"), Expiry::At(cx.time(millis)));
    let changes: Vec<(EpochCheck, Change)> = vec![
        (EpochCheck::Ignore, Change::Insert(absent(), new.clone())),
        (EpochCheck::Ignore, Change::Insert(absent(), ends(1))),
        (EpochCheck::Ignore, Change::Insert(absent(), ends(2 * MARK))),
        (EpochCheck::Ignore, Change::Insert(k(), new.clone())),
        (EpochCheck::Ignore, Change::Insert(k(), stands.clone())),
        (stale, Change::Insert(absent(), new.clone())),
        (EpochCheck::Ignore, Change::Put(k(), new.clone())),
        (EpochCheck::Ignore, Change::Put(k(), ends(1))),
        (EpochCheck::Ignore, Change::Put(absent(), ends(2 * MARK))),
        (stale, Change::Put(k(), new.clone())),
        (stale, Change::Put(absent(), new.clone())),
        (EpochCheck::Ignore, Change::Replace(k(), stands.revision, new.clone())),
        (EpochCheck::Ignore, Change::Replace(k(), stands.revision, ends(1))),
        (EpochCheck::Ignore, Change::Replace(k(), stands.revision, entry("stands"))),
        (EpochCheck::Ignore, Change::Replace(k(), Revision::random(), new.clone())),
        (stale, Change::Replace(absent(), stands.revision, new.clone())),
        (EpochCheck::Ignore, Change::Remove(k())),
        (stale, Change::Remove(absent())),
        (EpochCheck::Ignore, Change::RemoveIf(k(), stands.revision)),
        (stale, Change::RemoveIf(k(), Revision::random())),
        (EpochCheck::Ignore, Change::RemoveIf(absent(), stands.revision)),
        (EpochCheck::Ignore, Change::Put(k(), ends(0))),
    ];
    for (turn, (check, change)) in changes.into_iter().enumerate() {
        let user = cx.user(&format!("user {turn}"));
        let erasure = cx.erase(&user, MARK);
        erase(&cx, &erasure).await;
        act::put(&cx, &user, "k", &stands).await;
        let outcome = cx.store().change(cx.call(), &user, check, change.clone()).await.unwrap();
        let context = format!("{change:?} under {check:?}: {outcome:?}");
        assert_mark(&cx, &user, erasure.epoch, MARK, &context).await;
    }
    Ok(())
}

/// The mark also outlives entries that expire, are swept or are removed one by one after it.
pub(crate) async fn emptied_user_keeps_the_mark(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    let erasure = cx.erase(&user, MARK);
    erase(&cx, &erasure).await;
    let known = EpochCheck::Is(Some(erasure.epoch));
    for at in ["a", "b"] {
        assert_eq!(act::insert(&cx, &user, known, at, &entry("v")).await, Outcome::Inserted);
    }
    assert_eq!(act::insert(&cx, &user, known, "short", &cx.until("v", 10)).await, Outcome::Inserted);
    for at in ["a", "b"] {
        let removed = cx.store().remove(cx.at(20), &user, key(at)).await.unwrap();
        assert_eq!(removed, Outcome::Removed);
    }
    // Writes of others, late by the injected clock: time for whoever sweeps.
    for turn in 0..4 {
        let other = cx.user(&format!("other {turn}"));
        cx.store().put(cx.at(MARK - 1), &other, key("k"), entry("v")).await.unwrap();
    }
    assert_mark(&cx, &user, erasure.epoch, MARK, "of a user without entries").await;
    Ok(())
}

pub(crate) async fn mark_ends_by_itself(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    let erasure = cx.erase(&user, MARK);
    erase(&cx, &erasure).await;
    assert_mark(&cx, &user, erasure.epoch, MARK, "of an erasure").await;
    // Whoever had read the mark is refused once, since the mark that would prove it is not there any more.
    let read = EpochCheck::Is(act::load_at(&cx, MARK - 1, &user).await.epoch());
    let mine = entry("mine");
    let late = cx.store().insert(cx.at(MARK), &user, read, key("k"), mine.clone()).await.unwrap();
    assert_eq!(late, Outcome::Erased, "the mark ended between read and write");
    let put = cx.store().change(cx.at(MARK), &user, read, Change::Put(key("k"), mine.clone())).await;
    assert_eq!(put.unwrap(), Outcome::Erased);
    assert!(act::load_at(&cx, MARK, &user).await.is_empty());
    let again = EpochCheck::Is(act::load_at(&cx, MARK, &user).await.epoch());
    assert_eq!(again, EpochCheck::Is(None));
    let healed = cx.store().insert(cx.at(MARK), &user, again, key("k"), mine).await.unwrap();
    assert_eq!(healed, Outcome::Inserted, "the next read heals it");
    Ok(())
}

pub(crate) async fn retry_removes_nothing_newer(cx: Context) -> CaseResult {
    for stood in [true, false] {
        let user = cx.user(&format!("stood: {stood}"));
        if stood {
            act::put(&cx, &user, "k", &entry("before")).await;
        }
        let erasure = cx.erase(&user, MARK);
        assert_eq!(erase(&cx, &erasure).await, stood);
        assert!(erase(&cx, &erasure).await, "a retry finds its own epoch, also before anything newer");
        let (newer, known) = (entry("newer"), EpochCheck::Is(Some(erasure.epoch)));
        assert_eq!(act::insert(&cx, &user, known, "k", &newer).await, Outcome::Inserted);
        for (millis, after) in [(0, 0), (0, 1), (MARK - 1, 0), (MARK - 1, 15)] {
            let retry = erasure.clone().attempt(after);
            let retried = cx.store().erase_one(cx.at(millis), retry).await.unwrap();
            assert!(retried, "a retry at {millis} ms, {after} after the one that was applied");
            assert_entries(&act::load_at(&cx, millis, &user).await, &[("k", &newer)], "the user has these");
        }
        assert_mark(&cx, &user, erasure.epoch, MARK, "after retries").await;
    }
    Ok(())
}

pub(crate) async fn later_erase_takes_the_mark_over(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    let first = cx.erase(&user, MARK);
    erase(&cx, &first).await;
    let known = EpochCheck::Is(Some(first.epoch));
    assert_eq!(act::insert(&cx, &user, known, "k", &entry("between")).await, Outcome::Inserted);
    let shorter = cx.erase(&user, MARK / 2);
    assert!(erase(&cx, &shorter).await, "what was inserted in between stood");
    assert!(act::load(&cx, &user).await.is_empty());
    assert_mark(&cx, &user, shorter.epoch, MARK, "never shortened").await;
    assert_eq!(
        act::insert(&cx, &user, known, "k", &entry("late")).await,
        Outcome::Erased,
        "under the epoch before"
    );
    let longer = cx.erase(&user, 2 * MARK);
    assert!(!erase(&cx, &longer).await, "nothing stood");
    assert_mark(&cx, &user, longer.epoch, 2 * MARK, "made longer").await;
    // An ended mark has no say: the next one has its own end.
    let after = cx.erase(&user, 3 * MARK);
    assert!(!cx.store().erase_one(cx.at(2 * MARK), after.clone()).await.unwrap());
    let mark = |millis| act::load_at(&cx, millis, &user);
    assert_eq!(mark(3 * MARK - 1).await.epoch(), Some(after.epoch));
    assert_eq!(mark(3 * MARK).await.epoch(), None);
    Ok(())
}

pub(crate) async fn ended_mark_is_refused(cx: Context) -> CaseResult {
    let (fresh, marked) = (cx.user("fresh"), cx.user("marked"));
    let live = cx.erase(&marked, MARK);
    erase(&cx, &live).await;
    let stands = entry("stands");
    for user in [&fresh, &marked] {
        act::put(&cx, user, "k", &stands).await;
        for (mark_until, now) in [(10, 10), (10, 11), (0, 1), (10, MARK - 1)] {
            let late = cx.erase(user, mark_until);
            let error = cx.store().erase_one(cx.at(now), late).await.unwrap_err();
            assert_eq!((error.kind(), error.effect()), (ErrorKind::Invalid, Effect::NotApplied));
        }
        act::assert_holds(&cx, user, &[("k", &stands)]).await;
    }
    assert_eq!(act::load(&cx, &fresh).await.epoch(), None, "no mark came");
    assert_mark(&cx, &marked, live.epoch, MARK, "after refusals").await;
    // In its last millisecond it still counts.
    in_time(&cx, 1, || {
        async {
            act::put(&cx, &fresh, "k", &stands).await;
            let last = cx.erase(&fresh, 10);
            assert!(cx.store().erase_one(cx.at(9), last.clone()).await.unwrap());
            assert_eq!(act::load_at(&cx, 9, &fresh).await.epoch(), Some(last.epoch));
        }
        .boxed()
    })
    .await;
    Ok(())
}

/// One erase of a batch that is refused names itself; the others go on.
pub(crate) async fn refused_erase_names_itself(cx: Context) -> CaseResult {
    let users = ["a", "b", "c"].map(|id| cx.user(id));
    for user in &users {
        act::put(&cx, user, "k", &entry("v")).await;
    }
    let ends = [MARK, 10, MARK];
    let erases: Vec<Erase> = users.iter().zip(ends).map(|(user, until)| cx.erase(user, until)).collect();
    let answers = cx.store().erase(cx.at(10), &erases).await;
    let kinds: Vec<_> = answers.into_iter().map(|answer| answer.map_err(|error| error.kind())).collect();
    assert_eq!(kinds, [Ok(true), Err(ErrorKind::Invalid), Ok(true)]);
    for (user, stands) in users.iter().zip([false, true, false]) {
        assert_eq!(!act::load_at(&cx, 10, user).await.is_empty(), stands);
    }
    Ok(())
}

pub(crate) async fn expired_entries_are_nothing_that_stood(cx: Context) -> CaseResult {
    let (ended, living) = (cx.user("ended"), cx.user("living"));
    for user in [&ended, &living] {
        act::put(&cx, user, "a", &cx.until("v", END)).await;
        act::put(&cx, user, "b", &cx.until("v", END + 10)).await;
    }
    let at = |millis, user| cx.store().erase_one(cx.at(millis), cx.erase(user, MARK));
    assert!(at(END + 9, &living).await.unwrap(), "one of them lived");
    let erased = at(END + 10, &ended).await.unwrap();
    assert!(!erased, "none of them lived");
    let profile = act::load_at(&cx, 0, &ended).await;
    assert!(profile.is_empty(), "they are gone all the same, for whoever's clock is behind");
    assert!(profile.epoch().is_some());
    Ok(())
}

pub(crate) async fn damaged_entry_stood(cx: Context) -> CaseResult {
    let plant = cx.plant()?;
    let user = cx.user("ann");
    plant.damaged_entry(&user, &key("k")).await;
    let erasure = cx.erase(&user, MARK);
    assert!(erase(&cx, &erasure).await, "what is damaged stood too");
    let profile = act::load(&cx, &user).await;
    assert!(profile.is_empty(), "and is gone");
    assert_eq!(profile.epoch(), Some(erasure.epoch));
    Ok(())
}

/// Damage that comes after an erasure hides the mark from nobody, and is mended under it.
pub(crate) async fn damage_leaves_the_mark(cx: Context) -> CaseResult {
    let plant = cx.plant()?;
    let user = cx.user("ann");
    let erasure = cx.erase(&user, MARK);
    erase(&cx, &erasure).await;
    plant.damaged_entry(&user, &key("k")).await;
    assert_eq!(act::load(&cx, &user).await.damaged().len(), 1);
    assert_mark(&cx, &user, erasure.epoch, MARK, "beside damage").await;
    let refused = Change::Put(key("k"), entry("late"));
    let refused = cx.store().change(cx.call(), &user, EpochCheck::Is(None), refused).await.unwrap();
    assert_eq!(refused, Outcome::Erased, "a put over damage under a stale epoch");
    assert_eq!(act::load(&cx, &user).await.damaged().len(), 1, "it stays");
    assert!(erase(&cx, &erasure).await, "a retry");
    assert_eq!(act::load(&cx, &user).await.damaged().len(), 1, "a retry removes nothing newer");
    assert_eq!(cx.store().remove(cx.call(), &user, key("k")).await.unwrap(), Outcome::Removed);
    assert_mark(&cx, &user, erasure.epoch, MARK, "after the damage was removed").await;
    Ok(())
}

pub(crate) async fn others_stay(cx: Context) -> CaseResult {
    let erased = cx.user("a");
    let elsewhere = Subject::new(cx.other_namespace(), erased.user.clone());
    let others = ["ab", "a:b", "a:", "a/b", "a*", "a\0", "A", " a", "a "].map(|id| cx.user(id));
    let stands = entry("stands");
    for user in others.iter().chain([&erased, &elsewhere]) {
        act::put(&cx, user, "k", &stands).await;
        act::put(&cx, user, "a", &stands).await;
    }
    assert!(erase(&cx, &cx.erase(&erased, MARK)).await);
    assert!(act::load(&cx, &erased).await.is_empty());
    for user in others.iter().chain([&elsewhere]) {
        act::assert_holds(&cx, user, &[("a", &stands), ("k", &stands)]).await;
        assert_eq!(act::load(&cx, user).await.epoch(), None, "no mark of another user");
        assert_eq!(act::insert(&cx, user, EpochCheck::Is(None), "new", &entry("v")).await, Outcome::Inserted);
    }
    Ok(())
}

/// A user whose ids do not fit into a database's own keys is erased like any other, and marked.
pub(crate) async fn long_ids_are_erased(cx: Context) -> CaseResult {
    let long = |last: &str| "u".repeat(stickystore_core::MAX_ID_BYTES - 1) + last;
    let (erased, twin) = (cx.user(&long("1")), cx.user(&long("2")));
    let (at, stands) = (Key::new(long("k")).unwrap(), entry("stands"));
    for user in [&erased, &twin] {
        act::put(&cx, user, at.as_str(), &stands).await;
    }
    let erasure = cx.erase(&erased, MARK);
    assert!(erase(&cx, &erasure).await);
    assert!(act::load(&cx, &erased).await.is_empty());
    assert_mark(&cx, &erased, erasure.epoch, MARK, "of a long id").await;
    act::assert_holds(&cx, &twin, &[(at.as_str(), &stands)]).await;
    Ok(())
}

/// Two erasures and a writer of a whole batch: the user is whole or gone.
pub(crate) async fn erase_races_a_batch_of_inserts(cx: Context) -> CaseResult {
    const KEYS: u64 = 16;
    let start = cx.start();
    for round in Rounds::at_least(20, cx.effort()) {
        let user = cx.user(&format!("user {round}"));
        let check = if round % 2 == 0 { EpochCheck::Ignore } else { EpochCheck::Is(None) };
        let insert = |at: u64| Change::Insert(key(&at.to_string()), stamped(start, at));
        let write = Write::new(user.clone(), check, (0..KEYS).map(insert).collect()).unwrap();
        let erases = [cx.erase(&user, MARK), cx.erase(&user, MARK)];
        let work = |task: usize| {
            let (cx, write, erases) = (cx.clone(), write.clone(), erases.clone());
            async move {
                if task > 0 {
                    let stood = cx.handle(task).erase_one(cx.call(), erases[task - 1].clone());
                    return (vec![], stood.await.unwrap());
                }
                let answers = cx.store().write_one(cx.call(), write).await;
                (answers.into_iter().map(Result::unwrap).collect(), false)
            }
        };
        let mut ended = at_once(3, work).await;
        let stood = ended.split_off(1).into_iter().filter(|(_, stood)| *stood).count();
        let (answers, _) = &ended[0];
        assert!(stood <= 1, "what one erase took away did not stand for the other");
        let profile = act::load(&cx, &user).await;
        profile.entries().for_each(|(_, entry)| _ = number(start, entry));
        let standing = profile.len() as u64;
        let inserted = answers.iter().filter(|answer| **answer == Outcome::Inserted).count() as u64;
        let refused = answers.iter().filter(|answer| **answer == Outcome::Erased).count() as u64;
        if check == EpochCheck::Ignore {
            assert_eq!((inserted, refused), (KEYS, 0), "nothing refuses them");
            let whole = if stood == 0 { KEYS } else { 0 };
            assert_eq!(standing, whole, "whole if no erase met the batch, else gone");
        } else {
            assert_eq!(standing, 0, "refused or erased");
            let expected = if stood == 0 { (0, KEYS) } else { (KEYS, 0) };
            assert_eq!((inserted, refused), expected, "before the first erase, or refused");
        }
        let epochs = erases.map(|erase| Some(erase.epoch));
        assert!(epochs.contains(&profile.epoch()), "one of the two marks stays");
    }
    Ok(())
}
