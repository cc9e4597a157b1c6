//! An entry lives its time from its own last write, to the millisecond, whatever else is written for that user.
//!
//! Here time is what the calls say, except in `real`, where servers' own sweeps are watched.

mod real;

pub(crate) use real::*;

use std::time::Duration;

use futures::FutureExt as _;
use stickystore_core::{AsyncStore as _, AsyncStoreExt as _};
use stickystore_core::{
    Call, Change, Entry, EpochCheck, Expiry, Outcome, Profile, Read, Ttl, UnixMillis, Value, Write,
};

use crate::act::{anew, change, change_at, change_in, get_at, load_at, put, put_all, some_at};
use crate::context::{CaseResult, Context, Skip, entry, key};
use crate::quick::in_time;
use crate::scene::LONG;
use crate::seen::{assert_answer, assert_entry, assert_profile};

/// When the entries of these cases end, in milliseconds after the case began: late enough that no server has swept
/// them by its own clock while the case runs.
const END: u64 = 600_000;

/// A day, in milliseconds.
const DAY: u64 = 86_400_000;

pub(crate) async fn lives_until_its_last_millisecond(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let red = cx.until("red", END);
    put(&cx, &user, "a", &red).await;
    ends_at(&cx, "a", &red, END).await;
    Ok(())
}

pub(crate) async fn every_millisecond_counts(cx: Context) -> CaseResult {
    // Whatever the milliseconds of the time are, none of them is rounded to a second.
    for beyond in [1, 2, 499, 500, 501, 998, 999, 1_000] {
        let red = cx.until("red", END + beyond);
        put(&cx, &cx.user("user"), "a", &red).await;
        ends_at(&cx, "a", &red, END + beyond).await;
    }
    Ok(())
}

pub(crate) async fn short_lives_are_neither_shorter_nor_endless(cx: Context) -> CaseResult {
    for life in [500, 1_500] {
        let (red, user) = (cx.until("red", life), cx.user("user"));
        in_time(&cx, life, || {
            async {
                put(&cx, &user, "a", &red).await;
                ends_at(&cx, "a", &red, life).await;
            }
            .boxed()
        })
        .await;
    }
    Ok(())
}

pub(crate) async fn long_lives_are_kept(cx: Context) -> CaseResult {
    // Memcached takes more than 30 days for a date; signed seconds end in 2038, unsigned ones in 2106; a signed
    // 32-bit number of milliseconds holds 24 days.
    let user = cx.user("user");
    for days in [24, 25, 30, 31, 49, 50, 400, 10 * 365, 20 * 365, 100 * 365, 8_000 * 365] {
        let red = cx.until("red", days * DAY);
        put(&cx, &user, "a", &red).await;
        assert_entry(get_at(&cx, 0, &user, "a").await.as_ref(), Some(&red), &format!("{days} days, at once"));
        ends_at(&cx, "a", &red, days * DAY).await;
    }
    Ok(())
}

pub(crate) async fn last_time_there_is_can_be_an_end(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let red = Entry::new(Value::string("red"), Expiry::At(UnixMillis::MAX));
    put(&cx, &user, "a", &red).await;
    put(&cx, &user, "b", &entry("beside")).await;
    assert_entry(get_at(&cx, 0, &user, "a").await.as_ref(), Some(&red), "at once");
    let last = Call::new(UnixMillis::MAX.saturating_sub(Duration::from_millis(1)), cx.deadline());
    let found = cx.store().get(last, &user, &key("a")).await.unwrap();
    assert_entry(found.as_ref(), Some(&red), "in the last millisecond");
    let after = Call::new(UnixMillis::MAX, cx.deadline());
    assert_entry(cx.store().get(after, &user, &key("a")).await.unwrap().as_ref(), None, "at its end");
    Ok(())
}

pub(crate) async fn without_a_ttl_it_never_ends(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let red = entry("red");
    put(&cx, &user, "a", &red).await;
    for now in [cx.time(400 * DAY), cx.time(100 * 365 * DAY), UnixMillis::MAX] {
        let found = cx.store().get(Call::new(now, cx.deadline()), &user, &key("a")).await.unwrap();
        assert_entry(found.as_ref(), Some(&red), &format!("at {now}"));
    }
    let answer = Ok(change_at(&cx, 400 * DAY, &user, Change::Insert(key("a"), entry("blue"))).await);
    assert_answer(&answer, &Outcome::Kept(red), "an insert after 400 days");
    Ok(())
}

