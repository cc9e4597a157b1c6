//! Going through a namespace: the server's own cursor, a profile for each key that it finds.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use redis::Value;
use stickystore_core::{
    AsyncScan, Call, Cursor, Error, ErrorKind, Namespace, Operation, Page, Result, UserId, async_trait,
};

use crate::error::{self, at};
use crate::layout;
use crate::store::{RedisStore, whole_profile};

/// How many keys the server looks at for one SCAN: most of them may be other programs', so that it is more than the users
/// that are wanted, and few enough that the server's other clients do not notice.
const LOOKED_AT: RangeInclusive<usize> = 100..=1000;

/// How many SCANs a page may take, so that a page of a small namespace in a large database ends too.
const SCANS_PER_PAGE: usize = 20;

#[async_trait]
impl AsyncScan for RedisStore {
    async fn scan_page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.page(call, namespace, cursor, limit).await.map_err(at(Operation::Scan))
    }
}

impl RedisStore {
    async fn page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(call)?;
        let mut cursor = match cursor.map(|cursor| cursor.as_str().parse::<u64>()) {
            None => 0,
            Some(Ok(cursor)) if cursor > 0 => cursor,
            Some(_) => return Err(Error::new(ErrorKind::Invalid, "this cursor is not one of this store's")),
        };
        // The server may give a key twice.
        let mut users = BTreeSet::new();
        let mut looked_at = limit.clamp(*LOOKED_AT.start(), *LOOKED_AT.end());
        for _ in 0..SCANS_PER_PAGE {
            let (next, found) = self.scan_once(call, namespace, cursor, looked_at).await?;
            cursor = next;
            if found.is_empty() {
                looked_at = (looked_at * 2).min(*LOOKED_AT.end());
            }
            users.extend(found);
            if cursor == 0 || users.len() >= limit {
                break;
            }
        }
        let mut page = self.profiles(call, namespace, users).await?;
        page.next = (cursor != 0).then(|| Cursor::new(cursor.to_string()));
        Ok(page)
    }

    async fn scan_once(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: u64,
        looked_at: usize,
    ) -> Result<(u64, Vec<UserId>)> {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(layout::pattern(namespace));
        scan.arg("COUNT").arg(looked_at);
        let Value::Array(answer) = self.answer(self.long_lane(), &scan, call.deadline).await? else {
            return Err(error::odd_answer());
        };
        let [Value::BulkString(next), Value::Array(keys)] = answer.as_slice() else {
            return Err(error::odd_answer());
        };
        let next = std::str::from_utf8(next).ok().and_then(|next| next.parse().ok());
        let users = keys.iter().filter_map(|key| match key {
            Value::BulkString(key) => layout::user_of(key, namespace),
            _ => None,
        });
        Ok((next.ok_or_else(error::odd_answer)?, users.collect()))
    }

    async fn profiles(&self, call: Call, namespace: &Namespace, users: BTreeSet<UserId>) -> Result<Page> {
        let reads: Vec<_> = users
            .iter()
            .map(|user| {
                let subject = stickystore_core::Subject::new(namespace.clone(), user.clone());
                let mut command = redis::cmd("HGETALL");
                command.arg(layout::storage_key(&subject));
                command
            })
            .collect();
        let answers = self.answers(self.long_lane(), reads, call.deadline).await;
        let mut page = Page::default();
        for (user, answer) in users.into_iter().zip(answers) {
            match answer.and_then(|answer| whole_profile(&answer, call.now)) {
                Ok(profile) if profile.is_empty() => {}
                Ok(profile) => page.users.push((user, profile)),
                Err(error) if error.kind() == ErrorKind::Corrupt => page.foreign += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }
}
