//! Many tasks at the same moment, and how often they try.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

/// Runs so many tasks, which begin together, and gives their answers in order; a task's panic goes on here.
pub(crate) async fn at_once<T, Fut>(count: usize, task: impl Fn(usize) -> Fut) -> Vec<T>
where
    T: Send + 'static,
    Fut: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(count));
    let spawn = |turn| {
        let (start, work) = (Arc::clone(&start), task(turn));
        tokio::spawn(async move {
            start.wait().await;
            work.await
        })
    };
    let tasks: Vec<_> = (0..count).map(spawn).collect();
    let mut answers = Vec::with_capacity(count);
    for task in tasks {
        match task.await {
            Ok(answer) => answers.push(answer),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    answers
}

/// How long a race goes on at least.
const RACE: Duration = Duration::from_millis(100);

/// How often a race is run: a store that answers in microseconds is wrong for a shorter moment than one that
/// answers in milliseconds, and so is tried more often.
pub(crate) struct Rounds {
    least: u64,
    begun: u64,
    until: Instant,
}

impl Rounds {
    /// So many, and then more while there is time.
    pub(crate) fn at_least(least: u64) -> Self {
        Self { least, begun: 0, until: Instant::now() + RACE }
    }
}

impl Iterator for Rounds {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.begun >= self.least && Instant::now() >= self.until {
            return None;
        }
        self.begun += 1;
        Some(self.begun - 1)
    }
}
