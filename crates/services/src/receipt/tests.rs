//! The receipt by itself: its text, whose it is, and what it proves.

use proptest::prelude::*;
use stickystore_core::{Namespace, UserId};

use super::*;

fn subject(namespace: &str, user: &str) -> Subject {
    Subject::new(Namespace::new(namespace).unwrap(), UserId::new(user).unwrap())
}

fn revision(byte: u8) -> Revision {
    Revision::from_bytes([byte; 8])
}

fn receipt(entries: &[(&str, u8, &str)]) -> Receipt {
    let entries: Vec<_> = entries.iter().map(|&(key, byte, value)| (key, revision(byte), value)).collect();
    Receipt::new(&subject("shop", "ann"), None, 7, &entries)
}

#[test]
fn the_text_is_frozen() {
    let epoch = Some(Epoch::from_bytes([9; 8]));
    let entries = [("e1", revision(1), "red"), ("e2", revision(2), "blue")];
    let receipt = Receipt::new(&subject("shop", "ann"), epoch, 7, &entries);
    let golden = include_str!("../../golden/receipt-v1.txt").trim_end();
    assert_eq!(receipt.to_text(), golden);
    assert_eq!(Receipt::parse(golden).unwrap(), receipt);
}

#[test]
fn it_proves_what_was_read_and_tells_what_changed() {
    let receipt = receipt(&[("e1", 1, "red"), ("e2", 2, "blue")]);
    assert_eq!(receipt.proof("e1", "red"), Proof::Untouched);
    assert_eq!(receipt.proof("e1", "green"), Proof::Changed(revision(1)));
    assert_eq!(receipt.proof("e3", "red"), Proof::NotRead);
}

#[test]
fn an_entry_takes_about_22_characters() {
    let none = receipt(&[]).to_text().len();
    let keys: Vec<_> = (0..100).map(|key: u32| key.to_string()).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), 1, "v")).collect();
    let each = (receipt(&entries).to_text().len() - none) / entries.len();
    assert!(each <= 22, "{each}");
}

#[test]
fn it_belongs_to_one_user_of_one_namespace() {
    let receipt = receipt(&[]);
    assert!(receipt.belongs_to(&subject("shop", "ann")));
    for other in [subject("shop", "bob"), subject("sho", "pann"), subject("shopa", "nn")] {
        assert!(!receipt.belongs_to(&other), "{other:?}");
    }
}

#[test]
fn keys_with_one_hash_pick_another_salt() {
    // 40 000 keys have a pair with one hash under about every sixth salt.
    let keys: Vec<_> = (0..40_000).map(|key: u32| key.to_string()).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), revision(1), "v")).collect();
    let receipts: Vec<_> =
        (0..12).map(|seed| Receipt::new(&subject("n", "u"), None, seed, &entries)).collect();
    assert!(receipts.iter().all(|receipt| receipt.entries.len() == keys.len()));
    let moved_on = (0..12).zip(&receipts).filter(|(seed, receipt)| {
        let user = u64::from_le_bytes(receipt.user);
        receipt.salt != sip(*seed, user, &[])
    });
    assert!(moved_on.count() > 0, "at least one had to look for another");
    let salts: std::collections::HashSet<_> = receipts.iter().map(|receipt| receipt.salt).collect();
    assert_eq!(salts.len(), receipts.len(), "another seed is another salt");
}

#[test]
fn a_new_key_that_meets_the_hash_of_another_does_not_pass_for_it() {
    // All have one value, so that only the key tells them apart.
    let keys: Vec<_> = (0..20_000).map(|key: u32| key.to_string()).collect();
    let entries: Vec<_> = keys.iter().map(|key| (key.as_str(), revision(1), "on")).collect();
    let receipt = Receipt::new(&subject("n", "u"), None, 0, &entries);
    let (mut met, mut untouched) = (0, 0);
    for new in 20_000..1_000_000_u32 {
        match receipt.proof(&new.to_string(), "on") {
            Proof::NotRead => {}
            Proof::Changed(_) => met += 1,
            Proof::Untouched => untouched += 1,
        }
    }
    assert!(met > 0, "some new keys meet a hash");
    assert_eq!(untouched, 0, "and are refused, not passed over");
}

#[test]
fn every_version_is_a_receipt_and_only_this_one_is_read() {
    for text in ["sr1.", "sr2.x", "sr99.abc.def", "sr1.rubbish"] {
        assert!(Receipt::is_one(text), "{text}");
        assert!(Receipt::parse(text).is_none(), "{text}");
    }
    for text in ["", "sr", "sr.", "sr1", "srx.", "sr1x.", "SR1.", "red", "xsr1."] {
        assert!(!Receipt::is_one(text), "{text}");
    }
}

#[test]
fn one_that_was_cut_or_changed_in_shape_proves_nothing() {
    let text = receipt(&[("e1", 1, "red"), ("e2", 2, "blue")]).to_text();
    for end in 0..text.len() {
        let whole = end == text.len();
        let shorter_by_an_entry =
            Receipt::parse(&text[..end]).is_some_and(|receipt| receipt.entries.len() < 2);
        assert!(whole || shorter_by_an_entry || Receipt::parse(&text[..end]).is_none(), "{end}");
    }
    for text in [format!("{text}."), format!("{text}="), format!(" {text}"), text.replace("sr1", "sr2")] {
        assert!(Receipt::parse(&text).is_none(), "{text}");
    }
}

proptest! {
    #[test]
    fn text_and_receipt_are_the_same(
        map in proptest::collection::btree_map(any::<String>(), (any::<[u8; 8]>(), any::<String>()), 0..20),
        epoch in proptest::option::of(any::<[u8; 8]>()), seed in any::<u64>(),
    ) {
        let entries: Vec<_> = map.iter().map(|(key, (revision, value))| {
            (key.as_str(), Revision::from_bytes(*revision), value.as_str())
        }).collect();
        let receipt = Receipt::new(&subject("n", "u"), epoch.map(Epoch::from_bytes), seed, &entries);
        let parsed = Receipt::parse(&receipt.to_text()).unwrap();
        prop_assert_eq!(&parsed, &receipt);
        for (key, (_, value)) in &map {
            prop_assert_eq!(parsed.proof(key, value), Proof::Untouched);
        }
    }

    #[test]
    fn rubbish_is_never_a_panic(text in "sr1\\.[A-Za-z0-9_-]{0,12}\\.[A-Za-z0-9_-]{0,12}\\.[A-Za-z0-9_-]{0,60}") {
        let _ = Receipt::parse(&text);
    }
}
