//! `docs/moving.md`: what it tells a user to type is typed here, against a server.

use std::path::Path;
use std::process::Command;

use stickystore_integration_tests::server::Missing;
use stickystore_integration_tests::server::redis::Redis;

use crate::bench::Bench;

const DOCUMENT: &str = include_str!("../../../../docs/moving.md");

#[test]
fn the_commands_of_the_document_move_what_the_naive_code_wrote() {
    let server = match Redis::start(&[]) {
        Ok(server) => server,
        Err(Missing(why)) => return println!("skipped: {why}"),
    };
    server.command(&["SET", "ups:ann", r#"{"e1":{"variation_id":"red"}}"#]);
    let bob = r#"{"user_id":"bob","experiment_bucket_map":{"e1":{"variation_id":"blue"}}}"#;
    server.command(&["SET", "ups:bob", bob]);
    let record = r#"{"userId":"ann","campaignKey":"button","variationName":"red","goalIdentifier":"seen"}"#;
    server.command(&["SET", "button:ann", record]);

    let bench = Bench::new();
    let said: Vec<_> = scripts().map(|script| type_in(&script, &server, &bench)).collect();
    let expected = [
        "2 rows: 2 entries would be inserted, 0 were there, 0 kept as they stand with another value, 0 refused\n\
         2 rows: 2 entries inserted, 0 were there, 0 kept as they stand with another value, 0 refused\n\
         e1  red\n\
         2 rows: 0 entries inserted, 2 were there, 0 kept as they stand with another value, 0 refused\n",
        "1 rows: 1 entries inserted, 0 were there, 0 kept as they stand with another value, 0 refused\n\
         red  goals seen\n",
    ];
    assert_eq!(said, expected);
    assert_eq!(server.command(&["GET", "ups:bob"]).trim(), bob, "the old keys stay");
}

fn scripts() -> impl Iterator<Item = String> {
    let fenced = DOCUMENT.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| block.strip_prefix("sh\n")).map(str::to_owned)
}

/// What a shell says to this, where the command is installed and the server is the local one.
fn type_in(script: &str, server: &Redis, bench: &Bench) -> String {
    let installed = Path::new(env!("CARGO_BIN_EXE_stickystore")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(installed).chain(std::env::split_paths(&path))).unwrap();
    let ran = Command::new("sh")
        .args(["-e", "-c", &script.replace("redis://localhost", &server.url())])
        .env("PATH", path)
        .env_remove("STICKYSTORE_NAMESPACE")
        .current_dir(bench.folder())
        .output()
        .unwrap();
    assert!(ran.status.success(), "{script}{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}
