//! Many tasks at the same moment.

use std::future::Future;
use std::sync::Arc;

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
