//! Arbitrary identifiers, found and shrunk by a property test with a fixed seed.

use std::collections::BTreeSet;

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use stickystore_core::{AsyncStore as _, AsyncStoreExt as _};
use stickystore_core::{Change, EpochCheck, Key, Namespace, Outcome, Revision, Subject, UserId, Write};

use super::numbered;
use crate::act::load;
use crate::context::{CaseResult, Context, key};

/// How many sets are tried; more would find more, and take a slow server's time.
const SETS: u32 = 24;

/// How often a failure may be made smaller before it is shown.
const SHRINKS: u32 = 200;

/// An end of a namespace, a user and a key.
type Place = (String, String, String);

pub(crate) async fn arbitrary_strings_never_meet(cx: Context) -> CaseResult {
    let config =
        Config { cases: SETS, max_shrink_iters: SHRINKS, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let runtime = tokio::runtime::Handle::current();
    let found = tokio::task::block_in_place(|| {
        runner.run(&btree_set((part(), part(), part()), 2..12), |places| {
            runtime.block_on(never_meet(&cx, &places))
        })
    });
    found.unwrap_or_else(|failure| panic!("{failure}"));
    Ok(())
}

/// Mostly what layouts stumble over, in many short combinations; sometimes anything; sometimes long.
fn part() -> impl Strategy<Value = String> {
    let stumbles = prop::sample::select(vec![
        "a",
        "b",
        "A",
        ":",
        "|",
        "/",
        "\\",
        "%",
        ".",
        "$",
        "*",
        "{",
        "}",
        "\"",
        "'",
        "_",
        "-",
        "0",
        "1",
        " ",
        "\0",
        "\r\n",
        "\t",
        "\u{7f}",
        "\u{e9}",
        "e\u{301}",
        "\u{1f600}",
    ]);
    let short = vec(stumbles.clone(), 1..5).prop_map(|parts| parts.concat());
    let long = (stumbles, 60..140_usize, ".").prop_map(|(part, times, end)| part.repeat(times) + &end);
    prop_oneof![6 => short, 3 => "\\PC{1,8}", 1 => any::<String>().prop_map(|text| text + "x"), 1 => long]
}

async fn never_meet(cx: &Context, places: &BTreeSet<Place>) -> Result<(), TestCaseError> {
    // A beginning of its own for each set, also while one is made smaller.
    let own = format!("{}/{}", cx.namespace(), Revision::random());
    let places: Vec<(Subject, Key)> = places
        .iter()
        .map(|(namespace, user, at)| {
            let namespace = Namespace::new(format!("{own}{namespace}")).expect("it fits");
            (Subject::new(namespace, UserId::new(user.as_str()).expect("it fits")), key(at))
        })
        .collect();
    let entries: Vec<_> = (0..places.len()).map(|n| numbered(cx, n)).collect();
    let insert = |((subject, key), entry): (&(Subject, Key), &_)| {
        let change = Change::Insert(key.clone(), stickystore_core::Entry::clone(entry));
        Write::new(subject.clone(), EpochCheck::Is(None), vec![change]).expect("it is one change")
    };
    let writes: Vec<_> = places.iter().zip(&entries).map(insert).collect();
    for (answer, place) in cx.store().write(cx.call(), &writes).await.concat().iter().zip(&places) {
        prop_assert_eq!(answer.as_ref().ok(), Some(&Outcome::Inserted), "{:?} is its own", place);
    }
    for ((subject, at), entry) in places.iter().zip(&entries) {
        let found = cx.store().get(cx.call(), subject, at).await.ok().flatten();
        prop_assert_eq!(found.as_ref(), Some(entry), "get of {:?} of {:?}", at, subject);
        let found: BTreeSet<_> = load(cx, subject).await.into_iter().map(|(at, _)| at).collect();
        let wanted = places.iter().filter(|(other, _)| other == subject).map(|(_, at)| at.clone()).collect();
        prop_assert_eq!(&found, &wanted, "load of {:?}", subject);
    }
    Ok(())
}
