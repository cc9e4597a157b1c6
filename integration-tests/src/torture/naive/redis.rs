//! The naive store as it is written for Redis: `GET` and `SET` of one JSON text, by the driver itself.

use std::time::Duration;

use async_trait::async_trait;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands as _, Client, RedisError};
use serde_json::Value as Json;
use stickystore_core::{Effect, Error, ErrorKind, Result};
use tokio::sync::Mutex;

use super::super::log::Told;
use super::super::profiles::{BucketMap, Profiles, Reported};

/// How long a command may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whole profiles in Redis.
pub(crate) struct Texts {
    client: Client,
    /// Made when it is needed, and anew after a failure.
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Texts {
    /// In the server of this URL.
    pub(crate) fn new(url: &str) -> Self {
        Self { client: Client::open(url).unwrap(), connection: Mutex::default() }
    }

    async fn connection(&self) -> Result<MultiplexedConnection> {
        let mut connection = self.connection.lock().await;
        if let Some(connection) = connection.as_ref() {
            return Ok(connection.clone());
        }
        let made = self.client.get_multiplexed_async_connection();
        let made = tokio::time::timeout(PATIENCE, made)
            .await
            .map_err(|_| late())?
            .map_err(|error| failed(&error))?;
        Ok(connection.insert(made).clone())
    }

    /// Runs a command; a connection on which one failed is not used again.
    async fn run<T>(
        &self,
        command: impl AsyncFnOnce(MultiplexedConnection) -> redis::RedisResult<T>,
    ) -> Result<T> {
        let connection = self.connection().await?;
        let done = match tokio::time::timeout(PATIENCE, command(connection)).await {
            Ok(done) => done.map_err(|error| failed(&error)),
            Err(_) => Err(late()),
        };
        if done.is_err() {
            *self.connection.lock().await = None;
        }
        done
    }
}

#[async_trait]
impl Profiles for Texts {
    async fn lookup(&self, user: &str) -> Result<BucketMap> {
        let key = format!("naive:{user}");
        let text: Option<String> = self.run(async move |mut connection| connection.get(key).await).await?;
        let map: Option<Json> = text.map(|text| serde_json::from_str(&text).unwrap());
        Ok(map.as_ref().and_then(Json::as_object).cloned().unwrap_or_default())
    }

    async fn bucket_map(&self, user: &str) -> Result<BucketMap> {
        self.lookup(user).await
    }

    async fn save(&self, user: &str, map: BucketMap, changed: &[String]) -> Result<Reported> {
        let (key, text) = (format!("naive:{user}"), Json::Object(map).to_string());
        self.run::<()>(async move |mut connection| connection.set(key, text).await).await?;
        Ok(changed.iter().map(|key| (key.clone(), (Told::Acknowledged, None))).collect())
    }
}

fn failed(error: &RedisError) -> Error {
    Error::new(ErrorKind::Unavailable, error.to_string()).with_effect(Effect::Unknown)
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "no answer").with_effect(Effect::Unknown)
}
