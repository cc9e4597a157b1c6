//! What the cache holds of one user: small, with what many users have in common held once; and how it is made to a
//! profile again.

use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync::Cache as Map;
use stickystore_core::{Entry, Expiry, Key, Profile, Revision, Subject, UnixMillis, Value};

/// What a user costs besides its texts: its place in the map, with the room that the map keeps free.
const PLACE_BYTES: usize = 128;

/// What the head of a shared piece of memory costs, with what the allocator rounds up.
const HEAD_BYTES: usize = 24;

/// Texts longer than this are hardly ever the same twice.
const COMMON_BYTES: usize = 512;

/// Up to so many holders of a text each pays for it, so that the bound holds too where every user has texts of its own.
const COMMON_HOLDERS: usize = 8;

/// The answer to a read of all entries of a user, as of a time.
#[derive(Clone)]
pub(super) struct Held {
    pub(super) at: UnixMillis,
    form: Form,
    /// What it costs, in bytes, reckoned once: the map asks for it when it comes and when it goes.
    bytes: u32,
    /// Whether it was made whole because it is read often.
    pub(super) is_often: bool,
}

#[derive(Clone)]
enum Form {
    /// There was nothing.
    Absent,
    /// Entries that are as nearly all are, small.
    Small(Arc<[Small]>),
    /// A profile as it is handed out: of a user who is read often, or with what the small form has no place for.
    Whole {
        profile: Profile,
        /// Before this nothing of it has expired.
        until: UnixMillis,
    },
}

/// An entry without history and without members that this version does not know.
struct Small {
    /// Key and value: many users have the same.
    common: Common,
    revision: Revision,
    expiry: Expiry53,
}

/// An expiry in eight bytes.
#[derive(Clone, Copy)]
struct Expiry53(u64);

impl Held {
    /// Holds the answer to a read at this time, as small as it can be. None for a user with an erase mark: the answer does
    /// not say when it ends.
    pub(super) fn new(profile: &Profile, at: UnixMillis, commons: &Commons) -> Option<Self> {
        if profile.epoch().is_some() {
            return None;
        }
        let is_plain = |entry: &Entry| entry.was.is_empty() && entry.unknown.is_empty();
        Some(Self::of(
            at,
            if profile.is_empty() {
                Form::Absent
            } else if profile.damaged().is_empty() && profile.entries().all(|(_, entry)| is_plain(entry)) {
                Form::Small(profile.entries().map(|(key, entry)| Small::new(key, entry, commons)).collect())
            } else {
                Form::whole(profile.clone())
            },
        ))
    }

    fn of(at: UnixMillis, form: Form) -> Self {
        let bytes = u32::try_from(form.bytes()).unwrap_or(u32::MAX);
        Self { at, form, bytes, is_often: false }
    }

    pub(super) fn is_absent(&self) -> bool {
        matches!(self.form, Form::Absent)
    }

    /// The profile as of this time, which is not before that of the read.
    pub(super) fn profile(&self, now: UnixMillis) -> Profile {
        match &self.form {
            Form::Absent => Profile::default(),
            Form::Small(entries) => {
                let live = entries.iter().filter(|small| small.expiry.get().is_live(now));
                Profile::new(None, live.map(Small::entry), Vec::new(), now)
            }
            Form::Whole { profile, .. } => live(profile.clone(), now),
        }
    }

    /// [`profile`](Self::profile) of what nobody else needs.
    pub(super) fn into_profile(self, now: UnixMillis) -> Profile {
        match self.form {
            Form::Whole { profile, until } if now < until => profile,
            _ => self.profile(now),
        }
    }

    /// Whether it could be held as it is handed out, and is not.
    pub(super) fn is_small(&self) -> bool {
        matches!(self.form, Form::Small(_))
    }

    /// The same as it is handed out, for a user who is read often.
    pub(super) fn whole(&self) -> Self {
        Self { is_often: true, ..Self::of(self.at, Form::whole(self.profile(self.at))) }
    }

