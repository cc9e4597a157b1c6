//! A scene for one change: what stands under the key that it names, what stands around it, and the proof that
//! the change did what its answer says and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use stickystore_core::{AsyncStore as _, AsyncStoreExt as _};
use stickystore_core::{
    Call, Change, Entry, Epoch, EpochCheck, ErrorKind, Expiry, Key, Outcome, Read, Result, Revision, Subject,
    UnixMillis, Unknown, Value, ValueHash, Was,
};

use crate::act;
use crate::context::{Context, Skip, entry, key};
use crate::seen::{answer_text, assert_answer, assert_view, entry_text, profile_view};

/// The key that every change of a scene names.
pub(crate) const KEY: &str = "key";

/// The user whose entry it is.
const USER: &str = "user";

/// Keys around it in the same user, for stores that trim, fold or cut.
const NEIGHBOURS: [&str; 4] = ["ke", "KEY", "key ", "key2"];

/// When a mark or an entry ends that lives long enough for any case: in an hour.
pub(crate) const LONG: u64 = 3_600_000;

/// A user with an entry under [`KEY`], and around it entries that no change of the scene names: of the same user,
/// of another user, of the same user in another namespace.
pub(crate) struct Scene {
    cx: Context,
    subjects: Vec<Subject>,
    now: UnixMillis,
    check: EpochCheck,
}

/// What all users of a scene have: by subject, by key.
type View = Vec<BTreeMap<String, String>>;

impl Scene {
    /// A scene in which nothing stands under the key.
    pub(crate) async fn empty(cx: &Context) -> Self {
        let user = cx.user(USER);
        let elsewhere = Subject::new(cx.other_namespace(), user.user.clone());
        let subjects = vec![user, cx.user("user2"), elsewhere];
        let neighbours = NEIGHBOURS.map(|at| (at, neighbour(cx)));
        act::put_all(cx, &subjects[0], &neighbours).await;
        for other in &subjects[1..] {
            act::put_all(cx, other, &[(KEY, neighbour(cx))]).await;
        }
        Self { cx: cx.clone(), subjects, now: cx.start(), check: EpochCheck::Ignore }
    }

    /// A scene in which this entry stands under the key.
    pub(crate) async fn with(cx: &Context, entry: &Entry) -> Self {
        let scene = Self::empty(cx).await;
        act::put(cx, scene.user(), KEY, entry).await;
        scene
    }

    /// A scene in which what stands under the key cannot be read as an entry; skips where nothing can be damaged.
    pub(crate) async fn damaged(cx: &Context) -> std::result::Result<Self, Skip> {
        let plant = cx.plant()?;
        let scene = Self::empty(cx).await;
        plant.damaged_entry(scene.user(), &key(KEY)).await;
        Ok(scene)
    }

    /// Erases the user of the scene that will be set; gives the epoch of the mark, which ends then.
    pub(crate) async fn erase_before(cx: &Context, mark_until: u64) -> Epoch {
        let erase = cx.erase(&cx.user(USER), mark_until);
        let epoch = erase.epoch;
        cx.store().erase_one(cx.call(), erase).await.expect("an erase is answered");
        epoch
    }

    /// The same at so many milliseconds after the case began.
    #[must_use]
    pub(crate) fn at(mut self, millis: u64) -> Self {
        self.now = self.cx.time(millis);
        self
    }

    /// The same for a writer that knows of these erasures.
    #[must_use]
    pub(crate) fn knowing(mut self, check: EpochCheck) -> Self {
        self.check = check;
        self
    }

    /// The user whose entry it is.
    pub(crate) fn user(&self) -> &Subject {
        &self.subjects[0]
    }

    /// Makes a change that is answered so and changes nothing: nothing that is live, and nothing that has only just
    /// expired and a caller whose clock is behind still sees.
    pub(crate) async fn leaves_all(&self, change: Change, wanted: Outcome) {
        let shown = format!("{change:?}");
        let (a_little_earlier, before) = (self.view(1).await, self.view(0).await);
        let answer = self.change(change).await;
        assert_answer(&answer, &wanted, &shown);
        self.assert_views(&before, 0, &format!("{shown} was answered {wanted:?} and changes nothing")).await;
        let what = format!("{shown} was answered {wanted:?} and changes nothing, also not what just expired");
        self.assert_views(&a_little_earlier, 1, &what).await;
    }

