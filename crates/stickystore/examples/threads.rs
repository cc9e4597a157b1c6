//! Plain threads share one blocking handle: whoever comes first decides, and all are answered the same; by single calls,
//! and by a session for all users at once.
//!
//! `cargo run -p stickystore --example threads`, or with a store of yours, as
//! `cargo run -p stickystore --example threads --features redis -- 'redis://localhost?namespace=example'`.

use std::collections::BTreeSet;
use std::error::Error;
use std::thread;

use stickystore::{How, Sticky};

const THREADS: usize = 8;
const USERS: usize = 50;

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "memory:?namespace=example&deadline=10s".to_owned());
    run(&stickystore::open(&url)?)
}

fn run(sticky: &Sticky) -> Result<(), Box<dyn Error>> {
    all_are_answered_the_same(sticky, "single calls", assign_all)?;
    all_are_answered_the_same(sticky, "sessions", decide_all)
}

/// What each user is answered by a thread that wants all of them in a variation of its own.
type Answers = stickystore::Result<Vec<(usize, String, How)>>;

fn all_are_answered_the_same(
    sticky: &Sticky,
    by: &str,
    assign_all: fn(&Sticky, usize) -> Answers,
) -> Result<(), Box<dyn Error>> {
    let answers: Vec<_> = thread::scope(|scope| {
        // A clone shares the store: no pool, no lock of one's own.
        let start = |mine| {
            let sticky = sticky.clone();
            scope.spawn(move || assign_all(&sticky, mine))
        };
        let threads: Vec<_> = (0..THREADS).map(start).collect();
        threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    let (mut seen, mut new) = (BTreeSet::new(), 0);
    for answer in answers {
        for (user, variation, how) in answer.map_err(|_| "a thread panicked")?? {
            new += usize::from(how == How::New);
            seen.insert((user, variation));
        }
    }
    println!("by {by}: {THREADS} threads, {USERS} users: {} assignments, {new} of them new", seen.len());
    assert_eq!(seen.len(), USERS, "no user was answered two variations");
    Ok(())
}

fn assign_all(sticky: &Sticky, mine: usize) -> Answers {
    let assign = |user| {
        let assigned = sticky.assign(&format!("user-{user}"), "button", || format!("variation-{mine}"))?;
        Ok((user, assigned.text().unwrap_or_default().into_owned(), assigned.how))
    };
    (0..USERS).map(assign).collect()
}

/// The same for all users at once: one read, decisions without I/O, one write; decided again where another thread won.
fn decide_all(sticky: &Sticky, mine: usize) -> Answers {
    let session = sticky.begin_many((0..USERS).map(|user| format!("user-{user}")))?;
    let decided = session.decide(|view| {
        let assign = |user| {
            let assigned = view.assign(&format!("user-{user}"), "title", || format!("variation-{mine}"))?;
            Ok((user, assigned.text().unwrap_or_default().into_owned(), assigned.how))
        };
        (0..USERS).map(assign).collect()
    });
    decided.map_err(|not_kept| not_kept.error)?.value
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_user_is_answered_two_variations() -> Result<(), Box<dyn std::error::Error>> {
        super::run(&stickystore::open("memory:?namespace=example&deadline=60s")?)
    }
}
