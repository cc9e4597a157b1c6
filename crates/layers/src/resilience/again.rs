//! Which items of a call are sent again, and where their answers belong.

use std::collections::HashMap;

use stickystore_core::{Change, Effect, EpochCheck, Key, Outcome, Result, Subject, Write};

use super::effort::Tries;

/// Items that are each answered for itself: reads, erases.
pub(super) struct Pending<I, T, F> {
    items: Vec<I>,
    answers: Vec<Option<Result<T>>>,
    /// Which of the items were sent last.
    sent: Vec<usize>,
    may_repeat: F,
}

impl<I: Clone, T, F: Fn(usize, &I) -> bool> Pending<I, T, F> {
    /// These items. `may_repeat` says which may be sent again, whether or not they were applied.
    pub(super) fn new(items: Vec<I>, may_repeat: F) -> Self {
        let answers = items.iter().map(|_| None).collect();
        Self { items, answers, sent: Vec::new(), may_repeat }
    }

    /// The items of the next attempt, when it is time for it.
    pub(super) async fn next(&mut self, tries: &mut Tries<'_>) -> Option<Vec<I>> {
        if !tries.is_possible() {
            return None;
        }
        let wanted = |(at, item): (usize, &I)| match self.answers.get(at) {
            Some(Some(Err(error))) => (tries.is_passing(error) && (self.may_repeat)(at, item)).then_some(at),
            Some(Some(Ok(_))) => None,
            _ => Some(at),
        };
        let sent: Vec<_> = self.items.iter().enumerate().filter_map(wanted).collect();
        self.sent = sent;
        // No items at all are a call too: the store may have been closed.
        let is_first_and_empty = self.items.is_empty() && tries.is_first();
        if (self.sent.is_empty() && !is_first_and_empty) || !tries.next().await {
            return None;
        }
        Some(self.sent.iter().filter_map(|at| self.items.get(*at)).cloned().collect())
    }

    /// The attempt was answered so, item by item.
    pub(super) fn answered(&mut self, answers: Vec<Result<T>>) {
        for (at, answer) in self.sent.drain(..).zip(answers) {
            if let Some(slot) = self.answers.get_mut(at) {
                *slot = Some(after(slot.as_ref(), answer));
            }
        }
    }

    /// The last answer of each.
    pub(super) fn answers(self) -> Vec<Result<T>> {
        self.answers.into_iter().flatten().collect()
    }
}

/// The changes of writes.
pub(super) struct Changes<'a> {
    writes: &'a [Write],
    answers: Vec<Vec<Option<Result<Outcome>>>>,
    /// Which changes of which writes were sent last.
    sent: Vec<(usize, Vec<usize>)>,
}

impl<'a> Changes<'a> {
    pub(super) fn new(writes: &'a [Write]) -> Self {
        let answers = writes.iter().map(|write| vec![None; write.changes().len()]).collect();
        Self { writes, answers, sent: Vec::new() }
    }

    /// The writes of the next attempt, with those changes that are still to be made.
    pub(super) async fn next(&mut self, tries: &mut Tries<'_>) -> Option<Vec<Write>> {
        if tries.is_first() {
            let all = |(at, write): (usize, &Write)| (at, (0..write.changes().len()).collect());
            self.sent = self.writes.iter().enumerate().map(all).collect();
            tries.next().await;
            return Some(self.writes.to_vec());
        }
        if !tries.is_possible() {
            return None;
        }
        let last = self.last();
        let sent = self.writes.iter().enumerate().filter_map(|(at, write)| {
            let is_again = |change: &usize| self.is_sent_again(tries, &last, at, *change);
            let again = (0..write.changes().len()).filter(is_again);
            let again: Vec<_> = again.collect();
            (!again.is_empty()).then_some((at, again))
        });
        self.sent = sent.collect();
        if self.sent.is_empty() || !tries.next().await {
            return None;
        }
        let filtered = |(at, changes): &(usize, Vec<usize>)| {
            let write = self.writes.get(*at)?;
            Some(write.filtered(|at, _| changes.contains(&at)))
        };
        Some(self.sent.iter().filter_map(filtered).collect())
    }

    /// The attempt was answered so, change by change.
    pub(super) fn answered(&mut self, answers: Vec<Vec<Result<Outcome>>>) {
        for ((write, changes), answers) in self.sent.drain(..).zip(answers) {
            for (change, answer) in changes.into_iter().zip(answers) {
                let slot = self.answers.get_mut(write).and_then(|answers| answers.get_mut(change));
                if let Some(slot) = slot {
                    *slot = Some(after(slot.as_ref(), answer));
                }
            }
        }
    }

    /// The last answer of each change.
    pub(super) fn answers(self) -> Vec<Vec<Result<Outcome>>> {
        self.answers.into_iter().map(|answers| answers.into_iter().flatten().collect()).collect()
    }

    /// Which write is the last that names an entry: they take effect in their order.
    fn last(&self) -> HashMap<(&Subject, &Key), usize> {
        let writes = self.writes.iter().enumerate();
        let named = |(at, write): (usize, &'a Write)| {
            write.changes().iter().map(move |change| ((write.subject(), change.key()), at))
        };
        writes.flat_map(named).collect()
    }

    fn is_sent_again(
        &self,
        tries: &Tries<'_>,
        last: &HashMap<(&Subject, &Key), usize>,
        at: usize,
        change: usize,
    ) -> bool {
        let answer = self.answers.get(at).and_then(|answers| answers.get(change));
        let Some(Some(Err(error))) = answer else {
            return false;
        };
        let Some(write) = self.writes.get(at) else {
            return false;
        };
        let Some(change) = write.changes().get(change) else {
            return false;
        };
        let is_safe = error.effect() == Effect::NotApplied || finds_itself(change, write.epoch());
        let is_last = last.get(&(write.subject(), change.key())).is_none_or(|last| *last == at);
        tries.is_passing(error) && is_safe && is_last
    }
}

/// What is said of an item after a further attempt: where an earlier one may have been applied, a failure does not say that
/// none was.
fn after<T>(before: Option<&Result<T>>, answer: Result<T>) -> Result<T> {
    match before {
        Some(Err(before)) if before.effect() == Effect::Unknown => {
            answer.map_err(|error| error.with_effect(Effect::Unknown))
        }
        _ => answer,
    }
}

/// Whether a second attempt is the same as one, whatever came between, also after it was applied.
fn finds_itself(change: &Change, epoch: EpochCheck) -> bool {
    match change {
        // One that ignores erasures could bring erased data back.
        Change::Insert(..) => epoch != EpochCheck::Ignore,
        Change::Replace(..) => true,
        _ => false,
    }
}
