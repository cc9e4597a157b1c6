//! `import`: the layouts that people have today.

use crate::bench::Bench;

const AGENT: &str = r#"{"key":"ups:ann","value":{"e1":{"variation_id":"red"},"e2":{"variation_id":"low"}}}
{"key":"ups:bob","value":"{\"e1\":{\"variation_id\":\"blue\"}}"}
"#;

fn counts(bench: &Bench, arguments: &[&str], input: &str, code: i32) -> serde_json::Value {
    bench.run_with(&[&["import", "--json"], arguments].concat(), input).json(code)
}

#[test]
fn bucket_maps_of_the_agent_become_profiles() {
    let bench = Bench::new();
    let from = ["--from", "agent", "-", "--strip-prefix", "ups:"];
    let found = counts(&bench, &from, AGENT, 0);
    assert_eq!((&found["rows"], &found["inserted"]), (&2.into(), &3.into()));
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  red\ne2  low\n");
    assert_eq!(bench.run(&["lookup", "bob"]).says(0), "e1  blue\n");
    // Once more, nothing is new.
    let again = counts(&bench, &from, AGENT, 0);
    assert_eq!((&again["inserted"], &again["unchanged"]), (&0.into(), &3.into()));
}

#[test]
fn whole_profiles_name_their_users_themselves() {
    let bench = Bench::new();
    let naive = r#"{"key":"experiments/7","value":{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}}"#;
    assert_eq!(counts(&bench, &["--from", "agent", "-"], naive, 0)["inserted"], 1);
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  red\n");
}

#[test]
fn what_stands_in_the_store_stays() {
    let bench = Bench::new();
    bench
        .run_with(&["save"], r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"green"}}}"#)
        .says(0);
    let found = counts(&bench, &["--from", "agent", "-", "--strip-prefix", "ups:"], AGENT, 1);
    assert_eq!((&found["inserted"], &found["kept"]), (&2.into(), &1.into()));
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  green\ne2  low\n");
}

#[test]
fn records_of_vwo_come_in_any_spelling_and_goals_are_united() {
    let bench = Bench::new();
    let rows = r#"{"key":"c:ann","value":{"userId":"ann","campaignKey":"c","variationName":"red","goalIdentifier":"g1"}}
{"user_id":"ann","campaign_key":"c","variation_name":"red","goal_identifier":"g2"}
{"user_id":"bob","campaign_key":"c"}
"#;
    let found = counts(&bench, &["--from", "vwo", "-"], rows, 1);
    // The two lines of ann are imported at once: the first to come is inserted, the other added to it.
    let count = |name: &str| found[name].as_u64().unwrap();
    assert_eq!((count("inserted"), count("added"), count("refused")), (1, 1, 1), "{found}");
    assert!(found["refusals"]["line 3"].as_str().unwrap().contains("variation"), "{found}");
    let record = bench.run(&["get", "ann", "c"]).says(0);
    assert!(record.contains("g1") && record.contains("g2"), "{record}");
}

#[test]
fn documents_of_growthbook_become_assignments_of_their_attributes() {
    let bench = Bench::new();
    let rows = r#"{"key":"id||ann","value":{"attributeName":"id","attributeValue":"ann","assignments":{"a__0":"1","b__2":"red"}}}
{"key":"device||d1","value":"{\"attributeName\":\"device\",\"attributeValue\":\"d1\",\"assignments\":{\"a__0\":\"0\"}}"}
"#;
    assert_eq!(counts(&bench, &["--from", "growthbook", "-"], rows, 0)["inserted"], 3);
    let rows = r#"{"attributeName":"id","attributeValue":"ann","assignments":{"a__0":"0","c__0":7,"d":"1"}}
{"attributeName":"id","assignments":{}}
"#;
    let found = counts(&bench, &["--from", "growthbook", "-"], rows, 1);
    let count = |name: &str| found[name].as_u64().unwrap();
    assert_eq!((count("inserted"), count("kept"), count("refused")), (0, 1, 3), "{found}");
    for (place, named) in
        [("line 1 c__0", "string"), ("line 1 d", "bucket version"), ("line 2", "attributeValue")]
    {
        assert!(found["refusals"][place].as_str().unwrap().contains(named), "{place}: {found}");
    }
    let ann = bench.run(&["export", "id||ann", "--json"]).json(0);
    assert_eq!(
        (&ann["entries"]["a__0"]["value"], &ann["entries"]["b__2"]["value"]),
        (&"1".into(), &"red".into())
    );
    let device = bench.run(&["export", "device||d1", "--json"]).json(0);
    assert_eq!(device["entries"]["a__0"]["value"], "0");
}

