//! A disk that is full or fails, and a writer that panics: typed errors, nothing lost, and the handle mends itself.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::Ordering;

use stickystore_core::{Effect, Error, ErrorKind, Operation, Outcome, Severity, Store as _, StoreExt as _};

use super::disk::Controls;
use super::{Folder, call, entry, insert, is_there, key, user};
use crate::config::Config;
use crate::queue::Ask;
use crate::store::EmbeddedStore;

/// A value that fills disks fast.
const LARGE: usize = 64 << 10;
/// More inserts than any disk in here has room for.
const TOO_MANY: usize = 10_000;

/// Inserts until the disk is full; what was acknowledged, and the error.
fn fill(store: &EmbeddedStore) -> (Vec<String>, Error) {
    let large = "x".repeat(LARGE);
    let mut acknowledged = Vec::new();
    for turn in 0..TOO_MANY {
        let name = format!("user {turn}");
        match store.put(call(), &user(&name), key(), entry(&large)) {
            Ok(outcome) => assert_eq!(outcome, Outcome::Written),
            Err(error) => return (acknowledged, error),
        }
        acknowledged.push(name);
    }
    panic!("the disk never was full");
}

fn assert_full(store: &EmbeddedStore, acknowledged: &[String], error: &Error) {
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Full, Effect::NotApplied), "{error}");
    assert!(error.to_string().contains("sticky.redb"), "{error}");
    for name in acknowledged {
        assert!(is_there(store, name), "{name} was acknowledged, and reads go on");
    }
    let refused = format!("user {}", acknowledged.len());
    assert!(!is_there(store, &refused), "what is called not applied is not there");
    // Changes nothing, so that it says nothing about the room there is.
    assert_eq!(store.remove(call(), &user("nobody"), key()).unwrap(), Outcome::WasAbsent);
    let findings = store.diagnose(call());
    let finding = findings.iter().find(|finding| finding.name == "last-write-failed").unwrap();
    assert_eq!(finding.severity, Severity::Problem);
    assert!(finding.evidence.contains("store full"), "{finding:?}");
}

#[test]
fn a_full_disk_is_a_typed_error_and_the_same_handle_goes_on_when_there_is_room() {
    let folder = Folder::new();
    let disk = Controls::new();
    let store = folder.open_on(&disk);
    insert(&store, call(), "first").unwrap();
    disk.end.store(8 << 20, Ordering::SeqCst);
    let (acknowledged, error) = fill(&store);
    assert!(acknowledged.len() > 10);
    assert_full(&store, &acknowledged, &error);
    // Still full: still the same error, again and again.
    assert_eq!(fill(&store).1.kind(), ErrorKind::Full);

    disk.end.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(insert(&store, call(), "after").unwrap(), Outcome::Inserted);
    let findings = store.diagnose(call());
    assert!(findings.iter().all(|finding| finding.name != "last-write-failed"), "mended: {findings:?}");
    drop(store);
    let store = folder.open();
    assert!(is_there(&store, "first") && is_there(&store, "after"));
    assert!(acknowledged.iter().all(|name| is_there(&store, name)));
}

/// A file system of a few megabytes; unmounted with its handle.
struct SmallDisk(Folder);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = Folder::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(&folder.0)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        &self.0.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).output();
    }
}

#[test]
fn a_really_full_disk_is_the_same() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: this process may not mount a small file system");
        return;
    };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 2 << 20]).unwrap();
    let config = Config::new(disk.path().join("sticky.redb"));
    let store = EmbeddedStore::open(config.clone()).unwrap();
    let (acknowledged, error) = fill(&store);
    assert!(acknowledged.len() > 10);
    assert_full(&store, &acknowledged, &error);

    std::fs::remove_file(ballast).unwrap();
    assert_eq!(insert(&store, call(), "after").unwrap(), Outcome::Inserted);
    drop(store);
    let store = EmbeddedStore::open(config).unwrap();
    assert!(is_there(&store, "after"));
    assert!(acknowledged.iter().all(|name| is_there(&store, name)));
}

#[test]
fn a_file_is_not_made_on_a_full_disk_and_nothing_is_left_there() {
    let Some(disk) = SmallDisk::mount() else {
        println!("skipped: this process may not mount a small file system");
        return;
    };
    // To the last byte.
    let mut ballast = std::fs::File::create(disk.path().join("ballast")).unwrap();
    while std::io::Write::write(&mut ballast, &[1; 4096]).is_ok_and(|written| written > 0) {}
    let error = EmbeddedStore::open(Config::new(disk.path().join("sticky.redb"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 1, "the ballast alone");
}

#[test]
fn a_failing_write_is_not_applied_and_a_failing_sync_is_unknown() {
    let folder = Folder::new();
    let disk = Controls::new();
    let store = folder.open_on(&disk);
    insert(&store, call(), "before").unwrap();

    disk.fail_writes.store(true, Ordering::SeqCst);
    let error = insert(&store, call(), "write").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    disk.fail_writes.store(false, Ordering::SeqCst);
    assert!(is_there(&store, "before"));
    assert!(!is_there(&store, "write") || error.effect() == Effect::Unknown);

    disk.fail_syncs.store(true, Ordering::SeqCst);
    let error = insert(&store, call(), "sync").unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown), "{error}");
    disk.fail_syncs.store(false, Ordering::SeqCst);
    assert_eq!(insert(&store, call(), "after").unwrap(), Outcome::Inserted);
    assert!(is_there(&store, "before"));
}

#[test]
fn all_callers_of_a_transaction_that_fails_are_told() {
    let folder = Folder::new();
    let disk = Controls::new();
    let store = folder.open_on(&disk);
    disk.fail_writes.store(true, Ordering::SeqCst);
    std::thread::scope(|scope| {
        for caller in 0..16 {
            let store = &store;
            scope.spawn(move || {
                let error = insert(store, call(), &caller.to_string()).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            });
        }
    });
    disk.fail_writes.store(false, Ordering::SeqCst);
    insert(&store, call(), "after").unwrap();
}

#[test]
fn a_panic_of_the_writer_reaches_its_callers_and_the_next_call_works() {
    let folder = Folder::new();
    let store = folder.open();
    insert(&store, call(), "before").unwrap();
    for turn in 0..3 {
        let Err(error) = store.shared().ask(call(), Operation::Write, Ask::Panic) else {
            panic!("a panic is no answer");
        };
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::Unknown));
        assert!(is_there(&store, "before"));
        assert_eq!(insert(&store, call(), &turn.to_string()).unwrap(), Outcome::Inserted);
    }
}

#[test]
fn a_file_that_was_moved_away_is_never_replaced_by_an_empty_one() {
    let folder = Folder::new();
    let disk = Controls::new();
    let store = folder.open_on(&disk);
    insert(&store, call(), "ann").unwrap();
    let (file, elsewhere) = (folder.config().path, folder.0.join("elsewhere.redb"));
    std::fs::rename(&file, &elsewhere).unwrap();
    disk.fail_writes.store(true, Ordering::SeqCst);
    insert(&store, call(), "bob").unwrap_err();
    disk.fail_writes.store(false, Ordering::SeqCst);
    let error = store.load(call(), &user("ann")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("is gone"), "{error}");
    assert!(!file.exists());
    std::fs::rename(&elsewhere, &file).unwrap();
    assert!(is_there(&store, "ann"), "back in its place, it is opened again");
}
