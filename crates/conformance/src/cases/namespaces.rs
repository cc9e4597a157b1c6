//! The same user in two namespaces is two users, for every operation.

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Epoch, EpochCheck, Namespace, Outcome, Profile, Read,
    Subject, UserId, Write,
};

use crate::act;
use crate::context::{CaseResult, Context, entry, key};

/// How long marks last here, in milliseconds.
const MARK: u64 = 600_000;

/// A user and its namesake in another namespace.
fn pair(cx: &Context) -> (Subject, Subject) {
    let here = cx.user("ann");
    let there = Subject::new(cx.other_namespace(), here.user.clone());
    (here, there)
}

pub(crate) async fn same_user_in_two_is_independent(cx: Context) -> CaseResult {
    let (here, there) = pair(&cx);
    let [mine, theirs, new] = ["mine", "theirs", "new"].map(entry);
    let change = async |user: &Subject, change| {
        cx.store().change(cx.call(), user, EpochCheck::Is(None), change).await.unwrap()
    };
    let insert = |entry: &stickystore_core::Entry| Change::Insert(key("k"), entry.clone());
    assert_eq!(change(&here, insert(&mine)).await, Outcome::Inserted);
    act::assert_holds(&cx, &there, &[]).await;
    assert_eq!(change(&there, insert(&theirs)).await, Outcome::Inserted, "no winner from elsewhere");
    act::assert_holds(&cx, &here, &[("k", &mine)]).await;
    assert_eq!(change(&here, insert(&new)).await, Outcome::Kept(mine.clone()), "its own winner");
    // A revision proves nothing elsewhere.
    let replace = |read, entry: &stickystore_core::Entry| Change::Replace(key("k"), read, entry.clone());
    assert_eq!(change(&there, replace(mine.revision, &new)).await, Outcome::Kept(theirs.clone()));
    assert_eq!(
        change(&there, Change::RemoveIf(key("k"), mine.revision)).await,
        Outcome::Kept(theirs.clone())
    );
    assert_eq!(change(&here, replace(mine.revision, &new)).await, Outcome::Replaced);
    act::assert_holds(&cx, &there, &[("k", &theirs)]).await;
    assert_eq!(change(&there, Change::Put(key("k"), mine.clone())).await, Outcome::Written);
    act::assert_holds(&cx, &here, &[("k", &new)]).await;
    assert_eq!(change(&here, Change::RemoveIf(key("k"), new.revision)).await, Outcome::Removed);
    act::assert_holds(&cx, &there, &[("k", &mine)]).await;
    assert_eq!(change(&here, Change::Put(key("k"), new.clone())).await, Outcome::Written);
    assert_eq!(change(&there, Change::Remove(key("k"))).await, Outcome::Removed);
    act::assert_holds(&cx, &here, &[("k", &new)]).await;
    act::assert_holds(&cx, &there, &[]).await;
    Ok(())
}

pub(crate) async fn erase_and_its_mark_stay_in_theirs(cx: Context) -> CaseResult {
    let (here, there) = pair(&cx);
    let stands = entry("stands");
    act::put(&cx, &here, "k", &stands).await;
    act::put(&cx, &there, "k", &stands).await;
    let erasure = cx.erase(&here, MARK);
    assert!(cx.store().erase_one(cx.call(), erasure.clone()).await.unwrap());
    act::assert_holds(&cx, &there, &[("k", &stands)]).await;
    assert_eq!(act::load(&cx, &there).await.epoch(), None);
    assert_eq!(act::insert(&cx, &there, EpochCheck::Is(None), "new", &stands).await, Outcome::Inserted);
    let known = EpochCheck::Is(Some(erasure.epoch));
    assert_eq!(act::insert(&cx, &there, known, "newer", &stands).await, Outcome::Erased, "no mark of theirs");
    // The same epoch elsewhere is another erasure, not a retry.
    let theirs = erasure.with_subject(there.clone());
    assert!(cx.store().erase_one(cx.call(), theirs).await.unwrap());
    act::assert_holds(&cx, &there, &[]).await;
    Ok(())
}

