//! Other processes: one that may not have the file too, and one that is killed while it writes.
//!
//! The other process is this test program, started again for one test with what it shall do in its environment.

use std::collections::HashSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use stickystore_core::{EpochCheck, Outcome, StoreExt as _};
use stickystore_embedded::{Config, EmbeddedStore};

use crate::scratch::{Scratch, call, entry, key, user};

/// Tells the started program which file to use; without it the child test has nothing to do.
const FILE: &str = "STICKYSTORE_CHILD_FILE";
/// Tells it how the keys of its life begin.
const LIFE: &str = "STICKYSTORE_CHILD_LIFE";

/// As many as the promise names.
const KILLS: usize = 50;
/// Writers in the child: one at least is in the middle of a write whenever the kill comes.
const WRITERS: usize = 4;

fn start(file: &Path, life: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::the_other_process", "--nocapture"])
        .env(FILE, file)
        .env(LIFE, life)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What the other process does: it writes until it is killed, and says what it began and what was acknowledged.
#[test]
fn the_other_process() {
    let (Some(file), Ok(life)) = (std::env::var_os(FILE), std::env::var(LIFE)) else { return };
    let store = match EmbeddedStore::open(Config::new(file)) {
        Ok(store) => store,
        Err(error) => {
            println!("refused: {error}");
            return;
        }
    };
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (store, life) = (&store, &life);
            scope.spawn(move || {
                let name = |turn: usize| format!("{life}-{writer}-{turn}");
                say(&format!("began {}", name(0)));
                for turn in 0.. {
                    let name = name(turn);
                    let answer =
                        store.insert(call(), &user(&name), EpochCheck::Is(None), key("k"), entry(&name));
                    assert_eq!(answer.unwrap(), Outcome::Inserted);
                    // In one piece: whenever the kill comes, a write was begun that is not acknowledged.
                    say(&format!("acknowledged {name}\nbegan {life}-{writer}-{}", turn + 1));
                }
            });
        }
    });
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").unwrap();
    out.flush().unwrap();
}

/// What a life said that was killed after so many acknowledged writes: what was acknowledged, what was only begun.
fn one_life(file: &Path, life: &str, writes: usize) -> (Vec<String>, Vec<String>) {
    let mut child = start(file, life);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    while text.matches("acknowledged").count() < writes {
        assert_ne!(output.read_line(&mut text).unwrap(), 0, "the other process ended: {text}");
    }
    child.kill().unwrap();
    output.read_to_string(&mut text).unwrap();
    child.wait().unwrap();
    // The last line may be torn.
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let names = |word: &str| {
        let lines = whole.lines().filter_map(|line| line.strip_prefix(word));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (acknowledged, mut began) = (names("acknowledged "), names("began "));
    let done: HashSet<_> = acknowledged.iter().collect();
    began.retain(|name| !done.contains(name));
    (acknowledged, began)
}

fn value(store: &EmbeddedStore, name: &str) -> Option<String> {
    let entry = store.get(call(), &user(name), &key("k")).unwrap();
    entry.map(|entry| entry.value.as_str().to_owned())
}

#[test]
fn killed_fifty_times_in_the_middle_of_writes_nothing_acknowledged_is_lost() {
    let scratch = Scratch::new();
    let file = scratch.config().path;
    let mut all = Vec::new();
    let (mut kill, mut lives) = (0, 0);
    while kill < KILLS {
        // A kill counts if a write was in flight; where the machine lets all threads pause at once, none is.
        lives += 1;
        assert!(lives <= 10 * KILLS, "only {kill} of {lives} kills met a write in flight");
        let (acknowledged, in_flight) = one_life(&file, &lives.to_string(), 1 + kill % 7);
        kill += usize::from(!in_flight.is_empty());
        let store = scratch.open();
        for name in &acknowledged {
            assert_eq!(value(&store, name), Some(format!("\"{name}\"")), "acknowledged before kill {kill}");
        }
        for name in &in_flight {
            let found = value(&store, name);
            assert!(found.is_none_or(|value| value == format!("\"{name}\"")), "whole or absent");
        }
        all.extend(acknowledged);
    }
    assert!(all.len() >= KILLS);
    let store = scratch.open();
    for name in &all {
        assert!(value(&store, name).is_some(), "{name} survived every later kill");
    }
}

#[test]
fn a_kill_while_the_file_is_made_leaves_none_or_a_whole_one() {
    let scratch = Scratch::new();
    for kill in 0..20 {
        let file = scratch.file(&format!("{kill}.redb"));
        let mut child = start(&file, "x");
        // Sooner and later: some before the file is there, some after.
        while kill % 2 == 1 && !file.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        if kill % 2 == 0 {
            let made = || scratch.names().iter().any(|name| name.starts_with(&format!("{kill}.redb")));
            while !made() && child.try_wait().unwrap().is_none() {
                std::thread::yield_now();
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        EmbeddedStore::open(Config::new(&file)).unwrap();
    }
}

#[test]
fn a_second_process_is_told_that_the_file_is_in_use_and_which() {
    let scratch = Scratch::new();
    let store = scratch.open();
    store.put(call(), &user("ann"), key("k"), entry("v")).unwrap();
    let file = scratch.config().path;
    let output = start(&file, "second").wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let refused = text.lines().find(|line| line.starts_with("refused: ")).unwrap();
    assert!(refused.contains(file.to_str().unwrap()), "{refused}");
    assert!(refused.contains("is open already, in another process"), "{refused}");
    store.put(call(), &user("ann"), key("k"), entry("w")).unwrap();
}
