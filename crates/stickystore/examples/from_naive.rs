//! From `redis.set(user, json)` to stickystore: what is lost before, the import, and the same writers after.
//!
//! `cargo run -p stickystore --example from_naive`, or with a store of yours, as
//! `cargo run -p stickystore --example from_naive --features redis -- 'redis://localhost?namespace=example'`.
//! For what stands in a Redis server today there is `stickystore import`: `docs/moving.md`.
#![expect(clippy::indexing_slicing, reason = "a JSON document that has no such member answers null")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Barrier, Mutex, PoisonError};
use std::thread;

use serde_json::{Value, json};
use stickystore::Sticky;
use stickystore::services::optimizely::RECEIPT_KEY;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "memory:?namespace=example&deadline=10s".to_owned());
    run(&stickystore::open(&url)?)
}

fn run(sticky: &Sticky) -> Outcome<()> {
    let old = Naive::default();
    old.set("ann", profile(&[("colour", "red")]).to_string());
    old.set("bob", profile(&[("colour", "blue")]).to_string());

    // What an SDK does: look up the whole profile, add what was decided, save the whole profile. Twice at once.
    two_decide(
        || Ok(old.get("ann")),
        |profile| {
            old.set("ann", profile);
            Ok(())
        },
    )?;
    let left = decisions(&old.get("ann"))?;
    println!("redis.set: two decisions at once, and {} of 3 assignments are left: {left:?}", left.len());
    assert_eq!(left.len(), 2, "the second save overwrote the first");

    // The import inserts and never overwrites: it may run beside live traffic, and once more.
    let service = sticky.optimizely();
    for (user, map) in old.all() {
        let map: Value = serde_json::from_str(&map)?;
        let profile = json!({"user_id": user, "experiment_bucket_map": map["experiment_bucket_map"]});
        println!("import of {user}: {}", service.save_json(&profile.to_string())?.to_json());
    }

    let save = |profile: String| {
        // Each entry has an outcome of its own; one that failed is an error here.
        let report = service.save_json(&profile)?;
        report.error().map_or(Ok(()), |error| Err(error.clone().into()))
    };
    two_decide(|| Ok(service.lookup_json("ann")?), save)?;
    let kept = decisions(&service.lookup_json("ann")?)?;
    println!("stickystore: the same two, and all are kept: {kept:?}");
    for experiment in ["colour", "size", "price"] {
        assert!(kept.contains_key(experiment), "{experiment} is kept");
    }
    Ok(())
}

/// Two processes decide for one user, each about an experiment of its own; both look up before either saves.
fn two_decide(
    lookup: impl Fn() -> Outcome<String> + Sync,
    save: impl Fn(String) -> Outcome<()> + Sync,
) -> Outcome<()> {
    let both = Barrier::new(2);
    let decide = |experiment: &str, variation: &str| {
        let found = lookup();
        both.wait();
        let mut profile: Value = serde_json::from_str(&found?)?;
        profile["experiment_bucket_map"][experiment] = json!({"variation_id": variation});
        save(profile.to_string())
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| decide("size", "large"));
        let one = decide("price", "low");
        other.join().map_err(|_| "a thread panicked")?.and(one)
    })
}

/// The experiments of a profile and their variations; a receipt is no experiment.
fn decisions(profile: &str) -> Outcome<BTreeMap<String, String>> {
    let profile: Value = serde_json::from_str(profile)?;
    let map = profile["experiment_bucket_map"].as_object().ok_or("a profile has a bucket map")?;
    let entries = map.iter().filter(|(experiment, _)| experiment.as_str() != RECEIPT_KEY);
    let text = |entry: &Value| entry["variation_id"].as_str().unwrap_or_default().to_owned();
    Ok(entries.map(|(experiment, entry)| (experiment.clone(), text(entry))).collect())
}

fn profile(decisions: &[(&str, &str)]) -> Value {
    let entry = |(experiment, variation): &(&str, &str)| {
        ((*experiment).to_owned(), json!({"variation_id": variation}))
    };
    json!({"experiment_bucket_map": decisions.iter().map(entry).collect::<serde_json::Map<_, _>>()})
}

/// A server with `GET` and `SET`, as everybody uses it.
#[derive(Default)]
struct Naive(Mutex<BTreeMap<String, String>>);

impl Naive {
    fn get(&self, user: &str) -> String {
        self.all().remove(user).unwrap_or_else(|| profile(&[]).to_string())
    }

    fn set(&self, user: &str, json: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(user.to_owned(), json);
    }

    fn all(&self) -> BTreeMap<String, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_naive_writers_lose_what_ours_keep() -> super::Outcome<()> {
        super::run(&stickystore::open("memory:?namespace=example&deadline=60s")?)
    }
}
