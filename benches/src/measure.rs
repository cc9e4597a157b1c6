//! Measures contenders in turn: a fixed number of operations in each sample, so that what the machine does besides meets all.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::heap;
use crate::operation::Operation;
use crate::processors::Together;

/// How many calls of each caller a sample has at least.
const CALLS_EACH: usize = 4;

/// One call of a contender.
#[derive(Clone)]
pub(crate) enum Work {
    /// In a task; it is given the number of the call.
    Async(AsyncWork),
    /// In a thread; it is given the number of the thread, too, and before it that of the call.
    Blocking(Arc<dyn Fn(usize, usize) + Send + Sync>),
}

pub(crate) type AsyncWork = Arc<dyn Fn(usize) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Somebody who does the operation.
pub(crate) struct Contender {
    pub(crate) name: String,
    pub(crate) work: Work,
    /// How many calls at a time.
    pub(crate) callers: usize,
    /// How many operations a call of it is.
    pub(crate) operations: usize,
    /// How many times fewer operations its samples have, since each takes so long.
    slower: usize,
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
        let work: AsyncWork = Arc::new(move |i| Box::pin(work(i)));
        Self { name: name.into(), work: Work::Async(work), callers, operations: 1, slower: 1 }
    }

    /// So many threads.
    pub(crate) fn blocking(
        name: impl Into<String>,
        threads: usize,
        work: impl Fn(usize, usize) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            work: Work::Blocking(Arc::new(work)),
            callers: threads,
            operations: 1,
            slower: 1,
        }
    }

    /// The same, with so many times fewer operations in a sample.
    #[cfg(feature = "memcached")]
    pub(crate) fn slower(self, times: usize) -> Self {
        Self { slower: times, ..self }
    }

    /// One caller, each of whose calls is so many operations: the bare driver's batch.
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
        Self { rounds: 5, alone: 500, together: 4_096 }
    }

    /// The same, for a backend that takes so many times as long as Redis.
    #[cfg(any(feature = "mongodb", feature = "cassandra"))]
    pub(crate) fn divided(self, by: usize) -> Self {
        Self { alone: self.alone / by, together: self.together / by, ..self }
    }

    /// How many operations a sample has.
    pub(crate) fn operations(self, operation: Operation, callers: usize) -> usize {
        let most = if callers == 1 { self.alone } else { self.together };
        (most / operation.weight()).max(CALLS_EACH * callers)
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
    /// Allocations and their bytes, where they are counted.
    pub(crate) allocations: f64,
    pub(crate) bytes: f64,
}

/// All samples of each contender, in their order; those of one round stand at the same place. `refill` is done before each.
pub(crate) async fn take_turns(
    contenders: &[Contender],
    rounds: usize,
    operations: usize,
    server: Option<u32>,
    refill: impl AsyncFn(),
) -> Vec<Vec<Sample>> {
    let mut samples: Vec<Vec<Sample>> = contenders.iter().map(|_| Vec::new()).collect();
    let _together = contenders.iter().all(|one| one.callers == 1).then(|| Together::with(server));
    // One round more, whose samples only warm up; and whoever goes first is another each time.
    for round in 0..=rounds {
        for turn in 0..contenders.len() {
            let place = (turn + round) % contenders.len();
            let (Some(contender), Some(all)) = (contenders.get(place), samples.get_mut(place)) else {
                continue;
            };
            refill().await;
            let sample = sample(contender, operations, server).await;
            if round > 0 {
                all.push(sample);
            }
        }
    }
    samples
}

async fn sample(contender: &Contender, operations: usize, server: Option<u32>) -> Sample {
    let calls = (operations / contender.operations / contender.slower).max(1);
    let of_server = || server.map_or(Duration::ZERO, cpu_time);
    let (served, cpu, heap, began) = (of_server(), own_cpu_time(), heap::so_far(), Instant::now());
    match &contender.work {
        Work::Async(work) => call_in_tasks(work, contender.callers, calls).await,
        Work::Blocking(work) => tokio::task::block_in_place(|| {
            call_in_threads(work.as_ref(), contender.callers, calls);
        }),
    }
    let (wall, heap) = (began.elapsed(), heap::so_far().since(heap));
    let each = u32::try_from(calls * contender.operations).unwrap_or(u32::MAX).max(1);
    Sample {
        wall: wall / each,
        cpu: own_cpu_time().saturating_sub(cpu) / each,
        server: of_server().saturating_sub(served) / each,
        allocations: heap.allocations as f64 / f64::from(each),
        bytes: heap.bytes as f64 / f64::from(each),
    }
}

/// Makes so many calls, so many at a time.
pub(crate) async fn call_in_tasks(work: &AsyncWork, callers: usize, calls: usize) {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks = (0..callers).map(|_| {
        let (work, next) = (Arc::clone(work), Arc::clone(&next));
        tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= calls {
                    return;
                }
                work(i).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no call of a bench fails");
    }
}

fn call_in_threads(work: &(dyn Fn(usize, usize) + Send + Sync), threads: usize, calls: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let next = &next;
            scope.spawn(move || {
                loop {
                    let i = next.fetch_add(1, Ordering::Relaxed);
                    if i >= calls {
                        return;
                    }
                    work(i, thread);
                }
            });
        }
    });
}

/// How long this process has been on a processor, with its threads that have ended.
fn own_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// How long the threads of a process have been on a processor.
fn cpu_time(process: u32) -> Duration {
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
