//! Where one identifier ends and the next begins: moving a border makes another place.

use std::collections::BTreeSet;

use stickystore_core::{Key, MAX_ID_BYTES, Namespace, Subject, UserId};

use super::{insert_all, numbered, remove_each_other, stand_all};
use crate::context::{CaseResult, Context, key};

/// What stores put between the parts of their keys, or could.
const SEPARATORS: [&str; 13] = [":", "|", "/", "\\", "\0", ".", ",", "-", "_", "#", " ", "\r\n", ""];

pub(crate) async fn border_of_user_and_key_is_kept(cx: Context) -> CaseResult {
    let place = |user: &str, at: &str| (cx.user(user), key(at));
    are_all_different(&cx, moved().iter().map(|(left, right)| place(left, right)).collect()).await;
    Ok(())
}

pub(crate) async fn border_of_namespace_and_user_is_kept(cx: Context) -> CaseResult {
    let place = |namespace: &str, user: &str| {
        let namespace = Namespace::new(format!("{}{namespace}", cx.namespace())).expect("it is short");
        (Subject::new(namespace, UserId::new(user).expect("it is short")), key("key"))
    };
    are_all_different(&cx, moved().iter().map(|(left, right)| place(left, right)).collect()).await;
    Ok(())
}

pub(crate) async fn border_of_namespace_and_key_is_kept(cx: Context) -> CaseResult {
    // The same three words in every order, and the same word moved from one end to the other.
    let mut places = Vec::new();
    for [first, second, third] in
        [["a", "b", "c"], ["a", "c", "b"], ["b", "a", "c"], ["b", "c", "a"], ["c", "a", "b"], ["c", "b", "a"]]
    {
        let namespace = Namespace::new(format!("{}{first}", cx.namespace())).expect("it is short");
        places.push((Subject::new(namespace, UserId::new(second).expect("it is short")), key(third)));
    }
    are_all_different(&cx, places).await;
    Ok(())
}

pub(crate) async fn lengths_written_into_ids_move_no_border(cx: Context) -> CaseResult {
    // For layouts that write each part with its length before it.
    let pairs = [("1:a", "b"), ("1", "a1:b"), ("1:a1", "b"), ("3:a:b", "c"), ("a", "3:b:c"), ("\u{1}a", "b")];
    let places = pairs.map(|(user, at)| (cx.user(user), key(at))).to_vec();
    are_all_different(&cx, places).await;
    Ok(())
}

pub(crate) async fn all_three_at_the_limit(cx: Context) -> CaseResult {
    let filled = |begin: &str, end: &str| {
        format!("{begin}{}{end}", "x".repeat(MAX_ID_BYTES - begin.len() - end.len()))
    };
    let mut places = Vec::new();
    for [namespace, user, at] in [["a", "a", "a"], ["b", "a", "a"], ["a", "b", "a"], ["a", "a", "b"]] {
        let namespace = Namespace::new(filled(cx.namespace().as_str(), namespace)).expect("it fits");
        let user = UserId::new(filled("", user)).expect("it fits");
        places.push((Subject::new(namespace, user), key(&filled("", at))));
    }
    are_all_different(&cx, places).await;
    Ok(())
}

/// Pairs that are the same text once they are joined by some separator, or without any.
fn moved() -> BTreeSet<(String, String)> {
    let mut pairs = BTreeSet::new();
    for by in SEPARATORS {
        let parts = [
            (format!("a{by}b"), "c".to_owned()),
            ("a".to_owned(), format!("b{by}c")),
            (format!("a{by}"), "b".to_owned()),
            ("a".to_owned(), format!("{by}b")),
            (format!("a{by}{by}"), "b".to_owned()),
            (format!("a{by}"), format!("{by}b")),
            ("a".to_owned(), format!("{by}{by}b")),
        ];
        pairs.extend(parts);
    }
    pairs
}

async fn are_all_different(cx: &Context, places: Vec<(Subject, Key)>) {
    let marked: Vec<_> = (0..places.len()).map(|n| numbered(cx, n)).collect();
    let named = |n: usize| format!("{:?} of {:?}", places[n].1, places[n].0);
    insert_all(cx, &places, &marked, &named).await;
    stand_all(cx, &places, &marked, &named).await;
    remove_each_other(cx, &places, &marked, &named).await;
}
