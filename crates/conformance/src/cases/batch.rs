//! Many questions in one call: an answer for each, in order, and none spoils another.

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Effect, Entry, EpochCheck, Erase, Error, ErrorKind, Expiry,
    Keys, MAX_CHANGES, Outcome, Profile, Read, Result, Revision, Subject, Value, Write,
};

use crate::act;
use crate::context::{CaseResult, Context, entry, key};

/// How long marks last here, in milliseconds.
const MARK: u64 = 600_000;

fn inserts(user: &Subject, changes: impl IntoIterator<Item = (String, Entry)>) -> Write {
    let changes = changes.into_iter().map(|(at, entry)| Change::Insert(key(&at), entry)).collect();
    Write::new(user.clone(), EpochCheck::Is(None), changes).expect("different keys")
}

fn one(user: &Subject, change: Change) -> Write {
    Write::new(user.clone(), EpochCheck::Is(None), vec![change]).expect("one change")
}

/// The values of a profile, with their keys.
fn values(profile: &Result<Profile>) -> Vec<(String, String)> {
    let profile = profile.as_ref().expect("the read is answered");
    profile.entries().map(|(key, entry)| (key.to_string(), entry.value.as_str().to_owned())).collect()
}

/// The outcomes of one write.
fn outcomes(answers: Vec<Result<Outcome>>) -> Vec<Outcome> {
    answers.into_iter().map(|answer| answer.expect("the change is answered")).collect()
}

pub(crate) async fn empty_in_empty_out(cx: Context) -> CaseResult {
    let store = cx.store();
    assert!(store.read(cx.call(), &[]).await.is_empty());
    assert!(store.write(cx.call(), &[]).await.is_empty());
    assert!(store.erase(cx.call(), &[]).await.is_empty());
    let (ann, bob) = (cx.user("ann"), cx.user("bob"));
    let nothing = |user: &Subject| Write::new(user.clone(), EpochCheck::Is(None), vec![]).unwrap();
    let answers = store.write(cx.call(), &[nothing(&ann)]).await;
    assert!(matches!(&answers[..], [none] if none.is_empty()), "a write without changes");
    // Between others, a write without changes still has its place.
    let inserted = |at: &str| inserts(&bob, [(at.to_owned(), entry("v"))]);
    let answers = store.write(cx.call(), &[nothing(&ann), inserted("a"), nothing(&bob), inserted("b")]).await;
    let counts: Vec<usize> = answers.iter().map(Vec::len).collect();
    assert_eq!(counts, [0, 1, 0, 1]);
    assert_eq!(act::load(&cx, &bob).await.len(), 2);
    assert_eq!(act::load(&cx, &ann).await, Profile::default(), "writing nothing makes no user");
    let no_keys = Read::some(bob, Keys::only([]).unwrap());
    assert!(store.read_one(cx.call(), no_keys).await.unwrap().is_empty(), "no keys, no entries");
    Ok(())
}

pub(crate) async fn order_is_kept(cx: Context) -> CaseResult {
    const USERS: usize = 50;
    // Not the order of their ids, nor of any hash of them.
    let order: Vec<usize> = (0..USERS).map(|at| at * 17 % USERS).collect();
    let user = |at: usize| cx.user(&format!("user {at}"));
    let taken = entry("taken");
    for at in (0..USERS).step_by(3) {
        act::put(&cx, &user(at), "k", &taken).await;
    }
    let mine = |at: usize| entry(&format!("value {at}"));
    let writes: Vec<Write> =
        order.iter().map(|&at| inserts(&user(at), [("k".to_owned(), mine(at))])).collect();
    let answers = cx.store().write(cx.call(), &writes).await;
    assert_eq!(answers.len(), USERS);
    for (&at, answers) in order.iter().zip(answers) {
        let expected = if at % 3 == 0 { Outcome::Kept(taken.clone()) } else { Outcome::Inserted };
        assert_eq!(outcomes(answers), [expected], "user {at}");
    }
    let reads: Vec<Read> = order.iter().map(|&at| Read::all(user(at))).collect();
    let profiles = cx.store().read(cx.call(), &reads).await;
    assert_eq!(profiles.len(), USERS);
    for (&at, profile) in order.iter().zip(&profiles) {
        let expected = if at % 3 == 0 { taken.clone() } else { mine(at) };
        assert_eq!(values(profile), [("k".to_owned(), expected.value.as_str().to_owned())], "user {at}");
    }
    let erases: Vec<Erase> = order.iter().map(|&at| cx.erase(&user(at + at % 2 * USERS), MARK)).collect();
    let stood: Vec<bool> =
        cx.store().erase(cx.call(), &erases).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(stood, order.iter().map(|at| at % 2 == 0).collect::<Vec<_>>(), "odd ones were strangers");
    Ok(())
}

