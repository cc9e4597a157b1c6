//! The steps that many cases have in common: what is given at their beginning, and what stands at their end.

use stickystore_core::{AsyncStoreExt as _, Entry, EpochCheck, Key, Outcome, Profile, Subject};

use crate::context::{Context, key};

impl Context {
    /// Puts this entry, whatever stood there or was erased.
    pub(crate) async fn given(&self, subject: &Subject, at: &str, entry: &Entry) {
        let put = self.store().put(self.call(), subject, key(at), entry.clone()).await;
        assert_eq!(put.expect("put answers"), Outcome::Written);
    }

    /// Inserts this entry at the case's time zero.
    pub(crate) async fn insert(
        &self,
        subject: &Subject,
        epoch: EpochCheck,
        at: &str,
        entry: &Entry,
    ) -> Outcome {
        let insert = self.store().insert(self.call(), subject, epoch, key(at), entry.clone()).await;
        insert.expect("insert answers")
    }

    /// Everything that stands for this user so many milliseconds after the case began.
    pub(crate) async fn profile_at(&self, subject: &Subject, millis: u64) -> Profile {
        self.store().load(self.at(millis), subject).await.expect("load answers")
    }

    /// Everything that stands for this user.
    pub(crate) async fn profile(&self, subject: &Subject) -> Profile {
        self.profile_at(subject, 0).await
    }

    /// Asserts that exactly these entries stand for this user, in every part.
    pub(crate) async fn assert_holds(&self, subject: &Subject, expected: &[(&str, &Entry)]) {
        assert_entries(&self.profile(subject).await, expected);
    }
}

/// Asserts that a profile has exactly these entries, in every part, and nothing damaged.
pub(crate) fn assert_entries(profile: &Profile, expected: &[(&str, &Entry)]) {
    let mut expected: Vec<(Key, &Entry)> = expected.iter().map(|&(at, entry)| (key(at), entry)).collect();
    expected.sort_by(|(a, _), (b, _)| a.cmp(b));
    let texts = |entries: &[(&Key, &Entry)]| -> Vec<(String, String)> {
        entries.iter().map(|(key, entry)| (key.to_string(), entry.value.as_str().to_owned())).collect()
    };
    let expected: Vec<(&Key, &Entry)> = expected.iter().map(|(key, entry)| (key, *entry)).collect();
    let found: Vec<(&Key, &Entry)> = profile.entries().collect();
    assert_eq!(texts(&found), texts(&expected), "these values stand");
    assert_eq!(found, expected, "their expiry, revision and history stand with them");
    assert_eq!(profile.damaged(), [], "nothing is damaged");
}
