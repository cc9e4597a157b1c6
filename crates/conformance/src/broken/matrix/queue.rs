//! Which case a worker runs next: in order, but a store that hangs holds only a few workers.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};

/// How many cases of one store run at once.
const AT_ONCE: usize = 3;

/// The cases that have not begun, by stores.
pub(super) struct Queue {
    lines: Mutex<Vec<Line>>,
    ended: Condvar,
}

struct Line {
    cases: VecDeque<usize>,
    running: usize,
}

impl Queue {
    /// So many cases for each of so many stores.
    pub(super) fn new(stores: usize, cases: usize) -> Self {
        let line = || Line { cases: (0..cases).collect(), running: 0 };
        let lines = Mutex::new(std::iter::repeat_with(line).take(stores).collect());
        Self { lines, ended: Condvar::new() }
    }

    /// The next store and case, as soon as the store is not busy; nothing if all have begun.
    pub(super) fn begin(&self) -> Option<(usize, usize)> {
        let mut lines = self.lines.lock().unwrap();
        loop {
            let mut left = lines.iter_mut().enumerate().filter(|(_, line)| !line.cases.is_empty()).peekable();
            left.peek()?;
            if let Some((store, line)) = left.find(|(_, line)| line.running < AT_ONCE) {
                line.running += 1;
                return line.cases.pop_front().map(|case| (store, case));
            }
            lines = self.ended.wait(lines).unwrap();
        }
    }

    /// A case of this store has ended.
    pub(super) fn end(&self, store: usize) {
        self.lines.lock().unwrap()[store].running -= 1;
        self.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_hangs_leaves_workers_to_the_others() {
        let queue = Queue::new(2, 10);
        let begun: Vec<_> = (0..AT_ONCE + 1).map(|_| queue.begin().unwrap()).collect();
        assert_eq!(begun, [(0, 0), (0, 1), (0, 2), (1, 0)]);
        queue.end(0);
        assert_eq!(queue.begin(), Some((0, 3)));
    }

    #[test]
    fn every_case_begins_once() {
        let queue = Queue::new(3, 4);
        let mut begun = Vec::new();
        while let Some((store, case)) = queue.begin() {
            queue.end(store);
            begun.push((store, case));
        }
        assert_eq!(begun.len(), 12);
        begun.dedup();
        assert_eq!(begun.len(), 12);
    }
}