pub(crate) async fn duplicates_are_answered_each(cx: Context) -> CaseResult {
    let (ann, nobody) = (cx.user("ann"), cx.user("nobody"));
    act::put(&cx, &ann, "a", &entry("1")).await;
    act::put(&cx, &ann, "b", &entry("2")).await;
    let some = |keys: &[&str]| Read::some(ann.clone(), Keys::only(keys.iter().map(|at| key(at))).unwrap());
    let all = || Read::all(ann.clone());
    let reads =
        [all(), all(), Read::all(nobody.clone()), some(&["b"]), all(), some(&["a", "c"]), some(&["b"])];
    let profiles = cx.store().read(cx.call(), &reads).await;
    let counts: Vec<Vec<String>> =
        profiles.iter().map(|profile| values(profile).into_iter().map(|(at, _)| at).collect()).collect();
    assert_eq!(
        counts,
        [vec!["a", "b"], vec!["a", "b"], vec![], vec!["b"], vec!["a", "b"], vec!["a"], vec!["b"]]
    );
    // The very same write twice is a write and its retry.
    let insert = inserts(&ann, [("c".to_owned(), entry("3"))]);
    let answers = cx.store().write(cx.call(), &[insert.clone(), insert]).await;
    assert_eq!(
        answers.into_iter().map(outcomes).collect::<Vec<_>>(),
        [[Outcome::Inserted], [Outcome::Inserted]]
    );
    let erase = cx.erase(&ann, MARK);
    let stood = cx.store().erase(cx.call(), &[erase.clone(), erase.clone(), erase]).await;
    assert_eq!(stood.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [true, true, true]);
    Ok(())
}

pub(crate) async fn present_and_absent_mix(cx: Context) -> CaseResult {
    let users: Vec<Subject> = (0..30).map(|at| cx.user(&format!("user {at}"))).collect();
    for user in users.iter().step_by(2) {
        act::put(&cx, user, "k", &entry(user.user.as_str())).await;
    }
    let marked = cx.erase(&users[1], MARK);
    cx.store().erase_one(cx.call(), marked.clone()).await.unwrap();
    act::put(&cx, &users[3], "k", &cx.until("ends", 10)).await;
    let reads: Vec<Read> = users.iter().cloned().map(Read::all).collect();
    let profiles = cx.store().read(cx.at(10), &reads).await;
    assert_eq!(profiles.len(), users.len());
    for (at, (user, profile)) in users.iter().zip(&profiles).enumerate() {
        let profile = profile.as_ref().unwrap();
        let value = profile.get("k").map(|entry| entry.value.clone());
        let expected = (at % 2 == 0).then(|| Value::string(user.user.as_str()));
        assert_eq!(value, expected, "{}", user.user);
        assert_eq!(profile.epoch(), (at == 1).then_some(marked.epoch), "only one of them was erased");
    }
    Ok(())
}

