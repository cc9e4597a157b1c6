//! Going through a namespace: along the ring, by the tokens of users, a profile for each one of the namespace.

use futures::FutureExt as _;
use scylla::DeserializeRow;
use scylla::response::PagingState;
use stickystore_core::{
    AsyncScan, Call, Cursor, Error, ErrorKind, Namespace, Operation, Page, Read, Result, Subject, UserId,
    async_trait,
};

use crate::connection::{Level, Request};
use crate::error::{Failure, at, odd_answer};
use crate::read;
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

impl Step {
    /// What was found where so many were looked at; nothing if a place may have more users than that.
    fn of(mut found: Vec<(i64, Option<UserId>)>, looked_at: i32) -> Option<Self> {
        let is_whole = found.len() < usize::try_from(looked_at).unwrap_or(usize::MAX);
        let mut end = None;
        if let (false, Some(last)) = (is_whole, found.last().map(|(place, _)| *place)) {
            // Others may share the last place: it is looked at again.
            end = Some(found.iter().rev().map(|(place, _)| *place).find(|place| *place != last)?);
            found.retain(|(place, _)| *place != last);
        }
        Some(Self { users: found.into_iter().filter_map(|(_, user)| user).collect(), end })
    }
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

    /// Looks at so many users from a place on; at more if all that were found share one place, which has no end then.
    async fn step(&self, call: Call, namespace: &Namespace, place: i64, looked_at: i32) -> Result<Step> {
        let mut looked_at = looked_at;
        loop {
            let found = self.look(call, namespace, place, looked_at).await?;
            if let Some(step) = Step::of(found, looked_at) {
                return Ok(step);
            }
            looked_at = looked_at.saturating_mul(2);
        }
    }

    /// Users from a place on, those of other namespaces without their ids.
    async fn look(
        &self,
        call: Call,
        namespace: &Namespace,
        place: i64,
        looked_at: i32,
    ) -> Result<Vec<(i64, Option<UserId>)>> {
        let ready =
            Ready { statement: Statement::Scan, values: vec![Bound::Number(place), Bound::Count(looked_at)] };
        let (mut found, mut state) = (Vec::new(), PagingState::start());
        loop {
            let request = Request::page(&ready, Level::Plain, &state);
            let (answer, next) = self.sessions().run(&request, call.deadline).await.map_err(Failure::told)?;
            let answer = answer.into_rows_result().map_err(|_| odd_answer())?;
            for row in answer.rows::<UserRow<'_>>().map_err(|_| odd_answer())? {
                let row = row.map_err(|_| odd_answer())?;
                let ours = row.namespace == namespace.as_str();
                // What nobody could have written is nobody's.
                found.push((row.place, UserId::new(row.user).ok().filter(|_| ours)));
            }
            match next {
                Some(next) => state = next,
                None => return Ok(found),
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(places: &[i64]) -> Vec<(i64, Option<UserId>)> {
        places.iter().map(|place| (*place, Some(UserId::new(place.to_string()).unwrap()))).collect()
    }

    fn step(places: &[i64], looked_at: i32) -> Option<(Vec<String>, Option<i64>)> {
        let step = Step::of(found(places), looked_at)?;
        Some((step.users.iter().map(|user| user.as_str().to_owned()).collect(), step.end))
    }

    #[test]
    fn the_last_place_of_a_step_is_looked_at_again_since_others_may_share_it() {
        assert_eq!(step(&[1, 2, 3], 3), Some((vec!["1".into(), "2".into()], Some(2))));
        assert_eq!(step(&[1, 2, 2], 3), Some((vec!["1".into()], Some(1))));
        assert_eq!(step(&[1, 2], 3), Some((vec!["1".into(), "2".into()], None)), "the ring ends");
        assert_eq!(step(&[], 2), Some((vec![], None)));
    }

    #[test]
    fn a_place_that_more_users_share_than_were_looked_at_is_not_left_behind() {
        assert_eq!(step(&[7, 7], 2), None);
        assert_eq!(step(&[7, 7, 7, 9], 4), Some((vec!["7".into(); 3], Some(7))));
        assert_eq!(step(&[7, 7, 7], 4), Some((vec!["7".into(); 3], None)));
    }
}
