//! What a real SDK was fed and what it made of it: none of it breaks the decoder, none of it is handed out.
#![expect(clippy::unwrap_used, reason = "a test asserts, and an assertion panics")]

use serde_json::Value;
use stickystore_core::Namespace;
use stickystore_core::memory::MemoryStore;
use stickystore_services::Settings;
use stickystore_services::optimizely::{UserProfile, UserProfileService};

const RECORDING: &str = include_str!("../../../integration-tests/vectors/optimizely-js-v5.jsonl");

fn malformed() -> Vec<Value> {
    let rows = RECORDING.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let rows: Vec<_> = rows.filter(|row| row["kind"] == "malformed").collect();
    assert_eq!(rows.len(), 31, "all rows of the recording");
    rows
}

#[test]
fn what_is_no_profile_is_an_error_and_what_is_one_keeps_its_good_entries() {
    let profiles = [
        "entry null",
        "entry text",
        "entry []",
        "entry {}",
        "variation_id null",
        "variation_id empty",
        "variation_id number",
        "variation_id object",
        "variation_id unknown",
        "variation of another experiment",
        "another user's id",
        "extra top property",
        "extra entry property",
        "stale experiments",
        "good",
    ];
    for row in malformed() {
        let case = row["case"].as_str().unwrap();
        let parsed = UserProfile::parse(&row["lookup_returns"].to_string());
        assert_eq!(parsed.is_ok(), profiles.contains(&case), "{case}: {parsed:?}");
    }
}

#[test]
fn whatever_is_saved_what_is_handed_out_is_well_formed_and_the_users_own() {
    for row in malformed() {
        let service =
            UserProfileService::new(MemoryStore::new(), Settings::new(Namespace::new("n").unwrap()));
        let saves = row["saves"].as_array().unwrap().iter().chain([&row["lookup_returns"]]);
        for save in saves {
            // What is no profile is refused; what is one is saved as far as it goes.
            let _ = service.save_json(&save.to_string());
        }
        for user in ["malformed-user", "someone-else"] {
            let handed_out: Value = serde_json::from_str(&service.lookup_json(user).unwrap()).unwrap();
            assert_eq!(handed_out["user_id"], user);
            for (experiment, entry) in handed_out["experiment_bucket_map"].as_object().unwrap() {
                assert!(entry["variation_id"].is_string(), "{experiment}: {entry}");
            }
        }
    }
}
