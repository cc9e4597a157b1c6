//! What an operator does by hand: put, remove, erase, export.

use stickystore::core::Erase;
use stickystore::core::{Call, StoreExt as _, SystemClock};

use crate::bench::{Surprised, ann};

#[test]
fn a_put_takes_the_place_of_what_stands_there() {
    let sticky = Surprised::default().sticky();
    sticky.assign("ann", "button", || "red").unwrap();
    sticky.assign("ann", "price", || "low").unwrap();
    let put = sticky.put("ann", "button", "blue").unwrap();
    assert_eq!(sticky.get("ann", "button").unwrap(), Some(put));
    assert_eq!(sticky.load("ann").unwrap().len(), 2);
    assert!(sticky.remove("ann", "button").unwrap());
    assert!(!sticky.remove("ann", "button").unwrap());
    assert_eq!(sticky.get("ann", "button").unwrap(), None);
    assert_eq!(sticky.load("ann").unwrap().len(), 1);
}

#[test]
fn an_erasure_says_what_it_did_and_what_it_left() {
    let store = Surprised::default();
    let sticky = store.sticky();
    sticky.assign("ann", "button", || "red").unwrap();
    let erasure = sticky.erase("ann").unwrap();
    assert!(erasure.stood);
    assert_eq!(erasure.may_return, None, "memory holds nothing that could come back");
    assert_eq!(sticky.load("ann").unwrap().epoch(), Some(erasure.epoch));
    assert!(!sticky.erase("ann").unwrap().stood);
    // The same erasure again, late, leaves alone what is newer.
    sticky.assign("ann", "button", || "blue").unwrap();
    let again = sticky.load("ann").unwrap().epoch().unwrap();
    let late = Erase::new(ann(), erasure.mark_until).with_epoch(again);
    let call = Call::within(&SystemClock, std::time::Duration::from_secs(5)).at(sticky.settings().call().now);
    assert!(store.store.erase_one(call, late).unwrap());
    assert_eq!(sticky.load("ann").unwrap().len(), 1);
}

#[test]
fn an_export_has_all_that_is_kept_of_a_user() {
    let store = Surprised::default();
    let sticky = store.sticky();
    let entry = sticky.put("ann \"a\"", "button", stickystore::Value::new(r#"{"n":1.50}"#).unwrap()).unwrap();
    let subject = sticky.settings().subject("ann \"a\"").unwrap();
    store.store.plant(&subject, stickystore::core::Key::new("bad").unwrap(), "rubbish");
    let export = sticky.export("ann \"a\"").unwrap();
    let entries = format!(r#"{{"button":{{"value":{{"n":1.50}},"revision":"{}"}}}}"#, entry.revision);
    let start = format!(r#"{{"namespace":"shop","user":"ann \"a\"","entries":{entries},"damaged":{{"bad":""#);
    assert!(export.starts_with(&start), "{export}");
    let nobody = r#"{"namespace":"shop","user":"bob","entries":{},"damaged":{}}"#;
    assert_eq!(sticky.export("bob").unwrap(), nobody);
}
