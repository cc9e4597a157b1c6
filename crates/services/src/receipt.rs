//! The receipt: proof, carried inside what an SDK was handed, of which entries it read.
//!
//! An SDK sends back the whole map that it got from a lookup, with its changes in it. So that a save can tell what its
//! caller really read, the lookup adds one more entry to the map, which no SDK looks up and all send back untouched:
//!
//! `sr1.<user hash>.<epoch, or ->.<salt and entries>`, each part base64url without padding. The last part is 4 bytes of
//! salt, then 16 bytes for each entry: 4 of key hash, 8 of revision, 4 of value digest.
//!
//! - The user hash is the first 8 bytes of SHA-256 over the length of the namespace (8 bytes, big-endian), the
//!   namespace and the user. A receipt of another user or namespace proves nothing.
//! - Key hash and digest are the low 4 bytes (little-endian) of SipHash-2-4, with the user hash as second key word and
//!   as first the salt, for the digest with bit 32 set. The key hash is over the key; the digest over the length of the
//!   key (8 bytes, little-endian), the key and the value. Two keys with one hash pick another salt; a key
//!   that meets the hash of another can only be refused.
//! - The digest tells which entries come back unchanged, so that these need no write.
//!
//! There is no signature: to know a revision is to have read it.

use std::collections::HashMap;
use std::hash::Hasher as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher24;
use stickystore_core::{Epoch, Revision, Subject};

/// What every receipt of this version begins with.
const PREFIX: &str = "sr1.";

/// Stands in the place of the epoch when there is none.
const NO_EPOCH: &str = "-";

/// How many salts are tried. Below some 50 000 entries the first nearly always serves; with so many that none does,
/// keys that share a hash can only be refused.
const SALTS: u32 = 8;

const SALT_BYTES: usize = 4;
const ENTRY_BYTES: usize = 16;

/// Which revisions of a user's entries somebody read, and under which epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receipt {
    user: [u8; 8],
    epoch: Option<Epoch>,
    salt: u32,
    /// By key hash: the revision and the digest of the value.
    entries: HashMap<u32, (Revision, u32)>,
}

/// What a receipt says of an entry that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// It was not among what was read.
    NotRead,
    /// It was read and comes back as it was.
    Untouched,
    /// It was read under this revision, with another value.
    Changed(Revision),
}

impl Receipt {
    /// A receipt for these entries: key, revision, and the value as the service compares it.
    ///
    /// `seed` should differ from one lookup to the next, so that a key that met another's hash does so once only.
    pub(crate) fn new(
        subject: &Subject,
        epoch: Option<Epoch>,
        seed: u64,
        entries: &[(&str, Revision, &str)],
    ) -> Self {
        let user = user_hash(subject);
        let mut salt = sip(seed, u64::from_le_bytes(user), &[]);
        let mut attempt = 1;
        loop {
            let mut receipt = Self { user, epoch, salt, entries: HashMap::new() };
            let hashes = receipt.hashes();
            let mut collides = false;
            for &(key, revision, value) in entries {
                let entry = (revision, hashes.digest(key, value));
                collides |= receipt.entries.insert(hashes.key(key), entry).is_some();
            }
            if !collides || attempt == SALTS {
                return receipt;
            }
            salt = salt.wrapping_add(1);
            attempt += 1;
        }
    }

    /// Whether text under a reserved key is a receipt, of whatever version: `sr`, digits, a full stop.
    pub(crate) fn is_one(text: &str) -> bool {
        let Some((version, _)) = text.strip_prefix("sr").and_then(|rest| rest.split_once('.')) else {
            return false;
        };
        !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Reads a receipt. One that is malformed, or of another version, proves nothing.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(PREFIX)?.split('.');
        let (user, epoch, rest) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let user = URL_SAFE_NO_PAD.decode(user).ok()?.try_into().ok()?;
        let epoch = if epoch == NO_EPOCH { None } else { Some(Epoch::parse(epoch).ok()?) };
        let rest = URL_SAFE_NO_PAD.decode(rest).ok()?;
        let (salt, rest) = rest.split_first_chunk::<SALT_BYTES>()?;
        let (chunks, odd) = rest.as_chunks::<ENTRY_BYTES>();
        let entries = chunks.iter().map(|[k0, k1, k2, k3, revision @ .., d0, d1, d2, d3]| {
            let (key, digest) = ([*k0, *k1, *k2, *k3], [*d0, *d1, *d2, *d3]);
            let revision = Revision::from_bytes(*revision);
            (u32::from_le_bytes(key), (revision, u32::from_le_bytes(digest)))
        });
        let entries: HashMap<_, _> = entries.collect();
        let is_whole = odd.is_empty() && entries.len() == chunks.len();
        is_whole.then_some(Self { user, epoch, salt: u32::from_le_bytes(*salt), entries })
    }

