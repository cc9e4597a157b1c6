//! Our side of every backend: the operations over any store, plain and coalesced.

use std::sync::Arc;

use stickystore_core::{AsyncStore, AsyncStoreExt as _, EpochCheck, Erase, Namespace, Outcome, Read, Ttl};
use stickystore_layers::coalesce::{Bounds, Coalesced};
use stickystore_services::optimizely::{AsyncUserProfileService, UserProfile};
use stickystore_services::{Saved, Settings};

use crate::backend::{Rivals, fill};
use crate::crowd::Crowd;
use crate::measure::{Contender, take_turns};
use crate::operation::{ENTRIES, Operation};
use crate::options::Options;
use crate::rows::{Row, Situation};
use crate::words::{LIFE, NAMESPACE, PATIENCE, VARIATION, entry, key, subject, within};

/// Measures ours beside the rivals.
pub(crate) async fn rows<S: AsyncStore + Clone>(
    options: &Options,
    backend: &'static str,
    store: &S,
    rivals: &impl Rivals,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for operation in Operation::ALL.into_iter().filter(|operation| options.is_asked(*operation)) {
        let crowd = Crowd::new(operation.users(options.users, options.effort.alone), operation.filled());
        fill(store, rivals, &crowd).await;
        for &callers in options.callers.iter().filter(|callers| **callers <= operation.most_callers()) {
            let mut contenders = vec![contender("plain".to_owned(), operation, callers, store, &crowd)];
            for (name, coalesced) in coalesced(options, store) {
                contenders.push(contender(name, operation, callers, &coalesced, &crowd));
            }
            contenders.extend(rivals.beside(operation, callers, &crowd).await);
            contenders.retain(|one| options.who.as_ref().is_none_or(|who| *who == one.name));
            let is_erase = operation == Operation::Erase;
            let operations =
                if is_erase { crowd.len() } else { options.effort.operations(operation, callers) };
            let refill = async || {
                if is_erase {
                    fill(store, rivals, &crowd).await;
                }
            };
            let samples =
                take_turns(&contenders, options.effort.rounds, operations, options.server, refill).await;
            let situation = Situation {
                backend,
                operation,
                api: "async",
                callers,
                users: crowd.len(),
                added_ms: options.added_ms,
            };
            let measured = Row::all(&situation, &contenders, &samples);
            measured.iter().for_each(|row| println!("{row}"));
            rows.extend(measured);
        }
    }
    rows
}

/// The store in `Coalesced`, within the bounds that suit it, or with each of the numbers of batches of reads that were asked for.
pub(crate) fn coalesced<S: AsyncStore + Clone>(options: &Options, store: &S) -> Vec<(String, Coalesced<S>)> {
    let suits = Bounds::of(store.info());
    let asked = options.in_flight.as_deref().unwrap_or(&[suits.in_flight]).to_vec();
    let within = |in_flight| {
        let mut bounds = suits;
        bounds.in_flight = in_flight;
        (format!("coalesced {in_flight}"), Coalesced::with(store.clone(), bounds))
    };
    asked.into_iter().map(within).collect()
}

/// A store's side of an operation.
pub(crate) fn contender<S: AsyncStore + Clone>(
    name: String,
    operation: Operation,
    callers: usize,
    store: &S,
    crowd: &Crowd,
) -> Contender {
    let settings = Settings::new(Namespace::new(NAMESPACE).expect("it is short"))
        .with_ttl(Ttl::new(LIFE).expect("it is not zero"))
        .with_deadline(PATIENCE);
    let ours = Ours { store: store.clone(), service: AsyncUserProfileService::new(store.clone(), settings) };
    let (ours, crowd) = (Arc::new(ours), crowd.clone());
    Contender::new(name, callers, move |i| {
        let (ours, crowd) = (Arc::clone(&ours), crowd.clone());
        async move { ours.run(operation, &crowd, i).await }
    })
}

struct Ours<S> {
    store: S,
    service: AsyncUserProfileService<S>,
}

impl<S: AsyncStore> Ours<S> {
    async fn run(&self, operation: Operation, crowd: &Crowd, i: usize) {
        let (store, user, call) = (&self.store, crowd.nth(i), within());
        let insert = async |user, key| {
            let told = store.insert(call, user, EpochCheck::Is(None), key, entry(call)).await;
            told.expect("an insert")
        };
        match operation {
            Operation::Load(entries) => {
                assert_eq!(store.load(call, user).await.expect("a load").len(), entries);
            }
            Operation::Get => {
                let found = store.get(call, user, &key(i % crowd.filled)).await;
                assert!(found.expect("a get").is_some());
            }
            Operation::AssignNew => assert_eq!(insert(&subject(), key(0)).await, Outcome::Inserted),
            Operation::AssignExisting => {
                assert!(matches!(insert(user, key(i % crowd.filled)).await, Outcome::Kept(_)));
            }
            Operation::Put => {
                let told = store.put(call, user, key(i % crowd.filled), entry(call)).await;
                assert_eq!(told.expect("a put"), Outcome::Written);
            }
            Operation::Save => {
                let mut profile = UserProfile::new(subject().user.as_str());
                (0..ENTRIES).for_each(|place| profile.set_variation(key(place).as_str(), VARIATION));
                let report = self.service.save(&profile).await.expect("a save");
                let inserted = report.iter().filter(|(_, saved)| matches!(saved, Saved::Inserted)).count();
                assert_eq!(inserted, ENTRIES);
            }
            Operation::ReadMany => {
                let reads: Vec<_> = crowd.many(i).cloned().map(Read::all).collect();
                let found = store.read(call, &reads).await;
                assert!(found.into_iter().all(|profile| profile.expect("a read").len() == ENTRIES));
            }
            Operation::Erase => {
                let erase = Erase::new(user.clone(), call.now);
                assert!(store.erase_one(call, erase).await.expect("an erase"));
            }
        }
    }
}
