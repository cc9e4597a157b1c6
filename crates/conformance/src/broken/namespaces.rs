//! Stores that let one namespace, or one user, reach into another.

use stickystore_core::{Call, Erase, Namespace, Result, Subject, UserId};

use super::BrokenStore;
use super::bench::{Bench, opened};
use super::fault::Fault;
use super::state::State;

pub(super) const STORES: &[BrokenStore] = &[
    BrokenStore {
        name: "ignores the namespace",
        breaks: "the same user in two namespaces is two users",
        open: || opened(OneNamespace),
    },
    BrokenStore {
        name: "joins namespace and user with a colon",
        breaks: "(\"a:b\", \"c\") is not (\"a\", \"b:c\"), namespaces too",
        open: || opened(JoinsNamespace(':')),
    },
    BrokenStore {
        name: "joins namespace and user with a slash",
        breaks: "(\"a/b\", \"c\") is not (\"a\", \"b/c\"), namespaces too",
        open: || opened(JoinsNamespace('/')),
    },
    BrokenStore {
        name: "folds the case of namespaces",
        breaks: "namespaces are verbatim",
        open: || opened(FoldsNamespace),
    },
    BrokenStore {
        name: "erases the user in every namespace",
        breaks: "erasing a user leaves the same user of other namespaces",
        open: || opened(Erases(|erased, other| erased.user == other.user)),
    },
    BrokenStore {
        name: "erases every user with this prefix",
        breaks: "erasing \"a\" leaves \"ab\" and \"a:b\"",
        open: || {
            opened(Erases(|erased, other| {
                erased.namespace == other.namespace && other.user.as_str().starts_with(erased.user.as_str())
            }))
        },
    },
    BrokenStore {
        name: "erases the namespace",
        breaks: "erasing a user leaves the others",
        open: || opened(Erases(|erased, other| erased.namespace == other.namespace)),
    },
];

struct OneNamespace;

impl Fault for OneNamespace {
    fn subject(&self, subject: &Subject) -> Subject {
        Subject::new(Namespace::new("all").unwrap(), subject.user.clone())
    }

    fn is_scanned(&self, _wanted: &Namespace, _namespace: &Namespace) -> bool {
        true
    }
}

/// Stores under `namespace:user`; the last separator tells where the user begins.
struct JoinsNamespace(char);

impl Fault for JoinsNamespace {
    fn subject(&self, subject: &Subject) -> Subject {
        match subject.user.as_str().rsplit_once(self.0) {
            Some((head, user)) if !user.is_empty() => {
                let namespace = format!("{}{}{head}", subject.namespace, self.0);
                match (Namespace::new(namespace), UserId::new(user)) {
                    (Ok(namespace), Ok(user)) => Subject::new(namespace, user),
                    _ => subject.clone(),
                }
            }
            _ => subject.clone(),
        }
    }
}

struct FoldsNamespace;

impl Fault for FoldsNamespace {
    fn subject(&self, subject: &Subject) -> Subject {
        let folded = Namespace::new(subject.namespace.as_str().to_lowercase());
        Subject::new(folded.unwrap_or_else(|_| subject.namespace.clone()), subject.user.clone())
    }

    fn is_scanned(&self, wanted: &Namespace, namespace: &Namespace) -> bool {
        wanted.as_str().to_lowercase() == namespace.as_str()
    }
}

/// Takes more users along than the one that was named.
struct Erases(fn(&Subject, &Subject) -> bool);

impl Fault for Erases {
    fn erase_user(&self, bench: &Bench, state: &mut State, erase: &Erase, call: Call) -> Result<bool> {
        let answer = bench.erase_user(state, erase, call.now)?;
        state.users.retain(|other, _| *other == erase.subject || !(self.0)(&erase.subject, other));
        Ok(answer)
    }
}
