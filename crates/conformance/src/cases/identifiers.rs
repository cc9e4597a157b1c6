//! Every non-empty string is its own user, its own key and its own namespace, verbatim.
//!
//! The identifiers themselves are listed by what is nasty about them in `nasty`. That too long or empty ones are
//! refused is the newtypes' business, before any store.

mod any;
mod borders;
mod nasty;
mod patterns;

pub(crate) use any::*;
pub(crate) use borders::*;
pub(crate) use patterns::*;

use std::collections::BTreeSet;

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _};
use stickystore_core::{
    Change, Entry, EpochCheck, Key, MAX_CHANGES, Namespace, Outcome, Revision, Subject, UserId, Write,
};

use crate::act::load;
use crate::context::{CaseResult, Context, key};
use crate::scene::LONG;
use crate::seen::{assert_answer, assert_entry, shortened};

pub(crate) async fn lengths_up_to_the_limit(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::lengths()).await;
    Ok(())
}

pub(crate) async fn long_ids_that_differ_in_one_byte(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::long_and_alike()).await;
    Ok(())
}

pub(crate) async fn characters_of_many_bytes(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::multi_byte()).await;
    Ok(())
}

pub(crate) async fn case_and_unicode_forms_are_not_folded(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::FOLDED).await;
    Ok(())
}

pub(crate) async fn white_space_and_controls_are_not_trimmed(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::WHITE).await;
    Ok(())
}

pub(crate) async fn commands_reach_no_other_key(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::COMMANDS).await;
    Ok(())
}

pub(crate) async fn separators_separate_nothing(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::separated()).await;
    Ok(())
}

pub(crate) async fn names_with_a_meaning_elsewhere_have_none(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::MEANINGFUL).await;
    Ok(())
}

pub(crate) async fn hash_tags_are_literal(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::TAGS).await;
    Ok(())
}

pub(crate) async fn globs_are_literal(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::GLOBS).await;
    Ok(())
}

pub(crate) async fn percent_signs_and_escapes_are_literal(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::ESCAPED).await;
    Ok(())
}

pub(crate) async fn numbers_and_booleans_stay_strings(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::TYPED).await;
    Ok(())
}

pub(crate) async fn queries_and_documents_stay_strings(cx: Context) -> CaseResult {
    are_all_different(&cx, &nasty::CODE).await;
    Ok(())
}

pub(crate) async fn prefixes_are_others(cx: Context) -> CaseResult {
    are_all_different(&cx, &["a", "ab", "abc", "a:", "a:b", "a:b:c", "aa", "aaa", "b", "ba"]).await;
    Ok(())
}

/// Asserts that no two of these are the same, as keys, as users, as both, and as namespaces.
async fn are_all_different(cx: &Context, ids: &[impl AsRef<str> + Sync]) {
    let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "the case itself lists each once");
    // A namespace stands verbatim, so it is shared with other runs; this user is the case's own.
    let own = Revision::random().to_string();
    let places = |role: &'static str| {
        let place = |id: &&str| match role {
            "key" => (cx.user("user"), key(id)),
            "user" => (cx.user(id), key("key")),
            "user and key" => (cx.user(id), key(id)),
            _ => (subject(id, &own), key("key")),
        };
        ids.iter().map(place).collect::<Vec<_>>()
    };
    for role in ["key", "user", "user and key", "namespace"] {
        let places = places(role);
        let marked: Vec<_> = places.iter().enumerate().map(|(n, _)| numbered(cx, n)).collect();
        let named = |n: usize| format!("{:?} as {role}", shortened(ids[n]));
        insert_all(cx, &places, &marked, &named).await;
        stand_all(cx, &places, &marked, &named).await;
        remove_each_other(cx, &places, &marked, &named).await;
    }
}

/// Inserts each in its place; a place that is taken already is one that two share.
async fn insert_all(
    cx: &Context,
    places: &[(Subject, Key)],
    marked: &[Entry],
    named: &(impl Fn(usize) -> String + Sync),
) {
    let change = |(n, (_, key)): (usize, &(Subject, Key))| Change::Insert(key.clone(), marked[n].clone());
    let changes = places.iter().enumerate().map(change).collect();
    for (n, answer) in write_each(cx, places, changes).await.iter().enumerate() {
        assert_answer(answer, &Outcome::Inserted, &format!("{} is its own", named(n)));
    }
}

