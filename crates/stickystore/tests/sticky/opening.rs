//! URLs: what opens, and what an error says of what does not.

use stickystore::core::{Immediate, memory::MemoryStore};
use stickystore::{ErrorKind, Registry};

fn says(url: &str) -> String {
    let error = stickystore::open(url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.context().to_owned()
}

#[test]
fn a_scheme_that_there_is_not_is_named_with_those_that_there_are() {
    assert!(says("memroy:?namespace=n").contains("did you mean memory?"));
    assert!(says("postgres://h?namespace=n").contains("there is no store with the scheme \"postgres\""));
}

#[test]
fn an_option_that_there_is_not_is_named_with_those_that_there_are() {
    let told = says("memory:?namespace=n&gruce=1s");
    assert!(told.contains("no option \"gruce\"; did you mean grace?"), "{told}");
    let told = says("memory:?namespace=n&deadlin=1s");
    assert!(told.contains("no option \"deadlin\"") && told.contains("was deadline meant"), "{told}");
    let error = stickystore::open("memory:?namespace=n&deadlin=1s").unwrap_err();
    assert!(std::error::Error::source(&error).is_none(), "it is not told twice");
    assert!(says("memory:/tmp/x?namespace=n").contains("its URL is memory:"));
}

#[test]
fn each_opened_memory_is_its_own() {
    let one = stickystore::open("memory:?namespace=n").unwrap();
    one.put("ann", "button", "red").unwrap();
    let other = stickystore::open("memory://?namespace=n&max_entries=1").unwrap();
    assert!(other.load("ann").unwrap().is_empty());
    other.put("ann", "a", "1").unwrap();
    assert_eq!(other.put("ann", "b", "1").unwrap_err().kind(), ErrorKind::Full);
}

#[test]
fn what_a_url_says_of_saves_is_what_the_services_do() {
    let red = r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}"#;
    let saved = |options: &str| {
        let service = stickystore::open(&format!("memory:?namespace=n&{options}")).unwrap().optimizely();
        service.save_json(red).unwrap();
        let has_receipt = service.lookup_json("ann").unwrap().contains("sr1.");
        let report = service.save_json(&red.replace("red", "blue")).unwrap().to_json();
        (has_receipt, report.split('"').nth(7).unwrap().to_owned())
    };
    assert_eq!(saved(""), (true, "kept".to_owned()));
    assert_eq!(saved("receipt=off"), (false, "kept".to_owned()));
    assert_eq!(saved("unproven=take-new"), (true, "replaced".to_owned()));
    assert_eq!(saved("unproven=error"), (true, "failed".to_owned()));
}

#[cfg(not(feature = "coalesce"))]
#[test]
fn calls_that_are_to_leave_together_need_a_feature_and_the_error_names_it() {
    assert!(says("memory:?namespace=n&coalesce=on").contains("the feature \"coalesce\", which is off"));
    assert!(stickystore::open("memory:?namespace=n&coalesce=off").is_ok());
}

#[cfg(feature = "blocking")]
#[test]
fn a_strangers_store_opens_through_both_apis_and_gets_the_url_without_our_options() {
    let registry = Registry::new().with("theirs", async |url: String| {
        assert_eq!(url, "theirs://h?x=1");
        Ok(Immediate::new(MemoryStore::new()))
    });
    let sticky = registry.open("theirs://h?namespace=shop&x=1&ttl=1s").unwrap();
    assert_eq!(sticky.assign("ann", "button", || "red").unwrap().text().as_deref(), Some("red"));
    assert!(registry.schemes().any(|scheme| scheme == "theirs"));
}

#[cfg(not(feature = "blocking"))]
#[test]
fn without_a_runtime_an_async_store_does_not_block_and_says_what_is_missing() {
    let registry = Registry::new().with("theirs", async |_| Ok(Immediate::new(MemoryStore::new())));
    let error = registry.open("theirs://h?namespace=shop").unwrap_err();
    assert!(error.context().contains("feature \"blocking\""), "{error}");
}

#[cfg(not(feature = "redis"))]
#[test]
fn a_scheme_whose_feature_is_off_says_so() {
    assert!(says("rediss://h?namespace=n").contains("feature \"redis\", which is off"));
}

#[cfg(feature = "redis")]
#[test]
fn a_network_store_opens_without_its_server_and_the_first_call_says_that_it_is_down() {
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sticky = stickystore::open(&format!("redis://127.0.0.1:{free}?namespace=n&deadline=5s")).unwrap();
    let error = sticky.assign("ann", "button", || "red").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(sticky.info().erased_may_return().is_some());
}

#[cfg(feature = "embedded")]
#[test]
fn a_file_keeps_what_was_assigned_and_opens_once() {
    let folder = std::env::temp_dir().join(format!("stickystore-opening-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let url = format!("embedded:{}/f.redb?namespace=n&deadline=10s", folder.display());
    let sticky = stickystore::open(&url).unwrap();
    sticky.assign("ann", "button", || "red").unwrap();
    let second = stickystore::open(&url).unwrap_err();
    assert!(second.to_string().contains("f.redb"), "{second}");
    drop(sticky);
    let again = stickystore::open(&url).unwrap().get("ann", "button").unwrap();
    assert_eq!(again.unwrap().value.as_str(), "\"red\"");
    std::fs::remove_dir_all(&folder).unwrap();
}