#[test]
fn what_was_exported_comes_back_with_its_end() {
    let bench = Bench::new();
    bench.run_with(&["put", "ann", "button", "-"], r#"{"n":1.50}"#).says(0);
    let store = format!("{}?ttl=90d&namespace=default", bench.store());
    bench.run_here(&["assign", "ann", "price", "low", "--store", &store]).says(0);
    let export = bench.run(&["export", "ann", "--json"]).says(0);
    let other = Bench::new();
    let line = r#"{"user":"bob","key":"button","value":"red","expires_ms":1}"#;
    let found = counts(&other, &["--from", "jsonl", "-"], &format!("{export}{line}\n"), 1);
    assert_eq!((&found["inserted"], &found["refused"]), (&2.into(), &1.into()));
    assert_eq!(found["refusals"]["line 2 button"], "it has expired");
    let (ours, theirs) = (bench.run(&["export", "ann"]).says(0), other.run(&["export", "ann"]).says(0));
    assert_eq!(ours, theirs);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let bench = Bench::new();
    bench
        .run_with(&["save"], r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"green"}}}"#)
        .says(0);
    let from = ["--from", "agent", "-", "--strip-prefix", "ups:"];
    let dry = counts(&bench, &[&from[..], &["--dry-run"]].concat(), AGENT, 1);
    assert_eq!(bench.run(&["lookup", "bob"]).says(1), "nothing is kept of this user\n");
    assert_eq!(dry, counts(&bench, &from, AGENT, 1));
}

#[test]
fn it_goes_on_where_it_was_stopped() {
    let bench = Bench::new();
    let rows = |range: std::ops::Range<u32>| -> String {
        range.map(|n| format!("{{\"user\":\"u{n}\",\"key\":\"k\",\"value\":{n}}}\n")).collect()
    };
    let (file, state, other_state) = (bench.path("rows.jsonl"), bench.path("state"), bench.path("other"));
    let import = ["import", "--json", "--from", "jsonl", &file, "--state", &state];
    std::fs::write(&file, rows(0..700)).unwrap();
    // It is killed while it waits for more than the first page.
    bench.killed_when(&["import", "--from", "jsonl", "-", "--state", &other_state], &rows(0..600), || {
        std::fs::read_to_string(&other_state).is_ok_and(|state| state.ends_with("512\n"))
    });
    let from_stdin = ["import", "--json", "--from", "jsonl", "-", "--state", &other_state];
    let rest = bench.run_with(&from_stdin, &rows(0..700)).json(0);
    assert_eq!((&rest["rows"], &rest["inserted"]), (&188.into(), &188.into()));
    let again = bench.run(&import).json(0);
    assert_eq!((&again["rows"], &again["unchanged"]), (&700.into(), &700.into()));
    assert!(bench.run(&import).complains(2).contains("was completed"));
    let other = bench.path("other.jsonl");
    std::fs::write(&other, rows(0..1)).unwrap();
    let wrong = bench.run(&["import", "--from", "jsonl", &other, "--state", &state]).complains(2);
    assert!(wrong.contains("not the state of an import of this source"), "{wrong}");
}

