//! Servers' own sweeps, which an injected clock cannot see: these cases wait, a few times the store's grace.

use std::time::Duration;

use stickystore_core::{AsyncStoreExt as _, Clock as _, SystemClock};
use stickystore_core::{
    Call, Change, Entry, EpochCheck, Expiry, Outcome, Profile, Subject, UnixMillis, Value, Write,
};

use crate::act::{change_in, put, put_all};
use crate::context::{CaseResult, Context, entry, key};
use crate::scene::LONG;
use crate::seen::{assert_answer, assert_entry, assert_profile};

/// How long a short life is: long enough for a few writes, short enough to wait for.
const SHORT: Duration = Duration::from_millis(100);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// How far a server's clock may tick behind its own sweep.
const TICK: Duration = Duration::from_millis(5);

/// After how many graces beyond a life whatever would be swept with it has been. A server that counts in seconds
/// rounds up, and may add one: with a grace of a second, which is the least that it can keep, that is still in time.
const GRACES: u32 = 3;

pub(crate) async fn real_clock_ends_an_entry(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let red = ending(SystemClock.now(), "red");
    put(&cx, &user, "a", &red).await;
    loop {
        // The call's own time says what has to be seen, so a slow machine sees less and never something wrong.
        let call = cx.real_call();
        let found = cx.store().get(call, &user, &key("a")).await.unwrap();
        let wanted = red.is_live(call.now).then_some(&red);
        assert_entry(found.as_ref(), wanted, "by the machine's clock");
        if wanted.is_none() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let blue = entry("blue");
    let answer = change_in(&cx, cx.real_call(), &user, Change::Insert(key("a"), blue.clone())).await;
    assert_eq!(answer, Outcome::Inserted, "what ended makes room");
    let found = cx.store().get(cx.real_call(), &user, &key("a")).await.unwrap();
    assert_entry(found.as_ref(), Some(&blue), "what was inserted");
    Ok(())
}

pub(crate) async fn short_life_after_long_shortens_nothing(cx: Context) -> CaseResult {
    let grace = cx.grace()?;
    let (long, endless) = (cx.until("long", LONG), entry("endless"));
    // By every change that writes a short life, after a long and after an endless one; what was written short first
    // and long then is long.
    for way in ["put", "insert", "replace", "together"] {
        let after = |what: &str| cx.user(&format!("{way} after {what}"));
        for (user, stands) in [(after("long"), &long), (after("endless"), &endless)] {
            put_all(&cx, &user, &[("stands", stands.clone()), ("short", cx.until("long yet", LONG))]).await;
            write_short(&cx, &user, way).await;
        }
    }
    let lengthened = cx.user("lengthened");
    put(&cx, &lengthened, "stands", &ending(cx.start(), "short yet")).await;
    put(&cx, &lengthened, "stands", &long).await;
    put(&cx, &lengthened, "short", &ending(cx.start(), "short")).await;

    tokio::time::sleep(SHORT + GRACES * grace).await;
    let stands = |user: Subject, wanted: &Entry| {
        let (cx, wanted) = (cx.clone(), wanted.clone());
        async move {
            let what = format!("{:?}, after the server's own sweep", user.user);
            let profile = cx.store().load(cx.real_call(), &user).await.unwrap();
            assert_profile(&profile, &[("stands", wanted.clone())], &what);
            let answer =
                change_in(&cx, cx.real_call(), &user, Change::Insert(key("stands"), entry("lost"))).await;
            assert_answer(&Ok(answer), &Outcome::Kept(wanted), &what);
        }
    };
    for way in ["put", "insert", "replace", "together"] {
        stands(cx.user(&format!("{way} after long")), &long).await;
        stands(cx.user(&format!("{way} after endless")), &endless).await;
    }
    stands(lengthened, &long).await;
    Ok(())
}

pub(crate) async fn short_life_after_a_mark_shortens_nothing(cx: Context) -> CaseResult {
    let grace = cx.grace()?;
    let user = cx.user("user");
    let erase = cx.erase(&user, LONG);
    cx.store().erase_one(cx.call(), erase.clone()).await.unwrap();
    put(&cx, &user, "short", &ending(cx.start(), "short")).await;
    // Nor does the mark shorten what is written after it, when the mark is the one that ends.
    let marked = cx.user("marked");
    let short_mark = cx.time(u64::try_from(SHORT.as_millis()).unwrap());
    let erased = cx.erase(&marked, 0).with_mark_until(short_mark);
    cx.store().erase_one(cx.call(), erased).await.unwrap();
    put(&cx, &marked, "stands", &entry("endless")).await;
    let stands = cx.store().load(cx.call(), &marked).await.unwrap();

    tokio::time::sleep(SHORT + GRACES * grace).await;
    let profile = cx.store().load(cx.real_call(), &user).await.unwrap();
    assert_eq!(profile.epoch(), Some(erase.epoch), "the mark lives on after the server's own sweep");
    let answer =
        cx.store().insert(cx.real_call(), &user, EpochCheck::Is(None), key("a"), entry("late")).await;
    assert_answer(&answer, &Outcome::Erased, "a blind insert under the mark");
    let profile = cx.store().load(cx.real_call(), &marked).await.unwrap();
    let wanted = stands.get("stands");
    assert_entry(profile.get("stands"), wanted, "an entry outlives the mark that it was written under");
    assert_eq!(profile.epoch(), None, "the mark has ended");
    Ok(())
}

pub(crate) async fn sweep_keeps_what_lives(cx: Context) -> CaseResult {
    let grace = cx.grace()?;
    let [mixed, lasting, passing, busy] = ["mixed", "lasting", "passing", "busy"].map(|id| cx.user(id));
    let (long, endless) = (cx.until("long", LONG), entry("endless"));
    let begin = SystemClock.now();
    let short = ending(begin, "short");
    let end = begin.saturating_add(SHORT);
    put_all(&cx, &mixed, &[("long", long.clone()), ("short", short.clone()), ("endless", endless.clone())])
        .await;
    put_all(&cx, &lasting, &[("long", long.clone())]).await;
    put_all(&cx, &passing, &[("short", short.clone())]).await;
    let behind = Call::new(end.saturating_sub(Duration::from_millis(1)), cx.deadline());
    let mut turn = 0_u64;
    while SystemClock.now() <= end.saturating_add(GRACES * grace) {
        turn += 1;
        // Writes sweep: of the same user, and of others.
        write_real(&cx, &busy, &format!("busy {}", turn % 8)).await;
        write_real(&cx, &mixed, "written").await;

        for user in [&mixed, &passing] {
            let found =
                cx.store().get(behind.with_deadline(cx.deadline()), user, &key("short")).await.unwrap();
            // Only what was surely read within the grace has to be seen.
            if SystemClock.now().saturating_add(TICK) <= end.saturating_add(grace) {
                let what = format!("{:?}, within the grace, by a clock that is behind", user.user);
                assert_entry(found.as_ref(), Some(&short), &what);
            }
        }
        let call = cx.real_call();
        let wanted = short.is_live(call.now).then_some(&short);
        let profile = cx.store().load(call, &mixed).await.unwrap();
        assert_entry(profile.get("short"), wanted, "the short one among others");
        assert_entry(profile.get("long"), Some(&long), "the long one among others");
        assert_entry(profile.get("endless"), Some(&endless), "the endless one among others");
        let profile = cx.store().load(call, &lasting).await.unwrap();
        assert_profile(&profile, &[("long", long.clone())], "a user of a long one");
        let profile = cx.store().load(call, &passing).await.unwrap();
        assert_entry(profile.get("short"), wanted, "a user of a short one");
        tokio::time::sleep(PAUSE).await;
    }
    assert_eq!(cx.store().load(cx.real_call(), &passing).await.unwrap(), Profile::default());
    Ok(())
}

/// Puts an entry of a short life by the machine's clock.
async fn write_real(cx: &Context, user: &Subject, at: &str) {
    // One time for both: on a busy machine the life could be over before the call.
    let call = cx.real_call();
    let answer = change_in(cx, call, user, Change::Put(key(at), ending(call.now, "written"))).await;
    assert_eq!(answer, Outcome::Written);
}

/// Gives the user's entry `short` a short life in this way.
async fn write_short(cx: &Context, user: &Subject, way: &str) {
    let short = ending(cx.start(), "short");
    let at = || key("short");
    let stands = cx.store().get(cx.call(), user, &at()).await.unwrap().expect("it was put");
    let changes = match way {
        "put" => vec![Change::Put(at(), short)],
        "replace" => vec![Change::Replace(at(), stands.revision, short)],
        "insert" => {
            cx.store().remove(cx.call(), user, at()).await.unwrap();
            vec![Change::Insert(at(), short)]
        }
        _ => vec![
            Change::Put(key("beside"), short.clone()),
            Change::Put(at(), short),
            Change::Insert(key("stands"), entry("lost")),
        ],
    };
    let write = Write::new(user.clone(), EpochCheck::Is(None), changes).unwrap();
    for answer in cx.store().write_one(cx.call(), write).await {
        answer.unwrap();
    }
}

/// An entry of a short life that begins now.
fn ending(now: UnixMillis, value: &str) -> Entry {
    Entry::new(Value::string(value), Expiry::At(now.saturating_add(SHORT)))
}
