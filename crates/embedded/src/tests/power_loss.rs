//! Power loss: of what was written since the last sync any part may be on the disk. What was acknowledged is.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::disk::{Change, Controls};
use super::{Folder, call, insert, is_there};
use crate::config::Config;
use crate::store::EmbeddedStore;

const WRITES: usize = 12;

/// A cheap generator of which unsynced writes reached the disk: every run tries the same ones.
struct Dice(u64);

impl Dice {
    fn throw(&mut self) -> bool {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33).is_multiple_of(2)
    }
}

/// What the disk holds if the power fails after these changes: all that a sync covers, and some of the rest.
fn after_power_loss(begin: &Path, file: &Path, changes: &[Change], dice: &mut Dice) {
    fs::copy(begin, file).unwrap();
    let disk = OpenOptions::new().write(true).open(file).unwrap();
    let synced = changes.iter().rposition(|change| matches!(change, Change::Sync)).map_or(0, |at| at + 1);
    for (at, change) in changes.iter().enumerate() {
        if at < synced || dice.throw() {
            apply(&disk, change);
        }
    }
}

fn apply(disk: &File, change: &Change) {
    match change {
        Change::Write(offset, data) => disk.write_all_at(data, *offset).unwrap(),
        Change::Length(length) => disk.set_len(*length).unwrap(),
        Change::Sync => {}
    }
}

#[test]
fn nothing_acknowledged_is_lost_wherever_the_power_fails() {
    let folder = Folder::new();
    folder.open().sweep(call()).unwrap();
    let begin = folder.0.join("begin.redb");
    fs::copy(folder.config().path, &begin).unwrap();

    let disk = Controls::new();
    *disk.unsynced.lock().unwrap() = Some(Vec::new());
    let store = folder.open_on(&disk);
    // After each acknowledgement: how many changes the disk had seen by then.
    let mut acknowledged = Vec::new();
    for turn in 0..WRITES {
        insert(&store, call(), &turn.to_string()).unwrap();
        acknowledged.push(disk.unsynced.lock().unwrap().as_ref().unwrap().len());
    }
    let changes = disk.unsynced.lock().unwrap().take().unwrap();
    drop(store);

    let mut dice = Dice(1);
    let after = folder.0.join("after.redb");
    for failed_at in 0..=changes.len() {
        after_power_loss(&begin, &after, &changes[..failed_at], &mut dice);
        let store = EmbeddedStore::open(Config::new(&after)).unwrap();
        for (turn, &seen) in acknowledged.iter().enumerate() {
            let there = is_there(&store, &turn.to_string());
            assert!(there || seen > failed_at, "write {turn}, power lost after change {failed_at}");
        }
    }
}