    /// Makes a change that is refused as `Corrupt` and changes nothing.
    pub(crate) async fn is_corrupt(&self, change: Change) {
        let shown = format!("{change:?}");
        let before = self.view(0).await;
        let answer = self.change(change).await;
        assert_eq!(
            answer_text(&answer),
            format!("{:?}, NotApplied", ErrorKind::Corrupt),
            "{shown} meets something that is no entry"
        );
        self.assert_views(&before, 0, &format!("{shown} was refused and changes nothing")).await;
    }

    /// Makes a change that is answered so and after which this stands under the key, and everything else as before.
    pub(crate) async fn comes_to(&self, change: Change, wanted: Outcome, left: Option<&Entry>) {
        let shown = format!("{change:?}");
        let mut after = self.view(0).await;
        let answer = self.change(change).await;
        assert_answer(&answer, &wanted, &shown);
        match left {
            Some(entry) => after[0].insert(KEY.to_owned(), entry_text(entry)),
            None => after[0].remove(KEY),
        };
        self.assert_views(&after, 0, &format!("{shown} was answered {wanted:?}")).await;
    }

    async fn change(&self, change: Change) -> Result<Outcome> {
        self.cx.store().change(self.call(0), self.user(), self.check, change).await
    }

    async fn assert_views(&self, wanted: &View, behind: u64, what: &str) {
        for ((found, wanted), subject) in self.view(behind).await.iter().zip(wanted).zip(&self.subjects) {
            assert_view(found, wanted, &format!("{what} (in {:?})", subject.user));
        }
    }

    /// What a caller sees whose clock is so many milliseconds behind.
    async fn view(&self, behind: u64) -> View {
        let reads: Vec<_> = self.subjects.iter().cloned().map(Read::all).collect();
        let answers = self.cx.store().read(self.call(behind), &reads).await;
        assert_eq!(answers.len(), reads.len(), "a read has an answer for each user");
        answers.iter().map(profile_view).collect()
    }

    fn call(&self, behind: u64) -> Call {
        Call::new(self.now.saturating_sub(Duration::from_millis(behind)), self.cx.deadline())
    }
}

/// The change that inserts under the scene's key.
pub(crate) fn insert(new: &Entry) -> Change {
    Change::Insert(key(KEY), new.clone())
}

/// The change that puts under the scene's key.
pub(crate) fn put(new: &Entry) -> Change {
    Change::Put(key(KEY), new.clone())
}

/// The change that replaces under the scene's key what has this entry's revision.
pub(crate) fn replace(read: &Entry, new: &Entry) -> Change {
    Change::Replace(key(KEY), read.revision, new.clone())
}

/// The change that removes what stands under the scene's key.
pub(crate) fn remove() -> Change {
    Change::Remove(key(KEY))
}

/// The change that removes under the scene's key what has this entry's revision.
pub(crate) fn remove_if(read: &Entry) -> Change {
    Change::RemoveIf(key(KEY), read.revision)
}

/// Every change there is, with these revisions and entries where it has some.
pub(crate) fn every_change(read: Revision, new: &Entry) -> [Change; 5] {
    let key = || -> Key { key(KEY) };
    [
        Change::Insert(key(), new.clone()),
        Change::Put(key(), new.clone()),
        Change::Replace(key(), read, new.clone()),
        Change::Remove(key()),
        Change::RemoveIf(key(), read),
    ]
}

/// An entry with all that an entry can have, so that a store which drops some of it while it rewrites is noticed.
pub(crate) fn full(cx: &Context, value: &str) -> Entry {
    let was = [("older", cx.time(0)), ("oldest", UnixMillis::EPOCH)];
    let unknown = [("newer", "{\"a\": [1e400]}"), ("a.b", "null")];
    let unknown = unknown.map(|(name, text)| (name.into(), Value::new(text).expect("it is JSON")));
    let mut full = entry(value)
        .with_was(Was::new(was.map(|(text, at)| (ValueHash::of(text), at)).to_vec()))
        .with_unknown(Unknown::new(unknown.to_vec()).expect("the scene names unknown members"));
    full.expiry = Expiry::At(cx.time(100 * LONG));
    full
}

fn neighbour(cx: &Context) -> Entry {
    full(cx, "stays")
}
