//! Going through a namespace: the server's own cursor, a profile for each key that it finds.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use stickystore_core::{
    AsyncScan, Call, Cursor, Error, ErrorKind, Namespace, Operation, Page, Result, UserId, async_trait,
};

use crate::error::{self, at};
use crate::layout;
use crate::read::whole_profile;
use crate::store::RedisStore;
use crate::wire::{Commands, Value};

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
        let (cursor, pattern, looked_at) =
            (cursor.to_string(), layout::pattern(namespace), looked_at.to_string());
        let scan = ["SCAN", &cursor, "MATCH", &pattern, "COUNT", &looked_at];
        let answer = self.answer(self.long_lane(), &scan, call.deadline).await?;
        let Value::Array(mut answer) = answer.value() else { return Err(error::odd_answer()) };
        let (Some(Value::Text(next)), Some(Value::Array(keys)), None) =
            (answer.next(), answer.next(), answer.next())
        else {
            return Err(error::odd_answer());
        };
        let next = std::str::from_utf8(next).ok().and_then(|next| next.parse().ok());
        let users = keys.filter_map(|key| match key {
            Value::Text(key) => layout::user_of(key, namespace),
            _ => None,
        });
        Ok((next.ok_or_else(error::odd_answer)?, users.collect()))
    }

    async fn profiles(&self, call: Call, namespace: &Namespace, users: BTreeSet<UserId>) -> Result<Page> {
        let keys = users.iter().map(|user| {
            layout::storage_key(&stickystore_core::Subject::new(namespace.clone(), user.clone()))
        });
        let keys: Vec<_> = keys.collect();
        let read = |key: &String, commands: &mut Commands| commands.push(&["HGETALL", key]);
        let answers = self.answers(self.long_lane(), &keys, read, call.deadline).await;
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
