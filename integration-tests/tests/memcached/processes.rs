//! Two processes that want the same entries: one of them gets each, and both are told who.
//!
//! The other process is this test program, started again for one test with what it shall do in its environment.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use stickystore_core::{AsyncStoreExt as _, EpochCheck, Namespace, Outcome, Revision, Subject, UserId};

use crate::bench::{call, entry, key, server, store};

/// Tells the started program which server and namespace to use; without it the child test has nothing to do.
const SERVER: &str = "STICKYSTORE_CHILD_SERVER";
const NAMESPACE: &str = "STICKYSTORE_CHILD_NAMESPACE";

/// How many entries both want.
const ENTRIES: usize = 2_000;

/// How many entries a user has: writers of one user meet, also where they want different entries.
const OF_A_USER: usize = 20;

fn start(url: &str, namespace: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::the_other_process", "--nocapture"])
        .env(SERVER, url)
        .env(NAMESPACE, namespace)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What either process does: it waits for a line, inserts everything, and says of each what it was told.
#[tokio::test]
async fn the_other_process() {
    let (Ok(url), Ok(namespace)) = (std::env::var(SERVER), std::env::var(NAMESPACE)) else { return };
    let store = store(&url);
    let namespace = Namespace::new(namespace).unwrap();
    let own = format!("{:?}", std::process::id());
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    for i in 0..ENTRIES {
        let user = UserId::new((i / OF_A_USER).to_string()).unwrap();
        let subject = Subject::new(namespace.clone(), user);
        let answer =
            store.insert(call(), &subject, EpochCheck::Is(None), key(&i.to_string()), entry(&own)).await;
        match answer.unwrap() {
            Outcome::Inserted => println!("told {i} \"{own}\" won"),
            Outcome::Kept(winner) => println!("told {i} {} kept", winner.value.as_str()),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn of_two_processes_exactly_one_inserts_and_both_are_told_who() {
    let Some(server) = server(&[]) else { return };
    let namespace = Revision::random().to_string();
    let mut children = [0, 1].map(|_| start(&server.url(), &namespace));
    let mut outputs = children.each_mut().map(|child| BufReader::new(child.stdout.take().unwrap()).lines());
    for output in &mut outputs {
        while !output.next().unwrap().unwrap().contains("ready") {}
    }
    for child in &mut children {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }
    let [first, second] = outputs.map(|output| {
        std::thread::spawn(move || {
            let lines = output.map(Result::unwrap).filter(|line| line.starts_with("told "));
            lines.map(|line| told(&line)).collect::<HashMap<_, _>>()
        })
    });
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let mut wins = [0, 0];
    for i in 0..ENTRIES {
        let ((winner, first_won), (same, second_won)) = (&first[&i], &second[&i]);
        assert_eq!(winner, same, "both are told the same winner of {i}");
        assert_ne!(first_won, second_won, "exactly one inserted {i}");
        wins[usize::from(*second_won)] += 1;
    }
    assert!(wins.iter().all(|wins| *wins > 0), "they met: {wins:?}");
}

/// Which entry, whose it is, and whether it is the teller's.
fn told(line: &str) -> (usize, (String, bool)) {
    let words: Vec<_> = line.split(' ').collect();
    (words[1].parse().unwrap(), (words[2].to_owned(), words[3] == "won"))
}