pub(crate) async fn one_bad_item_names_itself(cx: Context) -> CaseResult {
    let limit = cx.info().limits.entry_bytes;
    // Two quotes more than the limit.
    let large = || entry(&"x".repeat(limit));
    let users = ["a", "b", "c"].map(|id| cx.user(id));
    let stands = entry("stands");
    act::put(&cx, &users[1], "large", &stands).await;
    let good = || entry("good");
    let writes = [
        inserts(&users[0], [("k".to_owned(), good())]),
        Write::new(
            users[1].clone(),
            EpochCheck::Is(None),
            vec![
                Change::Insert(key("first"), good()),
                Change::Put(key("large"), large()),
                Change::Insert(key("larger"), large()),
                Change::Insert(key("last"), good()),
            ],
        )
        .unwrap(),
        inserts(&users[2], [("k".to_owned(), good())]),
    ];
    let answers = cx.store().write(cx.call(), &writes).await;
    let kinds: Vec<Vec<_>> = answers
        .iter()
        .map(|answers| {
            answers
                .iter()
                .map(|answer| answer.clone().map_err(|error| (error.kind(), error.effect())))
                .collect()
        })
        .collect();
    let (inserted, refused) = (Ok(Outcome::Inserted), Err((ErrorKind::TooLarge, Effect::NotApplied)));
    assert_eq!(kinds[0], vec![inserted.clone()]);
    assert_eq!(kinds[1], [inserted.clone(), refused.clone(), refused, inserted.clone()]);
    assert_eq!(kinds[2], [inserted]);
    let profile = act::load(&cx, &users[1]).await;
    let texts = values(&Ok(profile));
    let expected = [("first", "\"good\""), ("large", "\"stands\""), ("last", "\"good\"")];
    assert_eq!(texts, expected.map(|(at, value)| (at.to_owned(), value.to_owned())));
    Ok(())
}

pub(crate) async fn corrupt_user_fails_alone(cx: Context) -> CaseResult {
    let plant = cx.plant()?;
    let users = ["a", "b", "c"].map(|id| cx.user(id));
    act::put(&cx, &users[0], "k", &entry("v")).await;
    act::put(&cx, &users[2], "k", &entry("v")).await;
    plant.foreign_user(&users[1]).await;
    let reads = [0, 1, 2, 1].map(|at: usize| Read::all(users[at].clone()));
    let profiles = cx.store().read(cx.call(), &reads).await;
    let found: Vec<_> =
        profiles.iter().map(|profile| profile.as_ref().map(Profile::len).map_err(Error::kind)).collect();
    assert_eq!(found, [Ok(1), Err(ErrorKind::Corrupt), Ok(1), Err(ErrorKind::Corrupt)]);
    let writes = users.each_ref().map(|user| inserts(user, [("new".to_owned(), entry("w"))]));
    let answers = cx.store().write(cx.call(), &writes).await;
    let answers: Vec<_> =
        answers.into_iter().flatten().map(|answer| answer.map_err(|error| error.kind())).collect();
    assert_eq!(answers, [Ok(Outcome::Inserted), Err(ErrorKind::Corrupt), Ok(Outcome::Inserted)]);
    Ok(())
}

pub(crate) async fn each_change_has_its_own_outcome(cx: Context) -> CaseResult {
    let (user, new) = (cx.user("ann"), entry("new"));
    let stands: Vec<(String, Entry)> = (0..9).map(|at| (format!("stands {at}"), entry("old"))).collect();
    for (at, entry) in &stands {
        act::put(&cx, &user, at, entry).await;
    }
    let at = |place: usize| key(&stands[place].0);
    let old = |place: usize| stands[place].1.clone();
    let absent = |place: usize| key(&format!("absent {place}"));
    let other = Revision::random();
    let expired = || Entry::new(Value::string("late"), Expiry::At(cx.time(0)));
    let (mut changes, mut expected) = (vec![], vec![]);
    let mut ask = |change, outcome| {
        changes.push(change);
        expected.push(outcome);
    };
    ask(Change::Insert(at(0), new.clone()), Outcome::Kept(old(0)));
    ask(Change::Insert(absent(0), new.clone()), Outcome::Inserted);
    ask(Change::Insert(at(1), old(1)), Outcome::Inserted);
    ask(Change::Put(at(2), new.clone()), Outcome::Written);
    ask(Change::Put(absent(1), new.clone()), Outcome::Written);
    ask(Change::Put(at(3), expired()), Outcome::Expired);
    ask(Change::Replace(at(4), old(4).revision, new.clone()), Outcome::Replaced);
    ask(Change::Replace(at(5), old(5).revision, entry("old")), Outcome::Unchanged);
    ask(Change::Replace(at(6), other, new.clone()), Outcome::Kept(old(6)));
    ask(Change::Replace(absent(2), other, new.clone()), Outcome::Gone);
    ask(Change::Remove(at(7)), Outcome::Removed);
    ask(Change::Remove(absent(3)), Outcome::WasAbsent);
    ask(Change::RemoveIf(at(8), old(8).revision), Outcome::Removed);
    ask(Change::RemoveIf(absent(4), other), Outcome::WasAbsent);
    ask(Change::Insert(absent(5), expired()), Outcome::Expired);
    let write = Write::new(user.clone(), EpochCheck::Is(None), changes).unwrap();
    assert_eq!(outcomes(cx.store().write_one(cx.call(), write).await), expected);
    let left = [0, 1, 3, 5, 6].map(|place: usize| (stands[place].0.as_str(), &stands[place].1));
    let written = ["absent 0", "stands 2", "absent 1", "stands 4"].map(|at| (at, &new));
    act::assert_holds(&cx, &user, &[&left[..], &written[..]].concat()).await;
    Ok(())
}

