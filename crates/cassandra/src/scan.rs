//! Going through a namespace: along the ring, by the tokens of users, a profile for each one of the namespace.

use futures::FutureExt as _;
use scylla::DeserializeRow;
use scylla::response::PagingState;
use stickystore_core::{
    AsyncScan, Call, Cursor, Error, ErrorKind, Namespace, Operation, Page, Read, Result, Subject, UserId,
    async_trait,
};

use crate::connection::{Level, Request};
use crate::error::at;
use crate::read::{self, odd};
use crate::statement::{Bound, Ready, Statement};
use crate::store::{CassandraStore, some_at_once};

/// How many users are looked at in one step, whatever their namespace.
const LOOKED_AT: i32 = 500;

/// How many steps a page may take, so that a page of a small namespace in a large table ends too.
const STEPS_PER_PAGE: usize = 20;

/// Before the first token there is.
const START: i64 = i64::MIN;

#[async_trait]
impl AsyncScan for CassandraStore {
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

/// A part of the ring.
struct Step {
    /// The users of the namespace in it.
    users: Vec<UserId>,
    /// Where it ends; the ring does if there is nothing.
    end: Option<i64>,
}

impl CassandraStore {
    async fn page(
        &self,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(call)?;
        let mut place = match cursor.map(|cursor| cursor.as_str().parse::<i64>()) {
            None => START,
            Some(Ok(place)) => place,
            Some(Err(_)) => {
                return Err(Error::new(ErrorKind::Invalid, "this cursor is not one of this store's"));
            }
        };
        // No more than are wanted, but one more than a place in the ring can be shared by.
        let looked_at = i32::try_from(limit).unwrap_or(LOOKED_AT).clamp(2, LOOKED_AT);
        let (mut users, mut next) = (Vec::new(), None);
        for step in 0..STEPS_PER_PAGE {
            // Where nobody of the namespace was met, more are looked at.
            let looked_at = if step == 0 { looked_at } else { LOOKED_AT };
            let found = self.step(call, namespace, place, looked_at).await?;
            users.extend(found.users);
            next = found.end;
            match next {
                Some(end) if users.is_empty() => place = end,
                _ => break,
            }
        }
        let mut page = self.profiles(call, namespace, users).await?;
        page.next = next.map(|place| Cursor::new(place.to_string()));
        Ok(page)
    }

    async fn step(&self, call: Call, namespace: &Namespace, place: i64, looked_at: i32) -> Result<Step> {
        let ready =
            Ready { statement: Statement::Scan, values: vec![Bound::Number(place), Bound::Count(looked_at)] };
        let (mut found, mut state) = (Vec::new(), PagingState::start());
        loop {
            let request = Request::page(&ready, Level::Plain, &state);
            let (answer, next) = self.sessions().run(&request, call.deadline).await?;
            let answer = answer.into_rows_result().map_err(odd)?;
            for row in answer.rows::<UserRow<'_>>().map_err(odd)? {
                let row = row.map_err(odd)?;
                let ours = row.namespace == namespace.as_str();
                // What nobody could have written is nobody's.
                found.push((row.place, UserId::new(row.user).ok().filter(|_| ours)));
            }
            match next {
                Some(next) => state = next,
                None => break,
            }
        }
        let is_whole = found.len() < usize::try_from(looked_at).unwrap_or(usize::MAX);
        let last = found.last().map(|(place, _)| *place);
        let mut end = None;
        if let (false, Some(last)) = (is_whole, last) {
            // Others may share the last place: it is looked at again, unless there is no other.
            let before = found.iter().rev().map(|(place, _)| *place).find(|place| *place != last);
            end = Some(before.unwrap_or(last));
            if before.is_some() {
                found.retain(|(place, _)| *place != last);
            }
        }
        Ok(Step { users: found.into_iter().filter_map(|(_, user)| user).collect(), end })
    }

    async fn profiles(&self, call: Call, namespace: &Namespace, users: Vec<UserId>) -> Result<Page> {
        let work = users.into_iter().map(|user| {
            let read = Read::all(Subject::new(namespace.clone(), user.clone()));
            async move { (user, read::profile(self.sessions(), call, &read).await) }.boxed()
        });
        let mut page = Page::default();
        for (user, profile) in some_at_once(work.collect()).await {
            match profile {
                Ok(profile) if profile.is_empty() => {}
                Ok(profile) => page.users.push((user, profile)),
                Err(error) if error.kind() == ErrorKind::Corrupt => page.foreign += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(page)
    }
}

#[derive(DeserializeRow)]
struct UserRow<'a> {
    namespace: &'a str,
    user: &'a str,
    place: i64,
}
