//! What an Optimizely-like SDK is given: a place that hands out profiles and takes them back, as JSON. Ours, and the naive
//! one that it takes the place of.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value as Json, json};
use stickystore_core::{AsyncStore, Effect, Error, Result};
use stickystore_services::optimizely::AsyncUserProfileService;
use stickystore_services::{SaveReport, Saved};

use super::log::Told;

/// A bucket map, by experiment.
pub(crate) type BucketMap = Map<String, Json>;

/// What became of each entry of a save, and the token that stands in its place where that was said.
pub(crate) type Reported = BTreeMap<String, (Told, Option<String>)>;

/// Hands out profiles and takes them back.
#[async_trait]
pub(crate) trait Profiles: Send + Sync + 'static {
    /// The map of this user's profile.
    ///
    /// # Errors
    /// What the store answers.
    async fn lookup(&self, user: &str) -> Result<BucketMap>;

    /// The map to be passed by attribute.
    ///
    /// # Errors
    /// What the store answers.
    async fn bucket_map(&self, user: &str) -> Result<BucketMap>;

    /// Takes the whole map back; says of those that have changed what became of them.
    ///
    /// # Errors
    /// What concerns the whole profile.
    async fn save(&self, user: &str, map: BucketMap, changed: &[String]) -> Result<Reported>;

    /// Whether the map itself carries the proof of what it shows, which is lost with the rest of it.
    fn is_proof_in_map(&self) -> bool {
        true
    }
}

#[async_trait]
impl Profiles for AsyncUserProfileService<Arc<dyn AsyncStore>> {
    async fn lookup(&self, user: &str) -> Result<BucketMap> {
        let profile: Json = serde_json::from_str(&self.lookup_json(user).await?).unwrap();
        Ok(profile.get("experiment_bucket_map").and_then(Json::as_object).cloned().unwrap_or_default())
    }

    async fn bucket_map(&self, user: &str) -> Result<BucketMap> {
        Ok(serde_json::from_str(&self.bucket_map_json(user).await?).unwrap())
    }

    async fn save(&self, user: &str, map: BucketMap, changed: &[String]) -> Result<Reported> {
        let profile = json!({ "user_id": user, "experiment_bucket_map": map });
        Ok(reported(&self.save_json(&profile.to_string()).await?, changed))
    }
}

/// What a report says of these entries.
pub(crate) fn reported(report: &SaveReport, changed: &[String]) -> Reported {
    let told = |key: &String| {
        let told = match report.get(key) {
            Some(Saved::Inserted | Saved::Replaced { .. }) => (Told::Acknowledged, None),
            Some(Saved::Kept { winner, .. }) => {
                (Told::Refused, winner.as_ref().and_then(|winner| token(winner.as_str())))
            }
            Some(Saved::Failed { error }) => (effect(error), None),
            // The same stands there: perhaps what an earlier attempt of a layer's wrote, and somebody has added a goal to since.
            Some(Saved::Unchanged | Saved::Added) => (Told::Unknown, None),
            _ => (Told::Refused, None),
        };
        (key.clone(), told)
    };
    changed.iter().map(told).collect()
}

/// What an error leaves open.
pub(crate) fn effect(error: &Error) -> Told {
    match error.effect() {
        Effect::NotApplied => Told::Failed,
        Effect::Unknown => Told::Unknown,
    }
}

/// What stands somewhere: `variation`, with the token of its write.
pub(crate) fn bucketed(variation: &str, token: &str) -> Json {
    json!({ "variation_id": variation, "t": token })
}

/// The token in a stored value of any of the SDKs.
pub(crate) fn token(value: &str) -> Option<String> {
    let value: Json = serde_json::from_str(value).ok()?;
    let token = value.get("t").or_else(|| value.get("metaData").and_then(|meta| meta.get("t")));
    token.and_then(Json::as_str).map(str::to_owned)
}

/// The goals in a stored record of VWO's; none in anything else.
pub(crate) fn goals(value: &str) -> Vec<String> {
    let value: Option<Json> = serde_json::from_str(value).ok();
    let goals = value.as_ref().and_then(|value| value.get("goalIdentifier")).and_then(Json::as_str);
    let goals = goals.unwrap_or_default().split("_vwo_").filter(|goal| !goal.is_empty());
    goals.map(str::to_owned).collect()
}

/// The tokens of a map, by experiment.
pub(crate) fn tokens(map: &BucketMap) -> BTreeMap<String, String> {
    map.iter().filter_map(|(key, entry)| Some((key.clone(), entry.get("t")?.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use stickystore_core::{Namespace, memory::MemoryStore};
    use stickystore_services::Settings;
    use stickystore_services::vwo::{Record, UserStorageService};

    use super::*;

    #[test]
    fn what_stands_already_may_be_its_own() {
        let vwo = UserStorageService::new(MemoryStore::new(), Settings::new(Namespace::new("n").unwrap()));
        let told = |goal: &str| {
            let mut record = Record::new("u", "c", "red");
            record.add_goal(goal);
            reported(&vwo.set(&record).unwrap(), &["c".to_owned()])["c"].0
        };
        assert_eq!([told("g1"), told("g1"), told("g2")], [Told::Acknowledged, Told::Unknown, Told::Unknown]);
    }
}
