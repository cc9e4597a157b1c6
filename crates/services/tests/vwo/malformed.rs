//! What a real SDK was fed and what it made of it: none of it breaks the decoder, none of it is handed out.

use serde_json::Value;
use stickystore_core::memory::MemoryStore;
use stickystore_core::{ErrorKind, Namespace};
use stickystore_services::Settings;
use stickystore_services::vwo::{Dialect, Record, UserStorageService};

const RECORDING: &str = include_str!("../../../../integration-tests/vectors/vwo-node.jsonl");

fn malformed() -> Vec<Value> {
    let rows = RECORDING.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rows: Vec<_> = rows.filter(|row| row["kind"] == "malformed").collect();
    assert_eq!(rows.len(), 69, "all rows of the recording");
    rows
}

#[test]
fn what_is_no_record_is_an_error_and_what_is_one_is_read() {
    // What the SDK took for a record, we read, but for a goal that is no text; and what it took for none, we do not, but
    // for a variation that its campaign did not know and for another SDK's spelling.
    let records = [
        "variationName unknown",
        "other campaignKey",
        "other userId",
        "snake_case",
        "goal null",
        "python key goalIdentifiers",
        "goal tracked",
        "extra",
        "good",
    ];
    for row in malformed() {
        let case = row["case"].as_str().unwrap();
        match Record::parse(&row["get_returns"].to_string()) {
            Ok(_) => assert!(records.contains(&case), "{case} was read"),
            Err(error) => {
                assert!(!records.contains(&case), "{case}: {error}");
                assert_eq!(error.kind(), ErrorKind::Invalid);
            }
        }
    }
}

#[test]
fn whatever_is_set_what_is_handed_out_is_well_formed_and_the_users_own() {
    for row in malformed() {
        let service =
            UserStorageService::new(MemoryStore::new(), Settings::new(Namespace::new("n").unwrap()));
        for set in row["sets"].as_array().unwrap().iter().chain([&row["get_returns"]]) {
            // What is no record is refused; what is one is set.
            let _ = service.set_json(&set.to_string());
        }
        for (user, campaign) in
            [("malformed-user", "kit-ab"), ("other", "kit-ab"), ("malformed-user", "other")]
        {
            let handed_out = service.get_json(user, campaign, Dialect::Node).unwrap();
            let handed_out: Value = serde_json::from_str(&handed_out).unwrap();
            if !handed_out.is_null() {
                assert_eq!(
                    (&handed_out["userId"], &handed_out["campaignKey"]),
                    (&user.into(), &campaign.into())
                );
                assert!(handed_out["variationName"].is_string(), "{handed_out}");
                assert!(handed_out["goalIdentifier"].as_str().is_none_or(|goals| !goals.is_empty()));
            }
        }
    }
}
