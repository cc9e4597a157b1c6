//! What the cache holds of one user: the profile as it is handed out, with the texts that many users have in common held
//! once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache as Map;
use stickystore_core::{Entry, Expiry, Key, Profile, Subject, UnixMillis, UserId, Value};

/// What a user costs besides id and profile: its place in the map, with the room that the map keeps free.
const PLACE_BYTES: usize = 80;

/// What the head of a shared piece of memory costs, with what the allocator rounds up.
const HEAD_BYTES: usize = 24;

/// Texts longer than this are hardly ever the same twice.
const COMMON_BYTES: usize = 512;

/// The first so many who have a text each pay for it, so that the bound holds too where every user has texts of its own.
const COMMON_HOLDERS: usize = 8;

/// The answer to a read of all entries of a user, as of a time.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) at: UnixMillis,
    profile: Profile,
    /// So many whole seconds after its time nothing of it has expired yet.
    whole_seconds: u32,
    /// What it costs, in bytes, reckoned once: the map asks for it when it comes and when it goes. 0 if there is nothing.
    bytes: u32,
}

impl Held {
    /// Holds the answer to a read of this user at this time, with an id whose text lies beside the profile: a hit touches
    /// both. None for a user with an erase mark: the answer does not say when it ends.
    pub(super) fn new(
        of: &Subject,
        profile: &Profile,
        at: UnixMillis,
        commons: &Commons,
    ) -> Option<(Subject, Self)> {
        if profile.epoch().is_some() {
            return None;
        }
        let user = UserId::new(&of.user).unwrap_or_else(|_| of.user.clone());
        let mut bytes = damaged_bytes(profile);
        let entries = profile.entries().map(|(key, entry)| {
            let (key, entry, own) = commons.held(key, entry);
            bytes += size_of::<(Key, Entry)>() + own;
            (key, entry)
        });
        let profile = Profile::new(None, entries, profile.damaged().to_vec(), at);
        if !profile.is_empty() {
            bytes += HEAD_BYTES;
        }
        let until = profile.entries().filter_map(|(_, entry)| match entry.expiry {
            Expiry::Never => None,
            Expiry::At(end) => Some(end),
        });
        let whole = until.min().map_or(u64::MAX, |end| end.since(at).as_secs());
        let held = Self { at, profile, whole_seconds: saturated(whole), bytes: saturated(bytes) };
        Some((Subject::new(of.namespace.clone(), user), held))
    }

    /// Whether it is that the user has nothing, as of this time: there was nothing, or all of it has expired.
    pub(super) fn has_nothing(&self, now: UnixMillis) -> bool {
        self.bytes == 0
            || !self.is_whole(now)
                && self.profile.damaged().is_empty()
                && self.profile.entries().all(|(_, entry)| !entry.expiry.is_live(now))
    }

    /// The profile as of this time, which is not before that of the read.
    pub(super) fn profile(self, now: UnixMillis) -> Profile {
        if self.is_whole(now) {
            return self.profile;
        }
        let damaged = self.profile.damaged().to_vec();
        Profile::new(None, self.profile, damaged, now)
    }

    /// Whether it is sure, quickly, that nothing of it has expired by this time.
    fn is_whole(&self, now: UnixMillis) -> bool {
        now.get().saturating_sub(self.at.get()) < u64::from(self.whole_seconds) * 1_000
    }

    /// What it costs, in bytes.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }
}

fn saturated(count: impl TryInto<u32>) -> u32 {
    count.try_into().unwrap_or(u32::MAX)
}

fn damaged_bytes(profile: &Profile) -> usize {
    profile.damaged().iter().map(|damaged| damaged.key.as_str().len() + 4 * HEAD_BYTES).sum()
}

/// Keys and values that many users have, each held once. Bounded: what it forgets is only held more than once from then on.
pub(super) struct Commons(Map<(Key, Value), Arc<Common>, CommonWeight>);

/// A key and a value that many users have.
struct Common {
    key: Key,
    value: Value,
    holders: AtomicUsize,
}

#[derive(Clone)]
struct CommonWeight;

impl Weighter<(Key, Value), Arc<Common>> for CommonWeight {
    fn weight(&self, (key, value): &(Key, Value), _: &Arc<Common>) -> u64 {
        (PLACE_BYTES + size_of::<Common>() + 2 * HEAD_BYTES + texts(key, value)) as u64
    }
}

impl Commons {
    pub(super) fn new(bytes: u64) -> Self {
        let about = usize::try_from(bytes).unwrap_or(usize::MAX) / (2 * PLACE_BYTES);
        Self(Map::with_weighter(about, bytes, CommonWeight))
    }

    /// This entry with the texts that others have too, and how many bytes it has besides its place.
    fn held(&self, key: &Key, entry: &Entry) -> (Key, Entry, usize) {
        let mut entry = entry.clone();
        let rare =
            entry.was.iter().count() * size_of::<(u64, u64)>() + entry.size_bytes() - entry.value.len_bytes();
        let own = texts(key, &entry.value);
        if key.as_str().len() + entry.value.len_bytes() > COMMON_BYTES {
            return (key.clone(), entry, own + rare);
        }
        let pair = (key.clone(), entry.value.clone());
        let common = self.0.get(&pair).unwrap_or_else(|| {
            let (key, value) = pair.clone();
            let common = Arc::new(Common { key, value, holders: AtomicUsize::new(0) });
            self.0.insert(pair, Arc::clone(&common));
            common
        });
        entry.value = common.value.clone();
        let is_common = common.holders.fetch_add(1, Ordering::Relaxed) >= COMMON_HOLDERS;
        (common.key.clone(), entry, if is_common { rare } else { own + rare })
    }
}

fn texts(key: &Key, value: &Value) -> usize {
    key.as_str().len() + value.len_bytes() + 2 * HEAD_BYTES
}

/// Bounds the map by bytes.
#[derive(Clone)]
pub(super) struct Bytes;

impl Weighter<Subject, Held> for Bytes {
    fn weight(&self, subject: &Subject, held: &Held) -> u64 {
        (PLACE_BYTES + HEAD_BYTES + subject.user.as_str().len() + held.bytes()) as u64
    }
}
