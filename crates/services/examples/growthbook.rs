//! GrowthBook's Rust SDK with its sticky buckets in a store: a thousand users are bucketed, the traffic is re-allocated, and
//! all are bucketed again, without a store and with it. It needs no network: the features are given here.
//!
//! `cargo run -p stickystore-services --features growthbook --example growthbook`

use std::error::Error;
use std::sync::Arc;

use growthbook_rust::client::{GrowthBookClient, GrowthBookClientBuilder, GrowthBookClientTrait as _};
use growthbook_rust::model_public::GrowthBookAttribute;
use serde_json::json;
use stickystore_core::{Namespace, memory::MemoryStore};
use stickystore_services::Settings;
use stickystore_services::growthbook::{StickyBucketService, Told};

const USERS: usize = 1_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = StickyBucketService::new(MemoryStore::new(), Settings::new(Namespace::new("shop")?));

    for sticky in [false, true] {
        let before = decide_all(&client(&service, sticky, [0.5, 0.5]).await?)?;
        let after = decide_all(&client(&service, sticky, [0.1, 0.9]).await?)?;
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        println!("{}: {moved} of {USERS} users were moved", if sticky { "with a store" } else { "without" });
    }

    println!("what is kept of the first: {}", service.document_json("id", "user-0")?);
    Ok(())
}

/// A client as a process would build it, whose users are split by these weights.
async fn client(
    service: &StickyBucketService<MemoryStore>,
    sticky: bool,
    weights: [f64; 2],
) -> Result<GrowthBookClient, Box<dyn Error>> {
    let features = json!({"button": {"defaultValue": "grey", "rules": [
        {"key": "button-colour", "hashAttribute": "id", "variations": ["red", "blue"], "weights": weights},
    ]}});
    let mut builder = GrowthBookClientBuilder::new().features_json(features)?;
    if sticky {
        // What the SDK's trait has no words for is told here.
        let hook = service.clone().into_hook(|event| match event.told {
            Told::ReadFailed(error) | Told::SaveFailed(error) => eprintln!("{error}"),
            Told::Saved(report) if report.error().is_some() => eprintln!("{}", report.to_json()),
            _ => {}
        });
        builder = builder.sticky_bucket_service(Arc::new(hook));
    }
    Ok(builder.build().await?)
}

/// The variation of each user.
fn decide_all(client: &GrowthBookClient) -> Result<Vec<String>, Box<dyn Error>> {
    let decide = |user| {
        let attributes = GrowthBookAttribute::from(json!({"id": format!("user-{user}")}))?;
        Ok(client.feature_result("button", Some(attributes)).value_as()?)
    };
    (0..USERS).map(decide).collect()
}
