//! What stands in the store: how an assignment is written down, and what is foreign or damaged.

use stickystore_core::{Error, ErrorKind};
use stickystore_services::growthbook::Document;
use stickystore_services::{Saved, Why};

use crate::bench::Bench;

#[test]
fn an_assignment_is_the_variations_key_as_a_json_string() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("a__0", "Wärme \"2\"\n")]).unwrap();
    assert_eq!(bench.stored("a__0").unwrap().value.as_str(), r#""Wärme \"2\"\n""#);
    assert_eq!(bench.service.assignments("id", "ann").unwrap()["a__0"], "Wärme \"2\"\n");
}

#[test]
fn entries_of_another_shape_are_counted_not_handed_out_and_not_overwritten() {
    let bench = Bench::new();
    let foreign =
        [("e1", "{\"variation_id\":\"red\"}"), ("b__0", "1"), ("c__0", "{\"x\":1}"), ("d__x", "\"1\"")];
    for (key, text) in foreign {
        bench.put(key, text);
    }
    bench.service.save("id", "ann", [("a__0", "1")]).unwrap();
    let document = bench.service.document("id", "ann").unwrap();
    assert_eq!((document.foreign(), document.damaged()), (foreign.len(), 0));
    assert_eq!(document.into_assignments().into_iter().collect::<Vec<_>>(), [("a__0".into(), "1".into())]);
    let report = bench.service.save("id", "ann", [("b__0", "1"), ("c__0", "1")]).unwrap();
    for key in ["b__0", "c__0"] {
        let saved = report.get(key);
        assert!(
            matches!(saved, Some(Saved::Kept { why: Why::Unproven, winner: Some(_) })),
            "{key}: {saved:?}"
        );
    }
    for (key, text) in foreign {
        assert_eq!(bench.stored(key).unwrap().value.as_str(), text);
    }
}

#[test]
fn a_damaged_entry_is_counted_hides_no_other_and_stays() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("a__0", "1")]).unwrap();
    bench.damage("b__0");
    let document = bench.service.document("id", "ann").unwrap();
    assert_eq!((document.damaged(), document.assignments().len()), (1, 1));
    let report = bench.service.save("id", "ann", [("b__0", "1"), ("c__0", "1")]).unwrap();
    assert_eq!(report.error().map(Error::kind), Some(ErrorKind::Corrupt));
    assert!(matches!(report.get("c__0"), Some(Saved::Inserted)), "{report:?}");
    assert_eq!(bench.service.document("id", "ann").unwrap().damaged(), 1);
}

#[test]
fn an_experiment_may_have_the_separator_in_its_own_key() {
    let bench = Bench::new();
    bench.service.save("id", "ann", [("my__exp__12", "1"), ("a__-1", "0")]).unwrap();
    assert_eq!(bench.service.document("id", "ann").unwrap().foreign(), 0);
    assert_eq!(bench.service.assignments("id", "ann").unwrap().len(), 2);
}

#[test]
fn what_could_not_be_handed_out_again_is_refused_and_fails_no_other() {
    let bench = Bench::new();
    let text = r#"{"attributeName":"id","attributeValue":"ann",
        "assignments":{"a__0":"1","b__0":1,"c__0":null,"d":"1","":"1","e__":"1","e__x":"1"}}"#;
    let report = bench.service.save_json(text).unwrap();
    for (key, saved) in report.iter().filter(|(key, _)| *key != "a__0") {
        let Saved::Failed { error } = saved else { panic!("{key}: {saved:?}") };
        assert_eq!(error.kind(), ErrorKind::Invalid, "{key}");
    }
    assert_eq!(report.iter().len(), 7);
    assert!(matches!(report.get("a__0"), Some(Saved::Inserted)), "{report:?}");
    let long = format!("{}__0", "x".repeat(5_000));
    let report = bench.service.save("id", "ann", [(long.as_str(), "1"), ("f__0", "1")]).unwrap();
    assert!(matches!(report.get(&long), Some(Saved::Failed { .. })), "{report:?}");
    assert_eq!(bench.service.assignments("id", "ann").unwrap().len(), 2);
}

#[test]
fn a_document_comes_back_from_its_own_json() {
    let document = Document::new("id", "a\"b||c").with([("a__0", "1"), ("b__0", "x\ny")]);
    assert_eq!(Document::parse(&document.to_json()).unwrap(), document);
}
