//! What is refused when a file is opened, and that it is left alone.

use stickystore_core::{Effect, ErrorKind, Store as _, StoreExt as _};
use stickystore_embedded::{Config, EmbeddedStore};

use crate::scratch::{Scratch, call, entry, key, user};

fn refused(config: Config) -> (ErrorKind, String) {
    let path = config.path.display().to_string();
    let error = EmbeddedStore::open(config).unwrap_err();
    assert!(error.to_string().contains(&path), "the error names the file: {error}");
    assert_eq!(error.effect(), Effect::NotApplied);
    (error.kind(), error.to_string())
}

#[test]
fn a_missing_folder_is_named() {
    let scratch = Scratch::new();
    let (kind, text) = refused(Config::new(scratch.file("missing/sticky.redb")));
    assert_eq!(kind, ErrorKind::Config);
    assert!(text.contains("folder"), "{text}");
}

#[test]
fn a_folder_is_no_file() {
    let scratch = Scratch::new();
    let folder = scratch.file("folder");
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(refused(Config::new(folder)).0, ErrorKind::Config);
}

#[test]
fn another_programs_file_is_refused_and_left_untouched() {
    let scratch = Scratch::new();
    let path = scratch.file("notes.txt");
    std::fs::write(&path, "dear diary").unwrap();
    assert_eq!(refused(Config::new(&path)).0, ErrorKind::Corrupt);
    assert_eq!(std::fs::read(&path).unwrap(), b"dear diary");
}

#[test]
fn another_programs_redb_file_is_refused() {
    let scratch = Scratch::new();
    let path = scratch.file("theirs.redb");
    let table = redb::TableDefinition::<u64, u64>::new("theirs");
    let database = redb::Database::create(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(table).unwrap().insert(1, 2).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert_eq!(refused(Config::new(&path)).0, ErrorKind::Corrupt);
}

#[test]
fn another_layout_version_is_refused_with_its_number() {
    let scratch = Scratch::new();
    scratch.open().close(call()).unwrap();
    let table = redb::TableDefinition::<&str, &str>::new("stickystore");
    let database = redb::Database::open(scratch.config().path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(table).unwrap().insert("layout", "2").unwrap();
    txn.commit().unwrap();
    drop(database);
    let (kind, text) = refused(scratch.config());
    assert_eq!(kind, ErrorKind::Config);
    assert!(text.contains("layout version 2"), "{text}");
}

#[test]
fn a_truncated_file_is_refused() {
    let scratch = Scratch::new();
    scratch.open().close(call()).unwrap();
    let path = scratch.config().path;
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    assert_eq!(refused(scratch.config()).0, ErrorKind::Corrupt);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let scratch = Scratch::new();
    std::fs::write(scratch.config().path, "").unwrap();
    let store = scratch.open();
    store.put(call(), &user("ann"), key("k"), entry("v")).unwrap();
    drop(store);
    assert_eq!(scratch.open().load(call(), &user("ann")).unwrap().len(), 1);
}

#[test]
fn a_second_opening_in_one_process_names_the_file() {
    let scratch = Scratch::new();
    let first = scratch.open();
    let (kind, text) = refused(scratch.config());
    assert_eq!(kind, ErrorKind::Unavailable);
    assert!(text.contains("is open already"), "{text}");
    // A clone is no second opening; and once all are gone, the file is free.
    let clone = first.clone();
    drop(first);
    clone.ping(call()).unwrap();
    drop(clone);
    scratch.open().ping(call()).unwrap();
}

#[test]
fn a_new_file_is_its_owners_alone_and_leaves_nothing_beside_it() {
    let scratch = Scratch::new();
    let store = scratch.open();
    assert_eq!(scratch.names(), ["sticky.redb"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(scratch.config().path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let findings = store.diagnose(call());
    // How fast the disk is, a test cannot choose.
    assert!(findings.iter().all(|finding| finding.name == "slow-sync"), "{findings:?}");
}

#[cfg(unix)]
#[test]
fn diagnose_finds_a_file_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;

    let scratch = Scratch::new();
    let store = scratch.open();
    std::fs::set_permissions(scratch.config().path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let findings = store.diagnose(call());
    let finding = findings.iter().find(|finding| finding.name == "readable-by-others").unwrap();
    assert!(finding.evidence.contains("644") && finding.mend.contains("chmod 600"), "{finding:?}");
}

#[test]
fn diagnose_counts_damaged_rows_and_names_the_mend() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.put(call(), &user("ann"), key("good"), entry("v")).unwrap();
    store.plant(call(), &user("ann"), &key("bad"), b"\xff").unwrap();
    store.plant_mark(call(), &user("bob"), b"no mark").unwrap();
    let findings = store.diagnose(call());
    let finding = findings.iter().find(|finding| finding.name == "damaged-rows").unwrap();
    assert!(finding.evidence.starts_with("2 of 3 rows"), "{finding:?}");
    assert!(finding.mend.contains("erase"), "{finding:?}");
}