pub(crate) async fn one_ends_while_another_stays(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let (short, long, endless) = (cx.until("short", END), cx.until("long", LONG), entry("endless"));
    for (name, order) in [
        ("short first", [("a", &short), ("b", &long), ("c", &endless)]),
        ("short last", [("c", &endless), ("b", &long), ("a", &short)]),
        ("short between", [("b", &long), ("a", &short), ("c", &endless)]),
    ] {
        for (at, entry) in order {
            put(&cx, &user, at, entry).await;
        }
        let all = order.map(|(at, entry)| (at, entry.clone()));
        assert_profile(&load_at(&cx, END - 1, &user).await, &all, name);
        let left = [("b", long.clone()), ("c", endless.clone())];
        assert_profile(&load_at(&cx, END, &user).await, &left, name);
        assert_profile(&load_at(&cx, LONG, &user).await, &left[1..], name);
        cx.store().remove(cx.call(), &user, key("a")).await.unwrap();
    }
    Ok(())
}

pub(crate) async fn each_ends_at_its_own_millisecond(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let keys: Vec<_> = (10..30).map(|n| n.to_string()).collect();
    let entries = keys.iter().zip(0..).map(|(at, n)| (at.as_str(), cx.until(at, END + n)));
    let entries: Vec<_> = entries.collect();
    put_all(&cx, &user, &entries).await;
    for gone in [0, 1, 2, 10, 19, 20] {
        let left = load_at(&cx, END - 1 + u64::try_from(gone).unwrap(), &user).await;
        assert_profile(&left, &entries[gone..], &format!("after the end of {gone}"));
    }
    Ok(())
}

pub(crate) async fn rewriting_replaces_the_ttl(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let lives = [Some(LONG), Some(END), None, Some(2 * END), Some(LONG), None];
    let mut stands = cx.until("first", END);
    put(&cx, &user, "put", &stands).await;
    put(&cx, &user, "replaced", &stands).await;
    for (n, life) in lives.into_iter().enumerate() {
        let mut new = entry(&n.to_string());
        new.expiry = life.map_or(Expiry::Never, |life| Expiry::At(cx.time(life)));
        put(&cx, &user, "put", &new).await;
        let outcome =
            change(&cx, &user, Change::Replace(key("replaced"), stands.revision, new.clone())).await;
        assert_eq!(outcome, Outcome::Replaced, "it named what stood");
        for at in ["put", "replaced"] {
            match life {
                Some(life) => ends_at(&cx, at, &new, life).await,
                None => {
                    let found = get_at(&cx, 400 * DAY, &user, at).await;
                    assert_entry(found.as_ref(), Some(&new), &format!("{at} without an end"));
                }
            }
        }
        stands = new;
    }
    Ok(())
}

pub(crate) async fn kept_extends_nothing(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let red = cx.until("red", END);
    put(&cx, &user, "a", &red).await;
    for (new, who) in [(entry("blue"), "another"), (anew(&red, Expiry::Never), "an equal")] {
        let answer = change(&cx, &user, Change::Insert(key("a"), new.clone())).await;
        assert_answer(&Ok(answer), &Outcome::Kept(red.clone()), &format!("an insert of {who} value"));
        ends_at(&cx, "a", &red, END).await;
        let answer = change(&cx, &user, Change::Replace(key("a"), new.revision, entry("green"))).await;
        assert_answer(&Ok(answer), &Outcome::Kept(red.clone()), "a replace of another");
        let answer = change(&cx, &user, Change::RemoveIf(key("a"), new.revision)).await;
        assert_answer(&Ok(answer), &Outcome::Kept(red.clone()), "a removal of another");
        ends_at(&cx, "a", &red, END).await;
    }
    Ok(())
}

pub(crate) async fn unchanged_extends_nothing(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let red = cx.until("red", END);
    put(&cx, &user, "a", &red).await;
    for expiry in [Expiry::Never, Expiry::At(cx.time(LONG)), Expiry::At(cx.time(1))] {
        let answer = change(&cx, &user, Change::Replace(key("a"), red.revision, anew(&red, expiry))).await;
        assert_eq!(answer, Outcome::Unchanged);
        ends_at(&cx, "a", &red, END).await;
    }
    Ok(())
}