pub(crate) async fn writes_of_one_user_take_effect_in_order(cx: Context) -> CaseResult {
    let (ann, bob) = (cx.user("ann"), cx.user("bob"));
    let [first, second, third, fourth] = ["1", "2", "3", "4"].map(entry);
    let k = || key("k");
    let writes = [
        one(&ann, Change::RemoveIf(k(), first.revision)),
        one(&ann, Change::Insert(k(), first.clone())),
        one(&bob, Change::Insert(k(), fourth.clone())),
        one(&ann, Change::Insert(k(), second.clone())),
        one(&ann, Change::Replace(k(), first.revision, second.clone())),
        one(&ann, Change::Replace(k(), first.revision, third.clone())),
        one(&bob, Change::Remove(k())),
        one(&ann, Change::RemoveIf(k(), second.revision)),
        one(&ann, Change::Replace(k(), second.revision, third.clone())),
        one(&ann, Change::Insert(k(), third.clone())),
        one(&bob, Change::Remove(k())),
        one(&ann, Change::Put(k(), fourth.clone())),
    ];
    let answers: Vec<Outcome> =
        cx.store().write(cx.call(), &writes).await.into_iter().flat_map(outcomes).collect();
    let expected = [
        Outcome::WasAbsent,
        Outcome::Inserted,
        Outcome::Inserted,
        Outcome::Kept(first),
        Outcome::Replaced,
        Outcome::Kept(second),
        Outcome::Removed,
        Outcome::Removed,
        Outcome::Gone,
        Outcome::Inserted,
        Outcome::WasAbsent,
        Outcome::Written,
    ];
    assert_eq!(answers, expected);
    act::assert_holds(&cx, &ann, &[("k", &fourth)]).await;
    act::assert_holds(&cx, &bob, &[]).await;
    // Often, so that an order that is only likely is seen.
    let puts: Vec<Entry> = (0..50).map(|turn| entry(&turn.to_string())).collect();
    for round in 0..4 {
        let user = cx.user(&format!("user {round}"));
        let writes: Vec<Write> =
            puts.iter().map(|entry| one(&user, Change::Put(k(), entry.clone()))).collect();
        cx.store().write(cx.call(), &writes).await;
        act::assert_holds(&cx, &user, &[("k", puts.last().expect("fifty"))]).await;
    }
    Ok(())
}

