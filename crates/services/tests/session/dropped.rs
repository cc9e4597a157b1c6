//! A session that ends without its commit: its view, and what is said of it.

use stickystore_core::ErrorKind;

use crate::bench::{Bench, lookup, with};

#[test]
fn its_view_looks_up_and_saves_no_more() {
    let bench = Bench::new();
    bench.put("A");
    let session = bench.begin();
    let view = session.view().clone();
    session.commit();
    drop(session);
    assert_eq!(lookup(&view, "ann").variation("e1"), Some("A"));
    let error = view.save(&with(lookup(&view, "ann"), "e1", "B")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(view.assign("ann", "k", || "v").unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(view.set(&crate::bench::record("red", "")).unwrap_err().kind(), ErrorKind::Closed);
}

#[cfg(feature = "metrics")]
#[test]
fn it_is_counted_unless_it_is_meant() {
    let told = crate::counted::counted(|| {
        let bench = Bench::new();
        let session = bench.begin();
        session.view().assign("ann", "k", || "v").unwrap();
        session.view().assign("bob", "k", || "v").unwrap();
        drop(session);
        let session = bench.begin();
        session.view().assign("ann", "k", || "v").unwrap();
        session.discard();
        let session = bench.begin();
        session.view().assign("ann", "k", || "v").unwrap();
        session.commit();
        drop(session);
    });
    assert_eq!(
        told,
        ["stickystore_saved_total{assign,inserted} 1", "stickystore_uncommitted_changes_total{memory} 2"]
    );
}
