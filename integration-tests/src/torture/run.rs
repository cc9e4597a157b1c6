//! One run: the server, the processes, what happens to them, and the verdict. Whatever keeps it from going on, there is one.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::child::Order;
use super::clock;
use super::dice::Dice;
use super::place::Place;
use super::plants::Plant;
use super::process::{Process, State};
use super::record::Record;
use super::verdict::Verdict;
use super::windows::Judge;
use crate::server::{Folder, Missing};

/// How far a process's clock may be ahead or behind, in milliseconds.
const APART: i64 = 450;

/// How many acts a process lives at least until it is killed.
const LIFE: u64 = 400;

/// How often it is seen what the processes do.
const LOOKS: Duration = Duration::from_millis(5);

/// How long a run may take besides what it was told: servers start, every user is looked at, and the machine may be busy.
const ENDS_WITHIN: Duration = Duration::from_secs(1_200);

/// What is asked of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The store.
    pub backend: Backend,
    /// How many nodes its server has: one, or three where that can be.
    pub nodes: u8,
    /// What to begin random numbers with.
    pub seed: u64,
    /// How long the callers go on.
    pub until: Until,
    /// Whether all layers are around the store.
    pub is_layered: bool,
    /// A bug that is planted, by its name among [`PLANTS`](super::PLANTS).
    pub plant: Option<&'static str>,
}

impl Plan {
    /// How many processes there are.
    pub(super) fn processes(&self) -> u64 {
        let is_alone = self.plant.and_then(Plant::named) == Some(Plant::BufferedInTheProcess);
        if is_alone { 1 } else { self.backend.processes() }
    }
}

/// How long callers go on.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// So long.
    Time(Duration),
    /// Until each process has served so many requests.
    Acts(u64),
}

/// Runs it; `program` is where `torture` is. The verdict is also kept in a file, which it names.
///
/// # Errors
/// If the server is not installed and not required.
pub fn run(program: &str, plan: &Plan) -> Result<Verdict, Missing> {
    let record = Record::begin(plan);
    let verdict = Verdict { seed: plan.seed, ..Verdict::default() };
    let broken = |why: String| Verdict { broken: Some(why), ..verdict.clone() };
    let mut place = match attempt(|| Place::start(plan)) {
        Ok(Ok(place)) => place,
        Ok(Err(missing)) => {
            record.forget();
            return Err(missing);
        }
        Err(why) => return Ok(record.keep(broken(why))),
    };
    let folder = Folder::new("torture");
    let judge = Judge::start(folder.path(), APART.unsigned_abs(), record.evidence(plan));
    let ended = attempt(|| go_on(program, plan, &mut place, folder.path(), &judge));
    // What was seen until then is judged, whatever has ended it.
    let judged = match attempt(|| judge.finish()) {
        Ok(judged) => judged,
        Err(why) => {
            let left = std::fs::read_dir(folder.path()).into_iter().flatten().flatten();
            record.evidence(plan).keep(left.map(|log| log.path()));
            return Ok(record.keep(broken(format!("the judge: {why}"))));
        }
    };
    let mut faults = place.faults(&judged.flights);
    for (name, count) in judged.faults {
        *faults.entry(name).or_default() += count;
    }
    let (stickystore, naive, broken) = (judged.ours, judged.naive, ended.err());
    let (users, shared) = (judged.users, (plan.processes() > 1).then_some(judged.shared));
    Ok(record.keep(Verdict { stickystore, naive, faults, users, shared, broken, ..verdict }))
}

/// Lets processes call, and disturbs them, until it is enough and each has looked at all users.
///
/// # Panics
/// If a process ends too soon, or never; if a server does not come back.
fn go_on(program: &str, plan: &Plan, place: &mut Place, folder: &Path, judge: &Judge) {
    let mut dice = Dice::new(plan.seed, 1_000);
    let (beginning, began) = (clock::beginning(), Instant::now());
    // The generations whom nobody serves any more, and those of them that are judged; how far processes are on average.
    let (mut over, mut judged, mut pace) = (0, 0, 0);
    let ordered = |order: Order| {
        let log = folder.join(format!("{}-{}", order.process, order.life));
        Process::start(program, Order { log, ..order })
    };
    let order = |process: u64| Order {
        url: place.url(process),
        seed: plan.seed,
        process,
        life: 0,
        beginning,
        // As far apart as they may be, and evenly.
        ahead: [0, APART, -APART][usize::try_from(process % 3).unwrap()],
        from: 0,
        pace: 0,
        to: if let Until::Acts(acts) = plan.until { acts } else { u64::MAX },
        judged: 0,
        log: folder.to_owned(),
        plant: plan.plant.map(str::to_owned),
        is_layered: plan.is_layered,
        rates: plan.backend.rates(plan.nodes),
    };
    let mut processes: Vec<_> = (0..plan.processes()).map(order).map(ordered).collect();
    let mut kill_at: Vec<u64> = processes.iter().map(|process| LIFE + 100 * process.order.process).collect();
    loop {
        processes.iter_mut().for_each(Process::listen);
        if processes.iter().all(|process| process.state == State::Done) {
            break;
        }
        let is_time = matches!(plan.until, Until::Time(time) if began.elapsed() >= time);
        let is_over = is_time || processes.iter().any(|process| process.state != State::Acts);
        if is_over {
            place.calm();
            processes.iter_mut().for_each(Process::stop);
        }
        let is_endless = began.elapsed() > ENDS_WITHIN + limit(plan.until);
        assert!(
            !is_endless,
            "it never ends: {}",
            processes.iter().map(Process::progress).collect::<String>()
        );
        for at in 0..processes.len() {
            if !is_over && plan.backend.survives_kills() && processes[at].acts >= kill_at[at] {
                let next = processes.remove(at).kill();
                kill_at[at] = next.from + LIFE + dice.below(LIFE);
                let mut next = ordered(Order { judged, pace, ..next });
                (judged..over).for_each(|generation| next.audit(generation));
                processes.insert(at, next);
            }
        }
        let acts = processes.iter().map(|process| process.acts).sum::<u64>() / plan.processes();
        if acts > pace {
            pace = acts;
            processes.iter_mut().for_each(|process| process.keep_pace(pace));
        }
        while processes.iter().all(|process| process.oldest > over) {
            processes.iter_mut().for_each(|process| process.audit(over));
            over += 1;
        }
        while processes.iter().all(|process| process.audited > judged) {
            judge.judge(judged);
            judged += 1;
        }
        if !is_over {
            place.disturb(&mut dice);
        }
        std::thread::sleep(LOOKS);
    }
}

fn limit(until: Until) -> Duration {
    if let Until::Time(time) = until { time } else { Duration::ZERO }
}

/// What this gives; or why it panicked, which nobody else is to suffer from.
fn attempt<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| said(&*panic))
}

/// What a panic says.
pub(super) fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic").to_owned()
}

/// As it is called.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { backend, nodes, seed, until, is_layered, plant } = self;
        write!(f, "torture --backend={} --nodes={nodes}", backend.name())?;
        match until {
            Until::Time(time) => write!(f, " --seconds={}", time.as_secs())?,
            Until::Acts(acts) => write!(f, " --acts={acts}")?,
        }
        write!(f, " --seed={seed}")?;
        if let Some(plant) = plant {
            write!(f, " --plant={plant}")?;
        }
        f.write_str(if *is_layered { " --layers" } else { "" })
    }
}