/// In one call, too, where a store may put things together by user.
pub(crate) async fn one_call_keeps_them_apart(cx: Context) -> CaseResult {
    let (here, there) = pair(&cx);
    let [mine, theirs] = ["mine", "theirs"].map(entry);
    let write = |user: &Subject, entry: &stickystore_core::Entry| {
        let change = Change::Insert(key("k"), entry.clone());
        Write::new(user.clone(), EpochCheck::Is(None), vec![change]).expect("one change")
    };
    let answers = cx.store().write(cx.call(), &[write(&here, &mine), write(&there, &theirs)]).await;
    assert!(answers.into_iter().flatten().all(|answer| answer.unwrap() == Outcome::Inserted));
    let reads = [&there, &here, &there].map(|user| Read::all(user.clone()));
    let profiles: Vec<Profile> =
        cx.store().read(cx.call(), &reads).await.into_iter().map(Result::unwrap).collect();
    let found: Vec<_> = profiles.iter().map(|profile| profile.get("k")).collect();
    assert_eq!(found, [Some(&theirs), Some(&mine), Some(&theirs)]);
    let nobody = Subject::new(cx.other_namespace(), UserId::new("nobody").expect("it is short"));
    let erases = [cx.erase(&nobody, MARK), cx.erase(&there, MARK)];
    let stood: Vec<bool> =
        cx.store().erase(cx.call(), &erases).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(stood, [false, true]);
    act::assert_holds(&cx, &here, &[("k", &mine)]).await;
    Ok(())
}

pub(crate) async fn scan_gives_each_its_own(cx: Context) -> CaseResult {
    if cx.store().scan().is_none() {
        return Err(crate::context::Skip::because("the store cannot scan"));
    }
    let (here, there) = pair(&cx);
    let [mine, theirs] = ["mine", "theirs"].map(entry);
    act::put(&cx, &here, "k", &mine).await;
    act::put(&cx, &there, "k", &theirs).await;
    for (user, entry) in [(&here, &mine), (&there, &theirs)] {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = cx.store().scan_users(cx.call(), &user.namespace, cursor.as_ref(), 100).await.unwrap();
            found.extend(page.users);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(found.len(), 1);
        assert_eq!((&found[0].0, found[0].1.get("k")), (&user.user, Some(entry)));
    }
    Ok(())
}

/// However a store joins namespace, user and key: where one ends and the next begins is never in doubt.
pub(crate) async fn boundary_to_the_user_is_exact(cx: Context) -> CaseResult {
    let space = |suffix: &str| Namespace::new(format!("{}{suffix}", cx.namespace())).expect("it is short");
    let subject =
        |suffix: &str, user: &str| Subject::new(space(suffix), UserId::new(user).expect("not empty"));
    let separators = [":", "|", "/", "\\", ".", "\0", "\r\n", " ", "%", "%3A", "{", "}", "é", "1:", "\u{1f}"];
    for (turn, separator) in separators.into_iter().enumerate() {
        let seam = format!("s{turn}");
        // Two ways to cut one text into three, and what a doubled separator may become.
        let twins = [
            (subject(&seam, &format!("b{separator}c")), "d".to_owned()),
            (subject(&format!("{seam}{separator}b"), "c"), "d".to_owned()),
            (subject(&seam, "b"), format!("c{separator}d")),
            (subject(&seam, &format!("b{separator}{separator}c")), "d".to_owned()),
            (subject(&seam, &format!("b{separator}c{separator}")), "d".to_owned()),
            (subject(&seam, &format!("{separator}b{separator}c")), "d".to_owned()),
            (subject(&format!("{seam}{separator}"), &format!("b{separator}c")), "d".to_owned()),
        ];
        let entries: Vec<_> = (0..twins.len()).map(|at| entry(&at.to_string())).collect();
        for ((user, at), entry) in twins.iter().zip(&entries) {
            let inserted = act::insert(&cx, user, EpochCheck::Is(None), at, entry).await;
            assert_eq!(inserted, Outcome::Inserted, "{separator:?}");
        }
        for ((user, at), entry) in twins.iter().zip(&entries) {
            act::assert_holds(&cx, user, &[(at, entry)]).await;
        }
        let (erased, others) = twins.split_first().expect("there are seven");
        let mark = cx.erase(&erased.0, MARK).with_epoch(Epoch::random());
        assert!(cx.store().erase_one(cx.call(), mark).await.unwrap());
        for ((user, at), entry) in others.iter().zip(&entries[1..]) {
            act::assert_holds(&cx, user, &[(at, entry)]).await;
            assert_eq!(act::load(&cx, user).await.epoch(), None, "{separator:?}");
        }
    }
    Ok(())
}