pub(crate) async fn ten_thousand_users_in_one_call(cx: Context) -> CaseResult {
    const USERS: usize = 10_000;
    let users: Vec<Subject> = (0..USERS).map(|at| cx.user(&format!("user {at}"))).collect();
    let writes: Vec<Write> = users
        .iter()
        .step_by(4)
        .map(|user| inserts(user, [("k".to_owned(), entry(user.user.as_str()))]))
        .collect();
    let answers = cx.store().write(cx.call(), &writes).await;
    assert_eq!(answers.len(), writes.len());
    for (write, answers) in writes.iter().zip(answers) {
        assert_eq!(outcomes(answers), [Outcome::Inserted], "{}", write.subject().user);
    }
    let reads: Vec<Read> = users.iter().cloned().map(Read::all).collect();
    let profiles = cx.store().read(cx.call(), &reads).await;
    assert_eq!(profiles.len(), USERS);
    for (at, (user, profile)) in users.iter().zip(&profiles).enumerate() {
        let profile = profile.as_ref().unwrap();
        let value = profile.get("k").map(|entry| entry.value.as_str());
        let expected = (at % 4 == 0).then(|| format!("\"{}\"", user.user));
        assert_eq!(value, expected.as_deref(), "{}", user.user);
        assert_eq!(profile.len(), usize::from(at % 4 == 0));
    }
    Ok(())
}

pub(crate) async fn largest_write_is_applied_whole(cx: Context) -> CaseResult {
    let user = cx.user("ann");
    let name = |at: usize| format!("key {at}");
    let taken: Vec<(String, Entry)> =
        (0..MAX_CHANGES).step_by(64).map(|at| (name(at), entry("taken"))).collect();
    cx.store().write_one(cx.call(), inserts(&user, taken.clone())).await;
    let new: Vec<(String, Entry)> =
        (0..MAX_CHANGES).map(|at| (name(at), entry(&format!("value {at}")))).collect();
    let answers = outcomes(cx.store().write_one(cx.call(), inserts(&user, new.clone())).await);
    assert_eq!(answers.len(), MAX_CHANGES);
    for (at, answer) in answers.into_iter().enumerate() {
        let expected = if at % 64 == 0 { Outcome::Kept(taken[at / 64].1.clone()) } else { Outcome::Inserted };
        assert_eq!(answer, expected, "key {at}");
    }
    let stands = |at: usize| if at.is_multiple_of(64) { &taken[at / 64] } else { &new[at] };
    let expected: Vec<(&str, &Entry)> =
        (0..MAX_CHANGES).map(|at| (stands(at).0.as_str(), &stands(at).1)).collect();
    act::assert_holds(&cx, &user, &expected).await;
    // As many in one read.
    let keys = Keys::only((0..MAX_CHANGES).map(|at| key(&name(at)))).unwrap();
    let profile = cx.store().read_one(cx.call(), Read::some(user, keys)).await.unwrap();
    assert_eq!(profile.len(), MAX_CHANGES);
    Ok(())
}

pub(crate) async fn each_user_of_a_write_has_its_own_answers(cx: Context) -> CaseResult {
    const USERS: usize = 40;
    const KEYS: usize = 5;
    let user = |at: usize| cx.user(&format!("user {at}"));
    let name = |at: usize| format!("key {at}");
    let own = |at: usize, place: usize| format!("{at} {place}");
    // Of user n, key n % 5 is taken.
    let mut taken = Vec::new();
    for at in 0..USERS {
        taken.push(entry("taken"));
        act::put(&cx, &user(at), &name(at % KEYS), &taken[at]).await;
    }
    let entries: Vec<Vec<(String, Entry)>> =
        (0..USERS).map(|at| (0..KEYS).map(|place| (name(place), entry(&own(at, place)))).collect()).collect();
    let writes: Vec<Write> =
        entries.iter().enumerate().map(|(at, entries)| inserts(&user(at), entries.clone())).collect();
    let answers = cx.store().write(cx.call(), &writes).await;
    assert_eq!(answers.len(), USERS);
    for (at, answers) in answers.into_iter().enumerate() {
        let expected = |place| match place == at % KEYS {
            true => Outcome::Kept(taken[at].clone()),
            false => Outcome::Inserted,
        };
        assert_eq!(outcomes(answers), (0..KEYS).map(expected).collect::<Vec<_>>(), "user {at}");
        let mut expected = entries[at].clone();
        expected[at % KEYS].1 = taken[at].clone();
        let expected: Vec<(&str, &Entry)> = expected.iter().map(|(at, entry)| (at.as_str(), entry)).collect();
        act::assert_holds(&cx, &user(at), &expected).await;
    }
    Ok(())
}
