//! The layers that a URL asks for.

use stickystore::ErrorKind;

fn says(url: &str) -> String {
    let error = stickystore::open(url).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.context().to_owned()
}

#[test]
fn an_option_of_a_layer_that_is_wrong_is_named_with_the_way_out() {
    assert!(says("memory:?namespace=n&cache=64MB").contains("a size like 64MiB"));
    assert!(says("memory:?namespace=n&cache_age=1s").contains("there is none: add cache=64MiB"));
    assert!(says("memory:?namespace=n&cache=0&cache_stale=1s").contains("\"cache_stale\" is about a cache"));
    assert!(says("memory:?namespace=n&max_calls=0").contains("at least 1"));
    assert!(says("memory:?namespace=n&cach=1MiB").contains("was cache meant"));
}

#[cfg(not(feature = "cache"))]
#[test]
fn a_cache_without_its_feature_names_the_feature() {
    assert!(says("memory:?namespace=n&cache=1MiB").contains("of the feature \"cache\", which is off"));
    assert_eq!(stickystore::open("memory:?namespace=n&cache=0").unwrap().info().reads_behind, None);
}

#[cfg(not(feature = "resilience"))]
#[test]
fn retries_without_their_feature_name_the_feature() {
    for option in ["retries=1", "max_calls=1"] {
        let told = says(&format!("memory:?namespace=n&{option}"));
        assert!(told.contains("of the feature \"resilience\", which is off"), "{told}");
    }
}

#[cfg(feature = "cache")]
mod cache {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use crate::counted::registry;

    const URL: &str = "counted:?namespace=n&deadline=60s&cache=1MiB&cache_age=10m&cache_absent_age=10m";

    #[test]
    fn a_blocking_store_reads_a_user_once() {
        let (registry, reads) = registry();
        let sticky = registry.open(URL).unwrap();
        assert_eq!(sticky.info().reads_behind, Some(Duration::from_secs(600)));
        for _ in 0..5 {
            assert!(sticky.load("ann").unwrap().is_empty());
        }
        assert_eq!(sticky.assign("ann", "button", || "red").unwrap().text().as_deref(), Some("red"));
        assert_eq!(sticky.load("ann").unwrap().len(), 1);
        assert_eq!(reads.load(Ordering::SeqCst), 1);
        assert!(sticky.erase("ann").unwrap().stood);
        assert!(sticky.load("ann").unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_async_store_reads_a_user_once() {
        let (registry, reads) = registry();
        let sticky = registry.open_async(URL).await.unwrap();
        for _ in 0..5 {
            assert!(sticky.load("ann").await.unwrap().is_empty());
        }
        assert_eq!(reads.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_stores_of_ours_open_in_layers() {
        let sticky = stickystore::open("memory:?namespace=n&deadline=60s&cache=1MiB").unwrap();
        sticky.put("ann", "button", "red").unwrap();
        assert_eq!(sticky.load("ann").unwrap().len(), 1);
    }
}

#[cfg(feature = "resilience")]
#[test]
fn retries_and_a_limit_change_no_answer() {
    let sticky = stickystore::open("memory:?namespace=n&deadline=60s&retries=1&max_calls=2").unwrap();
    assert_eq!(sticky.assign("ann", "button", || "red").unwrap().text().as_deref(), Some("red"));
    assert_eq!(sticky.info().reads_behind, None);
}