#[test]
fn a_receipt_that_was_kept_elsewhere_replaces_nothing() {
    let bench = Bench::new();
    bench
        .run_with(&["save"], r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}"#)
        .says(0);
    let with_receipt = bench.run(&["lookup", "ann", "--json"]).says(0).replace("\"red\"", "\"blue\"");
    assert_eq!(counts(&bench, &["--from", "agent", "-"], &with_receipt, 1)["kept"], 1);
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  red\n");
}

#[test]
fn a_receipt_is_no_entry_wherever_it_was_kept() {
    let bench = Bench::new();
    let map = r#"{"e1":{"variation_id":"red"},"stickystore":{"variation_id":"sr1.a.-.b"}}"#;
    let agent = format!("{{\"key\":\"ann\",\"value\":{map}}}");
    assert_eq!(counts(&bench, &["--from", "agent", "-"], &agent, 0)["inserted"], 1);
    let line = r#"{"user":"bob","key":"stickystoremap","value":{"variation_id":"sr2.x"}}"#;
    assert_eq!(counts(&bench, &["--from", "jsonl", "-"], line, 1)["refused"], 1);
    assert_eq!(bench.run(&["export", "ann"]).says(0), "e1  {\"variation_id\":\"red\"}\n");
    bench.run(&["export", "bob"]).says(1);
}

#[test]
fn rubbish_is_refused_line_by_line_and_the_rest_is_imported() {
    let bench = Bench::new();
    let rows = "rubbish\n[]\n{\"user\":\"\",\"key\":\"k\",\"value\":1}\n{\"user\":\"ann\",\"key\":\"k\"}\n\n\
        {\"user\":\"ann\",\"key\":\"k\",\"value\":1,\"expires_ms\":-1}\n{\"user\":\"ann\",\"key\":\"k\",\"value\":1}\n";
    let found = counts(&bench, &["--from", "jsonl", "-"], rows, 1);
    assert_eq!((&found["inserted"], &found["refused"]), (&1.into(), &5.into()));
    assert!(bench.run(&["import", "--from", "jsonl", "no-such-file"]).complains(2).contains("no-such-file"));
    let bare = counts(&bench, &["--from", "agent", "-"], r#"{"e1":{"variation_id":"red"}}"#, 1);
    assert!(bare["refusals"]["line 1"].as_str().unwrap().contains("needs a key"), "{bare}");
}

#[test]
fn what_stands_stays_whatever_the_url_says_of_saves() {
    let bench = Bench::new();
    let record = r#"{"userId":"ann","campaignKey":"c","variationName":"green"}"#;
    bench
        .run_with(&["save"], r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"green"}}}"#)
        .says(0);
    bench.run_with(&["set"], record).says(0);
    for unproven in ["take-new", "error"] {
        let store = format!("{}?unproven={unproven}", bench.store());
        let import = |from: &str, row: &str| {
            bench.run_here_with(&["import", "--from", from, "-", "--json", "--store", &store], row).json(1)
        };
        let agent = import("agent", r#"{"key":"ann","value":{"e1":{"variation_id":"red"}}}"#);
        let vwo = import("vwo", &record.replace("green", "red"));
        assert_eq!((&agent["kept"], &vwo["kept"]), (&1.into(), &1.into()), "{agent} {vwo}");
    }
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  green\n");
    assert_eq!(bench.run(&["get", "ann", "c"]).says(0), "green\n");
}

#[test]
fn a_receipt_in_a_source_proves_nothing() {
    let (bench, other) = (Bench::new(), Bench::new());
    bench
        .run_with(&["save"], r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"red"}}}"#)
        .says(0);
    let profile = bench.run(&["lookup", "ann", "--json"]).says(0);
    assert!(profile.contains("sr1."));
    // Elsewhere there is nothing yet, whatever the receipt says was read.
    assert_eq!(counts(&other, &["--from", "agent", "-"], &profile, 0)["inserted"], 1);
    assert_eq!(other.run(&["lookup", "ann"]).says(0), "e1  red\n");
    // And where it was read, it replaces nothing.
    let changed = profile.replace("\"red\"", "\"blue\"");
    assert_eq!(counts(&bench, &["--from", "agent", "-"], &changed, 1)["kept"], 1);
    assert_eq!(bench.run(&["lookup", "ann"]).says(0), "e1  red\n");
}