    /// Whether it is this very one; only of small ones.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (&self.form, &other.form) {
            (Form::Small(one), Form::Small(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// What it costs, in bytes.
    pub(super) fn bytes(&self) -> usize {
        usize::try_from(self.bytes).unwrap_or(usize::MAX)
    }
}

impl Form {
    fn bytes(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Small(entries) => {
                let own = entries.iter().filter(|small| small.pays());
                let own = own.map(|small| texts(&small.common));
                size_of_val::<[Small]>(entries) + HEAD_BYTES + own.sum::<usize>()
            }
            Self::Whole { profile, .. } => whole_bytes(profile),
        }
    }

    fn whole(profile: Profile) -> Self {
        let ends = profile.entries().filter_map(|(_, entry)| match entry.expiry {
            Expiry::Never => None,
            Expiry::At(at) => Some(at),
        });
        let until = ends.min().unwrap_or(UnixMillis::MAX);
        Self::Whole { profile, until }
    }
}

impl Small {
    fn new(key: &Key, entry: &Entry, commons: &Commons) -> Self {
        let common = commons.held(key, &entry.value);
        Self { common, revision: entry.revision, expiry: Expiry53::new(entry.expiry) }
    }

    fn entry(&self) -> (Key, Entry) {
        let (key, value) = &*self.common;
        (key.clone(), Entry::stored(value.clone(), self.expiry.get(), self.revision))
    }

    /// Whether this user pays for the text: few others have it.
    fn pays(&self) -> bool {
        Arc::strong_count(&self.common) <= COMMON_HOLDERS
    }
}

impl Expiry53 {
    /// A time is below 2^53, so this is none.
    const NEVER: u64 = u64::MAX;

    fn new(expiry: Expiry) -> Self {
        match expiry {
            Expiry::Never => Self(Self::NEVER),
            Expiry::At(at) => Self(at.get()),
        }
    }

    fn get(self) -> Expiry {
        UnixMillis::new(self.0).map_or(Expiry::Never, Expiry::At)
    }
}

/// What is live of it.
fn live(profile: Profile, now: UnixMillis) -> Profile {
    let damaged = profile.damaged().to_vec();
    Profile::new(profile.epoch(), profile, damaged, now)
}

fn whole_bytes(profile: &Profile) -> usize {
    let entry = |(key, entry): (&Key, &Entry)| {
        let was = entry.was.iter().count() * size_of::<(u64, u64)>();
        size_of::<(Key, Entry)>() + key.as_str().len() + entry.size_bytes() + was + 2 * HEAD_BYTES
    };
    let damaged = profile.damaged().iter();
    let damaged = damaged.map(|damaged| damaged.key.as_str().len() + 2 * HEAD_BYTES);
    profile.entries().map(entry).sum::<usize>() + damaged.sum::<usize>() + 4 * HEAD_BYTES
}

/// Keys and values that many users have, each held once. Bounded: what it forgets is only held more than once from then on.
pub(super) struct Commons(Map<Common, Common, CommonWeight>);

/// A key and a value that many users have.
type Common = Arc<(Key, Value)>;

#[derive(Clone)]
struct CommonWeight;

impl Weighter<Common, Common> for CommonWeight {
    fn weight(&self, _: &Common, common: &Common) -> u64 {
        (PLACE_BYTES + texts(common)) as u64
    }
}

impl Commons {
    pub(super) fn new(bytes: u64) -> Self {
        let about = usize::try_from(bytes).unwrap_or(usize::MAX) / (2 * PLACE_BYTES);
        Self(Map::with_weighter(about, bytes, CommonWeight))
    }

    fn held(&self, key: &Key, value: &Value) -> Common {
        let pair = (key.clone(), value.clone());
        if !is_common(key, value) {
            return Arc::new(pair);
        }
        self.0.get(&pair).unwrap_or_else(|| {
            let common = Arc::new(pair);
            self.0.insert(Arc::clone(&common), Arc::clone(&common));
            common
        })
    }
}

fn is_common(key: &Key, value: &Value) -> bool {
    key.as_str().len() + value.len_bytes() <= COMMON_BYTES
}

fn texts((key, value): &(Key, Value)) -> usize {
    key.as_str().len() + value.len_bytes() + size_of::<(Key, Value)>() + 3 * HEAD_BYTES
}

/// Bounds the map by bytes.
#[derive(Clone)]
pub(super) struct Bytes;

impl Weighter<Subject, Held> for Bytes {
    fn weight(&self, subject: &Subject, held: &Held) -> u64 {
        (PLACE_BYTES + HEAD_BYTES + subject.user.as_str().len() + held.bytes()) as u64
    }
}