    /// The receipt as text.
    pub(crate) fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(SALT_BYTES + self.entries.len() * ENTRY_BYTES);
        bytes.extend(self.salt.to_le_bytes());
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_unstable_by_key(|(key, _)| **key);
        for (key, (revision, digest)) in entries {
            bytes.extend(key.to_le_bytes());
            bytes.extend(revision.to_bytes());
            bytes.extend(digest.to_le_bytes());
        }
        let epoch = self.epoch.map_or_else(|| NO_EPOCH.to_owned(), |epoch| epoch.to_string());
        let user = URL_SAFE_NO_PAD.encode(self.user);
        format!("{PREFIX}{user}.{epoch}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Whether it was made for this user in this namespace.
    pub(crate) fn belongs_to(&self, subject: &Subject) -> bool {
        self.user == user_hash(subject)
    }

    /// The epoch under which the user was read.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// Keeps only what another receipt of the same user says too.
    pub(crate) fn agree(&mut self, other: &Self) {
        let comparable = self.user == other.user && self.epoch == other.epoch && self.salt == other.salt;
        self.entries.retain(|key, entry| comparable && other.entries.get(key) == Some(entry));
    }

    /// What it says of an entry that comes back with this value.
    pub(crate) fn proof(&self, key: &str, value: &str) -> Proof {
        let hashes = self.hashes();
        match self.entries.get(&hashes.key(key)) {
            None => Proof::NotRead,
            Some((_, digest)) if *digest == hashes.digest(key, value) => Proof::Untouched,
            Some((revision, _)) => Proof::Changed(*revision),
        }
    }

    fn hashes(&self) -> Hashes {
        Hashes { salt: self.salt, user: u64::from_le_bytes(self.user) }
    }
}

/// The two short hashes of a receipt.
#[derive(Clone, Copy)]
struct Hashes {
    salt: u32,
    user: u64,
}

impl Hashes {
    /// Keeps the two apart.
    const DIGEST: u64 = 1 << 32;

    fn key(self, key: &str) -> u32 {
        sip(u64::from(self.salt), self.user, &[key.as_bytes()])
    }

    /// Covers the key as well: a key that meets another's hash must not pass for it where the values are the same.
    fn digest(self, key: &str, value: &str) -> u32 {
        let length = (key.len() as u64).to_le_bytes();
        sip(u64::from(self.salt) | Self::DIGEST, self.user, &[&length, key.as_bytes(), value.as_bytes()])
    }
}

fn sip(key0: u64, key1: u64, parts: &[&[u8]]) -> u32 {
    let mut hasher = SipHasher24::new_with_keys(key0, key1);
    parts.iter().for_each(|part| hasher.write(part));
    let [b0, b1, b2, b3, ..] = hasher.finish().to_le_bytes();
    u32::from_le_bytes([b0, b1, b2, b3])
}

fn user_hash(subject: &Subject) -> [u8; 8] {
    let namespace = subject.namespace.as_str();
    let hash = Sha256::new()
        .chain_update((namespace.len() as u64).to_be_bytes())
        .chain_update(namespace)
        .chain_update(subject.user.as_str())
        .finalize();
    let mut first = [0; 8];
    first.iter_mut().zip(hash).for_each(|(byte, hashed)| *byte = hashed);
    first
}

#[cfg(test)]
mod tests;