pub(crate) async fn retries_extend_nothing(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let (red, blue) = (cx.until("red", END), cx.until("blue", 2 * END));
    let again =
        |entry: &Entry, millis: u64| anew(entry, Expiry::At(cx.time(millis))).with_revision(entry.revision);
    change(&cx, &user, Change::Insert(key("a"), red.clone())).await;
    for millis in [LONG, 1] {
        let retry = Change::Insert(key("a"), again(&red, millis));
        assert_eq!(change(&cx, &user, retry).await, Outcome::Inserted);
        ends_at(&cx, "a", &red, END).await;
    }
    change(&cx, &user, Change::Replace(key("a"), red.revision, blue.clone())).await;
    for millis in [LONG, 1] {
        let retry = Change::Replace(key("a"), red.revision, again(&blue, millis));
        assert_eq!(change(&cx, &user, retry).await, Outcome::Replaced);
        ends_at(&cx, "a", &blue, 2 * END).await;
    }
    Ok(())
}

pub(crate) async fn reading_extends_nothing(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let red = cx.until("red", END);
    put(&cx, &user, "a", &red).await;
    for millis in [0, END / 2, END - 1] {
        assert_entry(get_at(&cx, millis, &user, "a").await.as_ref(), Some(&red), "while it lives");
        assert_eq!(load_at(&cx, millis, &user).await.len(), 1);
    }
    ends_at(&cx, "a", &red, END).await;
    Ok(())
}

pub(crate) async fn insert_over_expired_lives_its_own_time(cx: Context) -> CaseResult {
    let user = cx.user("user");
    put(&cx, &user, "a", &cx.until("red", END)).await;
    let blue = cx.until("blue", LONG);
    let answer = change_at(&cx, END, &user, Change::Insert(key("a"), blue.clone())).await;
    assert_eq!(answer, Outcome::Inserted);
    ends_at(&cx, "a", &blue, LONG).await;
    Ok(())
}

pub(crate) async fn hidden_from_every_read(cx: Context) -> CaseResult {
    let (user, other) = (cx.user("user"), cx.user("other"));
    let (red, blue) = (cx.until("red", END), entry("blue"));
    put_all(&cx, &user, &[("a", red.clone()), ("b", blue.clone())]).await;
    put_all(&cx, &other, &[("a", red)]).await;
    let left = [("b", blue)];
    assert_entry(get_at(&cx, END, &user, "a").await.as_ref(), None, "get");
    assert_profile(&load_at(&cx, END, &user).await, &left, "load");
    assert_profile(&some_at(&cx, END, &user, &["a"]).await, &[], "a read of one key");
    assert_profile(&some_at(&cx, END, &user, &["a", "b"]).await, &left, "a read of some keys");
    let reads = [Read::all(user.clone()), Read::all(other.clone()), Read::all(user.clone())];
    let mut answers = cx.store().read(cx.at(END), &reads).await.into_iter().map(Result::unwrap);
    for wanted in [&left[..], &[], &left] {
        assert_profile(&answers.next().unwrap(), wanted, "a read of many users");
    }
    Ok(())
}

