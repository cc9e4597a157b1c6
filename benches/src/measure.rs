//! Measures contenders in turn: a fixed number of operations in each sample, so that what the machine does besides meets all.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One call of a contender; it is given the number of the call.
pub(crate) type Work = Arc<dyn Fn(usize) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Somebody who does the operation.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) work: Work,
    /// How many calls at a time.
    pub(crate) callers: usize,
    /// How many operations a call of it is.
    pub(crate) operations: usize,
}

impl Contender {
    pub(crate) fn new<F>(
        name: impl Into<String>,
        callers: usize,
        work: impl Fn(usize) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work: Work = Arc::new(move |i| Box::pin(work(i)));
        Self { name: name.into(), work, callers, operations: 1 }
    }

    /// One caller, each of whose calls is so many operations.
    pub(crate) fn batch<F>(operations: usize, work: impl Fn(usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { operations, ..Self::new("batch", 1, work) }
    }
}

/// How far it goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// How many samples of each contender.
    pub(crate) rounds: usize,
    /// How many operations in a sample, of one caller and of many.
    pub(crate) alone: usize,
    pub(crate) together: usize,
}

impl Effort {
    pub(crate) const fn full() -> Self {
        Self { rounds: 15, alone: 2_000, together: 16_384 }
    }

    pub(crate) const fn short() -> Self {
        Self { rounds: 5, alone: 1_000, together: 8_192 }
    }

    /// The same, for operations that take so many times as long as a read of Redis.
    pub(crate) fn divided(self, by: usize) -> Self {
        Self { alone: (self.alone / by).max(100), together: (self.together / by).max(1_024), ..self }
    }
}

/// What a contender took in one sample, for one operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) wall: Duration,
    /// Of all threads of this process.
    pub(crate) cpu: Duration,
    /// Of the server, where its process is known.
    pub(crate) server: Duration,
}

/// All samples of each contender, in their order; those of one round stand at the same place.
pub(crate) async fn take_turns(
    contenders: &[Contender],
    effort: Effort,
    server: Option<u32>,
) -> Vec<Vec<Sample>> {
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    let many = contenders.iter().map(|one| one.callers * one.operations).max().unwrap_or(1);
    let operations = if many == 1 { effort.alone } else { effort.together };
    // One round more, whose samples only warm up; and whoever goes first is another each time.
    for round in 0..=effort.rounds {
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            let (Some(contender), Some(all)) = (contenders.get(place), samples.get_mut(place)) else {
                continue;
            };
            let sample = sample(contender, operations, server).await;
            if round > 0 {
                all.push(sample);
            }
        }
    }
    samples
}

async fn sample(contender: &Contender, operations: usize, server: Option<u32>) -> Sample {
    let calls = operations / contender.operations;
    let next = Arc::new(AtomicUsize::new(0));
    let of_server = || server.map_or(Duration::ZERO, |pid| cpu_time(&pid.to_string()));
    let (served, cpu, began) = (of_server(), cpu_time("self"), Instant::now());
    let tasks: Vec<_> = (0..contender.callers)
        .map(|_| {
            let (work, next) = (Arc::clone(&contender.work), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= calls {
                        return;
                    }
                    work(i).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no call of a bench fails");
    }
    let each = u32::try_from(calls * contender.operations).unwrap_or(u32::MAX).max(1);
    Sample {
        wall: began.elapsed() / each,
        cpu: cpu_time("self").saturating_sub(cpu) / each,
        server: of_server().saturating_sub(served) / each,
    }
}

/// How long the threads of a process have been on a processor.
fn cpu_time(process: &str) -> Duration {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Duration::ZERO };
    let nanos = threads.flatten().filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

/// The middle, and the quarters on both sides of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(numbers: impl Iterator<Item = f64>) -> Self {
        let mut numbers: Vec<_> = numbers.collect();
        numbers.sort_unstable_by(f64::total_cmp);
        let at = |quarters: usize| {
            let place = (numbers.len().saturating_sub(1) * quarters).div_ceil(4);
            numbers.get(place).copied().unwrap_or(f64::NAN)
        };
        Self { low: at(1), median: at(2), high: at(3) }
    }
}
