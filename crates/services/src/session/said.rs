//! What became of an entry that several saves of a session were about: the word that says most.

use super::overlay::Shape;
use crate::report::Saved;

/// What was said of an entry, by whose service, with the goals that were added to it.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) shape: Shape,
    pub(super) saved: Saved,
    pub(super) goals_added: Vec<String>,
}

impl Said {
    /// The same and another, whichever says more; of two that say as much the later one.
    pub(super) fn and(&mut self, later: Self) {
        if weight(&later.saved) >= weight(&self.saved) {
            self.saved = later.saved;
        }
        for goal in later.goals_added {
            if !self.goals_added.contains(&goal) {
                self.goals_added.push(goal);
            }
        }
    }
}

/// What could not be done has to be heard; what was not needed has not.
fn weight(saved: &Saved) -> u8 {
    match saved {
        Saved::Unchanged => 0,
        Saved::Added => 1,
        Saved::Replaced { .. } => 2,
        Saved::Inserted => 3,
        Saved::Kept { .. } => 4,
        Saved::Failed { .. } => 5,
    }
}
