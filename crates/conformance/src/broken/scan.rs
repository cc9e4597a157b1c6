//! Stores that lose users on the way from page to page, or find some that are not theirs.

use stickystore_core::{Call, Cursor, Namespace, Operation, Page, Profile, Result, Subject, UserId};

use super::BrokenStore;
use super::bench::{Bench, opened};
use super::fault::{Fault, Pages};
use super::state::User;

/// How much this scan gives in all.
const MOST: usize = 1_000;

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "a page begins one user late",
        breaks: "each user is in a scan once: off by one",
        open: || {
            opened(Pages(|page, cursor, _| {
                if cursor.is_some() && !page.users.is_empty() {
                    page.users.remove(0);
                }
            }))
        },
    },
    BrokenStore {
        name: "a page ends one user early",
        breaks: "each user is in a scan once: off by one",
        open: || {
            opened(Pages(|page, _, _| {
                if page.next.is_some() {
                    page.users.pop();
                }
            }))
        },
    },
    BrokenStore {
        name: "loses the last, unfilled page",
        breaks: "a scan gives every user",
        open: || {
            opened(Pages(|page, cursor, limit| {
                if cursor.is_some() && page.next.is_none() && page.users.len() < limit {
                    page.users.clear();
                }
            }))
        },
    },
    BrokenStore {
        name: "ends at the first page",
        breaks: "a scan gives every user",
        open: || opened(Pages(|page, _, _| page.next = None)),
    },
    BrokenStore {
        name: "ends at an empty page",
        breaks: "a page may be empty and the scan go on",
        open: || {
            opened(Pages(|page, _, _| {
                if page.users.is_empty() {
                    page.next = None;
                }
            }))
        },
    },
    BrokenStore {
        name: "skips by number",
        breaks: "users that stood all the while are in a scan, also when others go",
        open: || opened(SkipsByNumber),
    },
    BrokenStore {
        name: "gives at most 1 000 users",
        breaks: "a scan gives every user",
        open: || opened(AtMost),
    },
    BrokenStore {
        name: "scans every namespace with this prefix",
        breaks: "a scan gives only the namespace's own",
        open: || opened(ScansPrefix),
    },
    BrokenStore {
        name: "scans by pattern",
        breaks: "`*` in a namespace is literal",
        open: || opened(ScansPattern),
    },
    BrokenStore {
        name: "scans encoded ids",
        breaks: "a scan gives original ids",
        open: || {
            opened(Pages(|page, _, _| {
                for (user, _) in &mut page.users {
                    *user = encoded(user);
                }
            }))
        },
    },
    BrokenStore {
        name: "scans ids without profiles",
        breaks: "a scan gives users with their profiles",
        open: || {
            opened(Pages(|page, _, _| {
                page.users.iter_mut().for_each(|(_, profile)| *profile = Profile::default());
            }))
        },
    },
    BrokenStore {
        name: "a scan passes over damage",
        breaks: "a scan gives users that have a damaged entry",
        open: || opened(Pages(|page, _, _| page.users.retain(|(_, profile)| profile.damaged().is_empty()))),
    },
    BrokenStore {
        name: "a scan ends at foreign data",
        breaks: "a scan counts foreign users and goes on",
        open: || opened(EndsAtForeign),
    },
    BrokenStore {
        name: "a scan does not count foreign users",
        breaks: "a scan counts foreign users",
        open: || opened(Pages(|page, _, _| page.foreign = 0)),
    },
    BrokenStore {
        name: "scans users of whom only the mark is left",
        breaks: "a scan gives users that have a live or damaged entry",
        open: || opened(ScansMarks),
    },
];

/// `LIMIT .. OFFSET ..`: what goes from an earlier page moves everybody behind it.
struct SkipsByNumber;

impl Fault for SkipsByNumber {
    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(bench, call, Operation::Scan)?;
        let skip = cursor.and_then(|cursor| cursor.as_str().parse().ok()).unwrap_or(0_usize);
        let mut page = bench.page(&bench.state(), namespace, None, usize::MAX, call.now);
        let rest = page.users.split_off(skip.min(page.users.len()));
        let more = rest.len() > limit;
        page.users = rest.into_iter().take(limit.max(1)).collect();
        page.next = more.then(|| Cursor::new((skip + limit.max(1)).to_string()));
        page.foreign = if cursor.is_none() { page.foreign } else { 0 };
        Ok(page)
    }
}

/// A cursor of the server's that is not followed far enough.
struct AtMost;

impl Fault for AtMost {
    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(bench, call, Operation::Scan)?;
        let state = bench.state();
        let mut page = bench.page(&state, namespace, cursor, limit, call.now);
        let all = bench.page(&state, namespace, None, MOST, call.now);
        if let Some((last, _)) = all.users.last().filter(|_| all.users.len() >= MOST) {
            let before = page.users.len();
            page.users.retain(|(user, _)| user <= last);
            if page.users.len() < before {
                page.next = None;
            }
        }
        Ok(page)
    }
}

struct ScansPrefix;

impl Fault for ScansPrefix {
    fn is_scanned(&self, wanted: &Namespace, namespace: &Namespace) -> bool {
        namespace.as_str().starts_with(wanted.as_str())
    }
}

/// `SCAN MATCH namespace:*`, and the namespace is not escaped.
struct ScansPattern;

impl Fault for ScansPattern {
    fn is_scanned(&self, wanted: &Namespace, namespace: &Namespace) -> bool {
        match wanted.as_str().split_once(['*', '?', '[']) {
            Some((head, _)) => namespace.as_str().starts_with(head),
            None => wanted == namespace,
        }
    }
}

fn encoded(user: &UserId) -> UserId {
    let encode = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c.to_string(),
        c => format!("%{:02X}", u32::from(c)),
    };
    UserId::new(user.as_str().chars().map(encode).collect::<String>()).unwrap_or_else(|_| user.clone())
}

struct EndsAtForeign;

impl Fault for EndsAtForeign {
    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(bench, call, Operation::Scan)?;
        let state = bench.state();
        let mut page = bench.page(&state, namespace, cursor, limit, call.now);
        let is_foreign = |(subject, user): &(&Subject, &User)| {
            subject.namespace == *namespace && matches!(user, User::Foreign)
        };
        if let Some((foreign, _)) = state.users.iter().find(is_foreign) {
            let before = page.users.len();
            page.users.retain(|(user, _)| *user < foreign.user);
            if page.users.len() < before || page.foreign > 0 {
                page.next = None;
            }
        }
        Ok(page)
    }
}

struct ScansMarks;

impl Fault for ScansMarks {
    fn page(
        &self,
        bench: &Bench,
        call: Call,
        namespace: &Namespace,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Result<Page> {
        self.admit(bench, call, Operation::Scan)?;
        let state = bench.state();
        let mut page = bench.page(&state, namespace, cursor, limit, call.now);
        for (subject, user) in state.users.iter().filter(|_| cursor.is_none()) {
            if let User::Ours(ours) = user
                && subject.namespace == *namespace
                && let Some(mark) = ours.mark.filter(|mark| mark.is_live(call.now))
                && ours.slots.is_empty()
            {
                let profile = Profile::new(Some(mark.epoch), [], Vec::new(), call.now);
                page.users.push((subject.user.clone(), profile));
            }
        }
        Ok(page)
    }
}