#[test]
fn an_entry_that_is_refused_does_not_hide_what_became_of_the_others() {
    let bench = Bench::new();
    let user = r#"{"user":"ann","entries":{"a":{"value":1},"b":7,"c":{},"d":{"value":2,"expires_ms":"x"},"e":{"value":3}}}"#;
    let found = counts(&bench, &["--from", "jsonl", "-"], user, 1);
    assert_eq!((&found["inserted"], &found["refused"]), (&2.into(), &3.into()), "{found}");
    assert!(found["refusals"]["line 1 c"].as_str().unwrap().contains("value"), "{found}");
    assert_eq!(bench.run(&["export", "ann"]).says(0), "a  1\ne  3\n");
}

#[test]
fn a_line_that_is_no_text_or_too_long_is_refused_and_the_rest_is_imported() {
    let bench = Bench::new();
    let mut rows = b"{\"user\":\"\xff\",\"key\":\"k\",\"value\":1}\n".to_vec();
    let long = 17 << 20;
    rows.extend(std::iter::repeat_n(b' ', long).chain(*b"\n"));
    rows.extend(b"{\"user\":\"ann\",\"key\":\"k\",\"value\":1}");
    let file = bench.path("rows.jsonl");
    std::fs::write(&file, rows).unwrap();
    let found = counts(&bench, &["--from", "jsonl", &file], "", 1);
    assert_eq!((&found["inserted"], &found["refused"]), (&1.into(), &2.into()), "{found}");
    assert!(found["refusals"]["line 1"].as_str().unwrap().contains("UTF-8"), "{found}");
    assert!(found["refusals"]["line 2"].as_str().unwrap().contains("16 MiB"), "{found}");
}

#[test]
fn a_state_is_of_one_store_and_one_way_to_read() {
    let bench = Bench::new();
    let (file, state) = (bench.path("rows.jsonl"), bench.path("state"));
    std::fs::write(&file, "{\"user\":\"ann\",\"key\":\"k\",\"value\":1}\n").unwrap();
    let import = ["import", "--from", "jsonl", &file, "--state", &state];
    bench.run(&import).says(0);
    for other in [&["--namespace", "other"][..], &["--strip-prefix", "x"]] {
        let complaint = bench.run(&[&import[..], other].concat()).complains(2);
        assert!(complaint.contains("not the state of an import of this source"), "{complaint}");
    }
    let nowhere = bench.path("no-such-folder/state");
    let other = Bench::new();
    let complaint = other.run(&["import", "--from", "jsonl", &file, "--state", &nowhere]).complains(2);
    assert!(complaint.contains("no-such-folder/state: the place cannot be kept"), "{complaint}");
    other.run(&["export", "ann"]).says(1);
}

#[test]
fn a_dry_run_refuses_what_the_store_would_not_take() {
    let bench = Bench::new();
    let store = format!("{}?max_entry_bytes=4", bench.store());
    let import = ["import", "--from", "jsonl", "-", "--json", "--store", &store];
    let row = r#"{"user":"ann","key":"k","value":"long"}"#;
    let dry = bench.run_here_with(&[&import[..], &["--dry-run"]].concat(), row).json(1);
    let found = bench.run_here_with(&import, row).json(1);
    assert_eq!((&dry["refused"], &found["refused"]), (&1.into(), &1.into()), "{dry} {found}");
}