pub(crate) async fn hidden_from_a_scan(cx: Context) -> CaseResult {
    let Some(scan) = cx.store().scan() else {
        return Err(Skip::because("declared: the store cannot scan"));
    };
    let blue = entry("blue");
    put_all(&cx, &cx.user("mixed"), &[("a", cx.until("red", END)), ("b", blue.clone())]).await;
    put_all(&cx, &cx.user("ended"), &[("a", cx.until("red", END))]).await;
    let (mut found, mut cursor) = (Vec::new(), None);
    loop {
        let page = scan.scan_page(cx.at(END), cx.namespace(), cursor.as_ref(), 10).await.unwrap();
        found.extend(page.users);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(found.len(), 1, "a user without a live entry is not scanned: {found:?}");
    assert_eq!(found[0].0.as_str(), "mixed");
    assert_profile(&found[0].1, &[("b", blue)], "a scanned user has live entries only");
    Ok(())
}

pub(crate) async fn user_of_expired_entries_is_as_if_absent(cx: Context) -> CaseResult {
    let user = cx.user("user");
    put_all(&cx, &user, &[("a", cx.until("red", END)), ("b", cx.until("blue", END - 1))]).await;
    assert_eq!(load_at(&cx, END, &user).await, Profile::default());
    assert_eq!(some_at(&cx, END, &user, &["a", "b"]).await, Profile::default());
    let stood = cx.store().erase_one(cx.at(END), cx.erase(&user, LONG)).await.unwrap();
    assert!(!stood, "an erase finds nothing that lives");
    Ok(())
}

pub(crate) async fn callers_clock_decides_also_when_it_is_wrong(cx: Context) -> CaseResult {
    let day = Duration::from_millis(DAY);
    let hour = Ttl::new(Duration::from_millis(LONG)).unwrap();
    for (name, now) in [("behind", cx.start().saturating_sub(day)), ("ahead", cx.start().saturating_add(day))]
    {
        let user = cx.user(name);
        let red = Entry::new(Value::string("red"), Expiry::after(now, hour).unwrap());
        let call = Call::new(now, cx.deadline());
        let answer = change_in(&cx, call, &user, Change::Insert(key("a"), red.clone())).await;
        assert_eq!(answer, Outcome::Inserted, "by a clock a day {name}");
        let after = |millis: u64| now.saturating_add(Duration::from_millis(millis));
        for (millis, wanted) in [(0, Some(&red)), (LONG - 1, Some(&red)), (LONG, None)] {
            let call = Call::new(after(millis), cx.deadline());
            let found = cx.store().get(call, &user, &key("a")).await.unwrap();
            assert_entry(found.as_ref(), wanted, &format!("{millis} ms later, by a clock a day {name}"));
        }
    }
    Ok(())
}

pub(crate) async fn one_write_holds_many_lives(cx: Context) -> CaseResult {
    // One call that puts, replaces, inserts, removes and ends too late: each entry has its own end.
    let user = cx.user("user");
    let old = cx.until("old", LONG);
    put_all(&cx, &user, &["b", "c", "d"].map(|at| (at, old.clone()))).await;
    let (short, longer, endless) = (cx.until("short", END), cx.until("longer", 2 * LONG), entry("endless"));
    let changes = vec![
        Change::Put(key("a"), longer.clone()),
        Change::Replace(key("b"), old.revision, short.clone()),
        Change::Insert(key("c"), short.clone()),
        Change::Remove(key("d")),
        Change::Insert(key("e"), endless.clone()),
        Change::Put(key("f"), short.clone()),
        Change::Put(key("g"), cx.until("late", 0)),
    ];
    let write = Write::new(user.clone(), EpochCheck::Is(None), changes).unwrap();
    let answers = cx.store().write_one(cx.call(), write).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    use Outcome::{Expired, Inserted, Kept, Removed, Replaced, Written};
    assert_eq!(answers, [Written, Replaced, Kept(old.clone()), Removed, Inserted, Written, Expired]);
    let left = [("a", longer), ("c", old), ("e", endless)];
    let all = [("b", short.clone()), ("f", short)].into_iter().chain(left.clone()).collect::<Vec<_>>();
    assert_profile(&load_at(&cx, END - 1, &user).await, &all, "before the short ones end");
    assert_profile(&load_at(&cx, END, &user).await, &left, "when they end");
    assert_profile(&load_at(&cx, LONG, &user).await, &[left[0].clone(), left[2].clone()], "later");
    assert_profile(&load_at(&cx, 2 * LONG, &user).await, &left[2..], "later still");
    Ok(())
}

pub(crate) async fn value_and_end_change_together(cx: Context) -> CaseResult {
    // Whoever reads while another writes sees one write's value with that same write's end.
    let user = cx.user("user");
    let (short, endless) = (cx.until("short", END), entry("endless"));
    put(&cx, &user, "a", &short).await;
    let writer = async {
        for turn in 0..50 {
            put(&cx, &user, "a", if turn % 2 == 0 { &endless } else { &short }).await;
            tokio::task::yield_now().await;
        }
    };
    let reader = async {
        for _ in 0..50 {
            let found = get_at(&cx, 0, &user, "a").await;
            let whole = found.as_ref() == Some(&short) || found.as_ref() == Some(&endless);
            assert!(whole, "an entry is read whole: {found:?}");
            tokio::task::yield_now().await;
        }
    };
    futures::join!(writer, reader);
    Ok(())
}

/// Asserts that the user's entry stands to its last millisecond and is gone at its end, for every read.
async fn ends_at(cx: &Context, at: &str, wanted: &Entry, end: u64) {
    let user = cx.user("user");
    for (millis, wanted) in [(end - 1, Some(wanted)), (end, None), (end + 1, None)] {
        let what = format!("{at} at {millis} ms, when its end is at {end} ms");
        assert_entry(get_at(cx, millis, &user, at).await.as_ref(), wanted, &format!("get of {what}"));
        assert_entry(load_at(cx, millis, &user).await.get(at), wanted, &format!("load of {what}"));
        let some = some_at(cx, millis, &user, &[at]).await;
        assert_entry(some.get(at), wanted, &format!("read of {what}"));
    }
}
