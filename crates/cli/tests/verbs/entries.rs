//! `assign`, `put`, `remove`, `erase`, `export`.

use crate::bench::Bench;

#[test]
fn the_first_value_is_kept_across_runs() {
    let bench = Bench::new();
    assert_eq!(bench.run(&["assign", "ann", "button", "red"]).says(0), "red (new)\n");
    assert_eq!(bench.run(&["assign", "ann", "button", "blue"]).says(0), "red (existing)\n");
    let json = bench.run(&["assign", "ann", "button", "blue", "--json"]).json(0);
    assert_eq!(json, serde_json::json!({"value": "red", "how": "existing"}));
}

#[test]
fn json_comes_from_stdin_as_it_is() {
    let bench = Bench::new();
    bench.run_with(&["assign", "ann", "button", "-"], r#"{"n":1.50}"#).says(0);
    let export = bench.run(&["export", "ann", "--json"]).says(0);
    assert!(export.contains(r#""value":{"n":1.50}"#), "{export}");
    let complaint = bench.run_with(&["put", "ann", "button", "-"], "{oops}").complains(2);
    assert!(complaint.contains("JSON"), "{complaint}");
    assert_eq!(bench.run(&["export", "ann", "--json"]).says(0), export, "nothing was lost");
}

#[test]
fn a_put_overrides_and_a_remove_takes_away() {
    let bench = Bench::new();
    bench.run(&["assign", "ann", "button", "red"]).says(0);
    assert_eq!(bench.run(&["put", "ann", "button", "blue"]).says(0), "blue (put)\n");
    assert_eq!(bench.run(&["export", "ann"]).says(0), "button  \"blue\"\n");
    assert_eq!(bench.run(&["remove", "ann", "button"]).says(0), "removed\n");
    assert_eq!(bench.run(&["remove", "ann", "button"]).says(1), "there was nothing\n");
    assert_eq!(
        bench.run(&["remove", "ann", "button", "--json"]).json(1),
        serde_json::json!({"removed": false})
    );
}

#[test]
fn an_erasure_takes_everything_of_one_user() {
    let bench = Bench::new();
    bench.run(&["assign", "ann", "button", "red"]).says(0);
    bench.run(&["assign", "bob", "button", "red"]).says(0);
    let erased = bench.run(&["erase", "ann", "--json"]).json(0);
    assert_eq!(erased["stood"], true);
    assert_eq!(erased.get("may_return"), None, "what is synced to the disk is gone for good");
    assert_eq!(bench.run(&["export", "ann"]).says(1), "nothing is kept of this user\n");
    assert_eq!(bench.run(&["erase", "ann"]).says(1), "there was nothing\n");
    assert_eq!(bench.run(&["export", "bob"]).says(0), "button  \"red\"\n");
}

#[test]
fn namespaces_are_apart_and_the_url_may_name_one() {
    let bench = Bench::new();
    bench.run(&["assign", "ann", "button", "red", "--namespace", "a&b"]).says(0);
    bench.run(&["export", "ann"]).says(1);
    let store = format!("{}?namespace=a%26b", bench.store());
    assert_eq!(bench.run_here(&["export", "ann", "--store", &store]).says(0), "button  \"red\"\n");
    let twice = bench.run_here(&["export", "ann", "--store", &store, "--namespace", "c"]).complains(2);
    assert!(twice.contains("\"namespace\" is given twice"), "{twice}");
}

#[test]
fn without_a_store_it_is_a_file_in_this_folder() {
    let bench = Bench::new();
    bench.run_here(&["assign", "ann", "button", "red"]).says(0);
    assert_eq!(bench.files(), ["stickystore.redb"]);
}

#[test]
fn what_is_wrong_is_named_and_no_store_is_made_for_it() {
    let bench = Bench::new();
    let says = |arguments: &[&str]| bench.run_here(arguments).complains(2);
    assert!(says(&["assign", "ann", "button", "red", "--store", "rdis://h"]).contains("did you mean redis?"));
    assert!(says(&["assign", "ann", "button", "red", "--store", "embedded:x?ttl=90"]).contains("90d"));
    assert!(says(&["assign", "", "button", "red", "--store", "memory:"]).contains("user id"));
    assert!(says(&["assign", "ann", "button"]).contains("<VALUE>"));
    assert_eq!(bench.files(), [""; 0]);
}

#[test]
fn what_a_terminal_would_act_on_is_shown_as_text() {
    let bench = Bench::new();
    bench.run(&["assign", "ann", "bell\u{7}", "\u{1b}[2J"]).says(0);
    let export = bench.run(&["export", "ann"]).says(0);
    assert_eq!(export, "bell\\u{7}  \"\\u001b[2J\"\n");
}

#[test]
fn what_a_terminal_of_eight_bits_would_act_on_is_shown_as_text_in_json_values_too() {
    let bench = Bench::new();
    let put = bench.run_with(&["put", "ann", "k", "-"], "{\"a\":\"\u{9b}2J\u{202e}\"}").says(0);
    let export = bench.run(&["export", "ann"]).says(0);
    for said in [put, export] {
        assert!(said.contains("\\u{9b}2J\\u{202e}") && !said.contains('\u{9b}'), "{said}");
    }
}

#[test]
fn an_input_without_an_end_is_not_read_to_its_end() {
    let bench = Bench::new();
    let complaint = bench.run(&["save", "/dev/zero"]).complains(2);
    assert!(complaint.contains("/dev/zero: has more than"), "{complaint}");
}