#[cfg(feature = "redis")]
#[test]
fn a_scan_goes_on_only_in_the_run_of_the_server_that_it_began_in() {
    use stickystore_integration_tests::server::Missing;
    use stickystore_integration_tests::server::redis::Redis;

    let server = match Redis::start(&[]) {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    for user in 0..700 {
        server.command(&["SET", &user.to_string(), r#"{"e1":{"variation_id":"red"}}"#]);
    }
    let bench = Bench::new();
    let (source, state) = (server.url(), bench.path("state"));
    let import = ["--from", "agent", &source, "--state", &state];
    assert_eq!(counts(&bench, &import, "", 0)["rows"], 700);
    let head = std::fs::read_to_string(&state).unwrap().lines().next().unwrap().to_owned();
    let info = server.command(&["INFO", "server"]);
    let run = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap().trim();
    let scanned = server.command(&["SCAN", "0", "COUNT", "512", "TYPE", "string"]);
    let cursor = scanned.lines().next().unwrap();
    assert_ne!(cursor, "0");
    std::fs::write(&state, format!("{head}\n{cursor} {run}\n")).unwrap();
    assert!(counts(&bench, &import, "", 0)["rows"].as_u64().unwrap() < 700, "it goes on");
    std::fs::write(&state, format!("{head}\n{cursor} {}\n", run.replace(|_| true, "0"))).unwrap();
    assert_eq!(counts(&bench, &import, "", 0)["rows"], 700, "it begins anew");
}

#[cfg(feature = "redis")]
#[test]
fn a_key_or_a_string_of_a_server_that_is_no_text_is_refused() {
    use stickystore_integration_tests::server::Missing;
    use stickystore_integration_tests::server::redis::Redis;

    let server = match Redis::start(&[]) {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    // Written by a script, since an argument of this test's has to be text.
    let map = r#"{"e1":{"variation_id":"red"}}"#;
    let script = format!(
        r#"redis.call('SET', 'us\255er', '{map}') redis.call('SET', 'ann', '{{"e\2551":{{"variation_id":"red"}}}}')"#
    );
    server.command(&["EVAL", &script, "0"]);
    let bench = Bench::new();
    let found = counts(&bench, &["--from", "agent", &server.url()], "", 1);
    assert_eq!((&found["inserted"], &found["refused"]), (&0.into(), &2.into()), "{found}");
    bench.run(&["export", "us\u{fffd}er"]).says(1);
}

#[cfg(feature = "redis")]
#[test]
fn strings_of_a_server_are_read_where_they_stand() {
    use stickystore_integration_tests::server::Missing;
    use stickystore_integration_tests::server::redis::Redis;

    let server = match Redis::start(&[]) {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    let bench = Bench::new();
    for user in 0..700 {
        server.command(&["SET", &format!("ups:{user}"), r#"{"e1":{"variation_id":"red"}}"#]);
    }
    server.command(&["SET", "other", "rubbish"]);
    server.command(&["HSET", "ups:hash", "a", "b"]);
    let source = format!("{}/0?match=ups:*", server.url());
    let state = bench.path("state");
    let import = ["--from", "agent", &source, "--strip-prefix", "ups:", "--state", &state];
    let found = counts(&bench, &import, "", 0);
    assert_eq!((&found["rows"], &found["inserted"]), (&700.into(), &700.into()));
    assert_eq!(bench.run(&["lookup", "699"]).says(0), "e1  red\n");
    let gone = bench.run(&["import", "--from", "agent", "redis://:s3cret@127.0.0.1:1"]).complains(2);
    assert!(gone.contains("cannot be read") && !gone.contains("s3cret"), "{gone}");
}

#[cfg(feature = "redis")]
#[test]
fn a_server_that_never_answers_ends_the_import() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let source = format!("redis://:s3cret@{}", silent.local_addr().unwrap());
    let complaint = Bench::new().run(&["import", "--from", "agent", &source]).complains(2);
    assert!(complaint.contains("does not answer") && !complaint.contains("s3cret"), "{complaint}");
}
