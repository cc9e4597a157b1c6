//! `doctor`.

use crate::bench::Bench;

#[test]
fn it_says_what_the_store_promises() {
    let bench = Bench::new();
    let report = bench.run(&["doctor", "--json"]).json(0);
    assert_eq!(report["store"], "embedded");
    assert!(report["survives"].as_str().unwrap().contains("power loss"), "{report}");
    assert_eq!(report["findings"], serde_json::json!([]));
    assert!(report["latency"]["read_ms"].as_f64().unwrap() > 0.0);
    let words = bench.run(&["doctor"]).says(0);
    assert!(words.contains("nothing wrong was found"), "{words}");
}

#[test]
fn there_is_nothing_to_repair_where_nothing_is_damaged() {
    let bench = Bench::new();
    bench.run(&["assign", "ann", "button", "red"]).says(0);
    assert_eq!(bench.run(&["doctor", "--repair", "ann"]).says(0), "0 damaged, 0 removed\n");
}

#[cfg(feature = "redis")]
mod redis {
    use stickystore_integration_tests::server::Missing;
    use stickystore_integration_tests::server::redis::Redis;

    use super::Bench;

    fn server() -> Option<Redis> {
        Redis::start(&[]).map_err(|Missing(why)| println!("skipped: {why}")).ok()
    }

    #[test]
    fn a_server_that_persists_nothing_is_told_with_the_mend() {
        let (Some(server), bench) = (server(), Bench::new()) else { return };
        let words = bench.run_here(&["doctor", "--store", &server.url()]).says(1);
        assert!(words.contains("warning: no-persistence") && words.contains("appendonly yes"), "{words}");
    }

    #[test]
    fn a_server_that_is_down_is_the_stores_failure_and_shows_no_password() {
        let (Some(mut server), bench) = (server(), Bench::new()) else { return };
        let url = server.url().replace("redis://", "redis://ann:s3cret@");
        server.kill();
        let complaint = bench.run_here(&["doctor", "--store", &url]).complains(3);
        assert!(complaint.contains("cannot be reached") && !complaint.contains("s3cret"), "{complaint}");
    }

    #[test]
    fn damaged_entries_go_when_that_is_confirmed_and_the_others_stay() {
        let (Some(server), bench) = (server(), Bench::new()) else { return };
        let url = server.url();
        let run = |arguments: &[&str], input: &str| {
            bench.run_anywhere(&[arguments, &["--store", &url]].concat(), input)
        };
        run(&["assign", "ann", "button", "red"], "").says(0);
        let subject = stickystore_core::Subject::new(
            stickystore_core::Namespace::new("default").unwrap(),
            stickystore_core::UserId::new("ann").unwrap(),
        );
        server.command(&[
            "HSET",
            &stickystore_redis::RedisStore::storage_key(&subject),
            "price",
            "written by another program",
        ]);
        let export = run(&["export", "ann"], "").says(0);
        assert!(export.contains("price  DAMAGED"), "{export}");
        assert_eq!(run(&["doctor", "--repair", "ann"], "n\n").says(1), "1 damaged, 0 removed\n");
        assert_eq!(run(&["doctor", "--repair", "ann"], "y\n").says(0), "1 damaged, 1 removed\n");
        assert_eq!(run(&["export", "ann"], "").says(0), "button  \"red\"\n");
    }

    #[test]
    fn what_was_mended_before_it_was_confirmed_stays() {
        use std::io::{Read as _, Write as _};

        let (Some(server), bench) = (server(), Bench::new()) else { return };
        let url = server.url();
        let subject = stickystore_core::Subject::new(
            stickystore_core::Namespace::new("default").unwrap(),
            stickystore_core::UserId::new("ann").unwrap(),
        );
        let place = stickystore_redis::RedisStore::storage_key(&subject);
        server.command(&["HSET", &place, "price", "written by another program"]);
        let mut doctor = bench.start_here(&["doctor", "--repair", "ann", "--store", &url]);
        // It asks, and while nobody answers the entry is put over.
        let mut asked = [0; 5];
        doctor.stderr.as_mut().unwrap().read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"price");
        bench.run_here(&["put", "ann", "price", "low", "--store", &url]).says(0);
        doctor.stdin.as_mut().unwrap().write_all(b"y\n").unwrap();
        let said = doctor.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), "1 damaged, 0 removed, 1 gone meanwhile\n");
        assert_eq!(said.status.code(), Some(0));
        assert_eq!(bench.run_here(&["export", "ann", "--store", &url]).says(0), "price  \"low\"\n");
    }
}
