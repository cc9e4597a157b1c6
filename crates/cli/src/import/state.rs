//! The place that an import has come to, kept in a file.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::answer::Wrong;

/// The file begins with this, a space, and the hash of what is imported, and into which store: it goes on where it belongs.
const VERSION: &str = "stickystore-import-1";

/// Says, in the place of a place, that all is done.
const DONE: &str = "done";

/// The place, and the file that keeps it if there is one.
pub(super) struct State {
    file: Option<PathBuf>,
    head: String,
    place: Option<String>,
}

impl State {
    pub(super) fn open(file: Option<&Path>, identity: &str) -> Result<Self, Box<dyn Error>> {
        // The hash: a URL may hold a password.
        let hash: String =
            Sha256::digest(identity).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let mut state = Self { file: file.map(Into::into), head: format!("{VERSION} {hash}"), place: None };
        let Some(file) = file.filter(|file| file.exists()) else { return Ok(state) };
        let wrong = |what: String| wrong(file, &what);
        let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
        let (head, place) = text.split_once('\n').unwrap_or_default();
        let place = place.trim_end();
        if head != state.head {
            let what = "is not the state of an import of this source, read in this way, into this store";
            return Err(wrong(what.to_owned()).into());
        }
        if place == DONE {
            return Err(wrong("this import was completed; without the file it begins anew".to_owned()).into());
        }
        state.place = Some(place.to_owned());
        Ok(state)
    }

    /// Before anything is imported: whether the place can be kept at all.
    pub(super) fn begin(&mut self) -> Result<(), Box<dyn Error>> {
        let place = self.place.clone().unwrap_or_default();
        self.keep(&place)
    }

    /// Where to go on, if it was begun.
    pub(super) fn place(&self) -> Option<&str> {
        self.place.as_deref().filter(|place| !place.is_empty())
    }

    /// All before this place is imported.
    pub(super) fn keep(&mut self, place: &str) -> Result<(), Box<dyn Error>> {
        let Some(file) = &self.file else { return Ok(()) };
        // Whoever stops it in between finds the old one whole.
        let mut new = file.clone().into_os_string();
        new.push(".new");
        let kept = fs::write(&new, format!("{}\n{place}\n", self.head)).and_then(|()| fs::rename(&new, file));
        kept.map_err(|error| wrong(file, &format!("the place cannot be kept: {error}")).into())
    }

    /// All is imported.
    pub(super) fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        self.keep(DONE)
    }
}

fn wrong(file: &Path, what: &str) -> Wrong {
    Wrong(format!("{}: {what}", file.display()))
}
