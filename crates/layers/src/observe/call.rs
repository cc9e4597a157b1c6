//! One call as it is observed: what its answers are called, and when it counts as dropped.

use std::time::Instant;

use stickystore_core::{Effect, Error, Finding, Operation, Outcome, Profile, Result};

use super::numbers;
use super::spans::Span;

/// A call that has begun. Each way to end takes the answers and gives them back as they are.
pub(super) struct Observation {
    store: &'static str,
    operation: Operation,
    began: Instant,
    span: Span,
    failures: Vec<Failure>,
    is_answered: bool,
}

/// The errors of one kind among the answers of a call.
pub(super) struct Failure {
    pub(super) first: Error,
    pub(super) count: usize,
}

impl Observation {
    pub(super) fn begin(store: &'static str, operation: Operation, users: usize, items: usize) -> Self {
        Self::since(Instant::now(), store, operation, users, items)
    }

    /// The same of a call that began then.
    pub(super) fn since(
        began: Instant,
        store: &'static str,
        operation: Operation,
        users: usize,
        items: usize,
    ) -> Self {
        Self {
            store,
            operation,
            began,
            span: Span::new(store, operation, users, items),
            failures: Vec::new(),
            is_answered: false,
        }
    }

    /// The future of the call, inside its span.
    pub(super) fn within<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        self.span.instrument(future)
    }

    /// The call, inside its span.
    pub(super) fn inside<T>(&self, call: impl FnOnce() -> T) -> T {
        self.span.inside(call)
    }

    pub(super) fn read(mut self, answers: Vec<Result<Profile>>) -> Vec<Result<Profile>> {
        self.reads(&answers);
        self.end();
        answers
    }

    /// The same of one user.
    pub(super) fn was_read(mut self, answer: Result<Profile>) -> Result<Profile> {
        self.reads(std::slice::from_ref(&answer));
        self.end();
        answer
    }

    fn reads(&mut self, answers: &[Result<Profile>]) {
        let mut damaged = 0;
        for answer in answers {
            self.answer(answer, |profile| if profile.is_empty() { "absent" } else { "found" });
            damaged += answer.as_ref().map_or(0, |profile| profile.damaged().len());
        }
        if damaged > 0 {
            numbers::damaged(self.store, damaged);
            self.span.damaged(damaged);
        }
    }

    pub(super) fn written(mut self, answers: Vec<Vec<Result<Outcome>>>) -> Vec<Vec<Result<Outcome>>> {
        answers.iter().flatten().for_each(|answer| self.answer(answer, Outcome::as_str));
        self.end();
        answers
    }

    pub(super) fn erased(mut self, answers: Vec<Result<bool>>) -> Vec<Result<bool>> {
        answers
            .iter()
            .for_each(|answer| self.answer(answer, |stood| if *stood { "stood" } else { "absent" }));
        self.end();
        answers
    }

    pub(super) fn done<T>(mut self, answer: Result<T>) -> Result<T> {
        self.answer(&answer, |_| "ok");
        self.end();
        answer
    }

    pub(super) fn diagnosed(mut self, findings: Vec<Finding>) -> Vec<Finding> {
        self.answer(&Ok(()), |()| "ok");
        self.end();
        findings
    }

    fn answer<T>(&mut self, answer: &Result<T>, name: impl FnOnce(&T) -> &'static str) {
        let error = match answer {
            Ok(answer) => return numbers::answer(self.store, self.operation, name(answer)),
            Err(error) => error,
        };
        numbers::answer(self.store, self.operation, error.kind().as_str());
        let writes = matches!(self.operation, Operation::Write | Operation::Erase);
        if writes && error.effect() == Effect::Unknown {
            numbers::unknown(self.store, self.operation);
        }
        let same = |failure: &&mut Failure| {
            failure.first.kind() == error.kind() && failure.first.effect() == error.effect()
        };
        match self.failures.iter_mut().find(same) {
            Some(failure) => failure.count += 1,
            None => self.failures.push(Failure { first: error.clone(), count: 1 }),
        }
    }

    fn end(mut self) {
        self.is_answered = true;
        numbers::took(self.store, self.operation, self.began.elapsed());
        self.span.failed(&self.failures);
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        if !self.is_answered {
            numbers::dropped(self.store, self.operation);
            self.span.dropped();
        }
    }
}
