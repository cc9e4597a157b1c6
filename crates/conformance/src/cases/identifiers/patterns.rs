//! One user or key is taken away, or looked for: those that only look like it stay.

use std::collections::BTreeSet;

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _};
use stickystore_core::{Change, Outcome, Read, Subject};

use super::nasty;
use crate::act::{change, get, load, put, put_all};
use crate::context::{CaseResult, Context, Skip, entry, key};
use crate::scene::LONG;
use crate::seen::{assert_entry, assert_profile, assert_view, profile_view};

/// How many users a page of the scan gives: few, so that the cursor, too, stands on nasty ids.
const PAGE: usize = 3;

pub(crate) async fn erasing_a_user_leaves_longer_ones(cx: Context) -> CaseResult {
    let elsewhere = |id: &str| Subject::new(cx.other_namespace(), cx.user(id).user);
    let users = ["ab", "a:b", "a:", "A", "a ", "aa", "b"].map(|id| cx.user(id));
    let others: Vec<_> = users.into_iter().chain([elsewhere("a"), elsewhere("ab")]).collect();
    erasing_leaves(&cx, &cx.user("a"), &others).await;
    Ok(())
}

pub(crate) async fn erasing_a_glob_leaves_what_it_matches(cx: Context) -> CaseResult {
    for glob in ["*", "a*", "?", "[ab]", "%"] {
        let others: Vec<_> = nasty::GLOBS.iter().filter(|id| **id != glob).map(|id| cx.user(id)).collect();
        erasing_leaves(&cx, &cx.user(glob), &others).await;
    }
    Ok(())
}

pub(crate) async fn removing_a_glob_leaves_what_it_matches(cx: Context) -> CaseResult {
    let user = cx.user("user");
    for glob in ["*", "a*", "?", "[ab]", "%"] {
        let entries = nasty::GLOBS.map(|at| (at, entry(at)));
        put_all(&cx, &user, &entries).await;
        assert_eq!(change(&cx, &user, Change::Remove(key(glob))).await, Outcome::Removed);
        let left: Vec<_> = entries.into_iter().filter(|(at, _)| *at != glob).collect();
        assert_profile(&load(&cx, &user).await, &left, &format!("{glob:?} was removed and nothing else"));
    }
    Ok(())
}

pub(crate) async fn absent_look_alikes_are_absent(cx: Context) -> CaseResult {
    let user = cx.user("User-1");
    put(&cx, &user, "Key-1", &entry("red")).await;
    for at in
        ["key-1", "Key-1 ", " Key-1", "Key-1\0", "Key", "Key-", "Key-10", "*", "Key-?", "Key%2D1", "Key-01"]
    {
        assert_entry(get(&cx, &user, at).await.as_ref(), None, &format!("{at:?} was never written"));
        let outcome = change(&cx, &user, Change::Remove(key(at))).await;
        assert_eq!(outcome, Outcome::WasAbsent, "{at:?} was never written");
    }
    for id in ["user-1", "User-1 ", " User-1", "User-1\0", "User", "User-", "User-10", "*", "User%2D1"] {
        assert!(load(&cx, &cx.user(id)).await.is_empty(), "{id:?} was never written");
        let stood = cx.store().erase_one(cx.call(), cx.erase(&cx.user(id), LONG)).await.unwrap();
        assert!(!stood, "{id:?} was never written");
    }
    assert_eq!(load(&cx, &user).await.len(), 1, "what was written stays");
    Ok(())
}

pub(crate) async fn scan_gives_ids_verbatim(cx: Context) -> CaseResult {
    let Some(scan) = cx.store().scan() else {
        return Err(Skip::because("declared: the store cannot scan"));
    };
    let separated = nasty::separated();
    let ids = nasty::WHITE.iter().chain(&nasty::GLOBS).chain(&nasty::MEANINGFUL).chain(&nasty::COMMANDS);
    let ids: BTreeSet<&str> = ids.copied().chain(separated.iter().map(String::as_str)).collect();
    for id in &ids {
        put(&cx, &cx.user(id), id, &entry(id)).await;
    }
    let (mut found, mut cursor) = (BTreeSet::new(), None);
    loop {
        let page = scan.scan_page(cx.call(), cx.namespace(), cursor.as_ref(), PAGE).await.unwrap();
        for (user, profile) in page.users {
            assert!(ids.contains(user.as_str()), "{user:?} was never written");
            let only: Vec<_> = profile.entries().map(|(key, _)| key.as_str()).collect();
            assert_eq!(only, [user.as_str()], "a scanned user has its own keys");
            found.insert(user);
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let missing: Vec<_> = ids.iter().filter(|id| !found.contains(**id)).collect();
    assert!(missing.is_empty(), "the scan gives every user, but not {missing:?}");
    Ok(())
}

async fn erasing_leaves(cx: &Context, erased: &Subject, others: &[Subject]) {
    let stays = entry("stays");
    for user in others.iter().chain([erased]) {
        put(cx, user, "key", &stays).await;
    }
    let view = async || {
        let reads: Vec<_> = others.iter().cloned().map(Read::all).collect();
        cx.store().read(cx.call(), &reads).await.iter().map(profile_view).collect::<Vec<_>>()
    };
    let before = view().await;
    let stood = cx.store().erase_one(cx.call(), cx.erase(erased, LONG)).await.unwrap();
    assert!(stood, "{:?} stood", erased.user);
    assert_eq!(load(cx, erased).await.len(), 0, "{:?} was erased", erased.user);
    for ((found, wanted), user) in view().await.iter().zip(&before).zip(others) {
        assert_view(found, wanted, &format!("{:?} is not {:?}, which was erased", user.user, erased.user));
    }
}
