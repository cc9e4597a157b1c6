//! Whose assignments are whose: no two attributes share a user, and ordinary ones can be read.

use proptest::prelude::*;
use stickystore_core::ErrorKind;
use stickystore_services::growthbook::user_id;

use crate::bench::Bench;

#[test]
fn user_ids_are_frozen() {
    // The name, the value and the id, each as a JSON string.
    let golden = include_str!("../../golden/growthbook-users-v1.jsonl");
    for line in golden.lines() {
        let [name, value, id]: [String; 3] = serde_json::from_str(line).unwrap();
        assert_eq!(user_id(&name, &value), id, "{line}");
    }
    assert_eq!(golden.lines().count(), 9);
}

#[test]
fn attributes_that_read_alike_have_each_their_own_assignments() {
    let bench = Bench::new();
    let alike = [("a||", "b"), ("a", "||b"), ("a|", "|b"), ("a", "b"), ("a%7C%7C", "b"), ("", "a||b")];
    for (variation, (name, value)) in alike.into_iter().enumerate() {
        bench.service.save(name, value, [("e__0", variation.to_string())]).unwrap();
    }
    for (variation, (name, value)) in alike.into_iter().enumerate() {
        assert_eq!(bench.service.assignments(name, value).unwrap()["e__0"], variation.to_string(), "{name}");
    }
}

#[test]
fn a_value_too_long_is_refused_by_both_and_nothing_is_sent() {
    let bench = Bench::new();
    let long = "x".repeat(4_093);
    assert_eq!(bench.service.document("id", &long).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(bench.service.save("id", &long, [("a__0", "1")]).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(bench.store.calls(), (0, 0));
    let fits = "x".repeat(4_092);
    bench.service.save("id", &fits, [("a__0", "1")]).unwrap();
    assert_eq!(bench.service.assignments("id", &fits).unwrap().len(), 1);
}

/// The attribute that an id was made of.
fn attribute(id: &str) -> (String, String) {
    let (name, value) = id.split_once("||").unwrap();
    (name.replace("%7C", "|").replace("%25", "%"), value.to_owned())
}

proptest! {
    #[test]
    fn an_id_tells_its_attribute(name in "[a|%257C]{0,8}", value in "[a|%257C]{0,8}") {
        prop_assert_eq!(attribute(&user_id(&name, &value)), (name, value));
    }

    #[test]
    fn a_name_without_bars_and_percents_stands_as_it_is(name in "[^|%]{0,8}", value in ".{0,8}") {
        prop_assert_eq!(user_id(&name, &value), format!("{name}||{value}"));
    }
}