/// Asserts that each has its own entry, by a read of it alone and by a read of all that its user has.
async fn stand_all(
    cx: &Context,
    places: &[(Subject, Key)],
    marked: &[Entry],
    named: &(impl Fn(usize) -> String + Sync),
) {
    for (n, (subject, key)) in places.iter().enumerate() {
        let found = cx.store().get(cx.call(), subject, key).await.expect("a get is answered");
        assert_entry(found.as_ref(), Some(&marked[n]), &format!("get of {}", named(n)));
    }
    for (subject, keys) in by_user(places) {
        let profile = load(cx, subject).await;
        let found: Vec<_> = profile.entries().map(|(key, _)| key.as_str()).collect();
        let mut wanted: Vec<_> = keys.iter().map(|&n| places[n].1.as_str()).collect();
        wanted.sort_unstable();
        assert!(found == wanted, "load gives the keys verbatim and no others, as {}", named(keys[0]));
        for n in keys {
            let found = profile.get(places[n].1.as_str());
            assert_entry(found, Some(&marked[n]), &format!("load of {}", named(n)));
        }
    }
}

/// Removes every other one, and the rest stands; then the rest, and nothing does.
async fn remove_each_other(
    cx: &Context,
    places: &[(Subject, Key)],
    marked: &[Entry],
    named: &(impl Fn(usize) -> String + Sync),
) {
    for kept in [1, 0] {
        let split = |wanted: usize| (0..places.len()).filter(move |n| n % 2 == wanted).collect::<Vec<_>>();
        let (gone, stay) = (split(1 - kept), split(kept));
        let at = |these: &[usize]| these.iter().map(|&n| places[n].clone()).collect::<Vec<_>>();
        let changes = gone.iter().map(|&n| Change::RemoveIf(places[n].1.clone(), marked[n].revision));
        for (answer, &n) in write_each(cx, &at(&gone), changes.collect()).await.iter().zip(&gone) {
            assert_answer(answer, &Outcome::Removed, &format!("{} is there to remove", named(n)));
        }
        if kept == 1 {
            let marked: Vec<_> = stay.iter().map(|&n| marked[n].clone()).collect();
            stand_all(cx, &at(&stay), &marked, &|n| named(stay[n])).await;
        }
    }
    for (n, (subject, _)) in places.iter().enumerate() {
        assert!(load(cx, subject).await.is_empty(), "{} was removed", named(n));
    }
}

/// Makes each change in its place; those of one user in one write, all of them in one call.
async fn write_each(
    cx: &Context,
    places: &[(Subject, Key)],
    changes: Vec<Change>,
) -> Vec<stickystore_core::Result<Outcome>> {
    let users = by_user(places);
    let mut writes = Vec::new();
    for (subject, numbers) in &users {
        assert!(numbers.len() <= MAX_CHANGES, "the case lists few enough for one write");
        let changes = numbers.iter().map(|&n| changes[n].clone()).collect();
        let write = Write::new((*subject).clone(), EpochCheck::Is(None), changes);
        writes.push(write.expect("the case names each key once"));
    }
    let answers = cx.store().write(cx.call(), &writes).await;
    let mut by_number: Vec<_> = users.values().flatten().zip(answers.concat()).collect();
    assert_eq!(by_number.len(), places.len(), "each change has an answer");
    by_number.sort_by_key(|(n, _)| **n);
    by_number.into_iter().map(|(_, answer)| answer).collect()
}

/// The places of each user, by their numbers.
fn by_user(places: &[(Subject, Key)]) -> std::collections::BTreeMap<&Subject, Vec<usize>> {
    let mut users = std::collections::BTreeMap::<_, Vec<_>>::new();
    for (n, (subject, _)) in places.iter().enumerate() {
        users.entry(subject).or_default().push(n);
    }
    users
}

/// An entry that no other is, and that leaves by itself should the case fail: some stand in namespaces that others
/// may use.
fn numbered(cx: &Context, n: usize) -> Entry {
    cx.until(&format!("entry {n}"), LONG)
}

fn subject(namespace: &str, user: &str) -> Subject {
    let namespace = Namespace::new(namespace).expect("the case names a valid namespace");
    Subject::new(namespace, UserId::new(user).expect("the case names a valid user"))
}
