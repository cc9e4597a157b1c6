//! One run: the server, the processes, what happens to them, and the verdict.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::child::Order;
use super::clock;
use super::dice::Dice;
use super::merge::Tally;
use super::place::Place;
use super::process::{Process, State};
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

/// How long callers go on.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// So long.
    Time(Duration),
    /// Until each process has served so many requests.
    Acts(u64),
}

/// What a run has shown.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Of stickystore.
    pub stickystore: Tally,
    /// Of the naive store.
    pub naive: Tally,
    /// The faults that hit a call in flight, by name.
    pub faults: BTreeMap<String, u64>,
    /// What the random numbers began with.
    pub seed: u64,
}

/// The fewest acknowledged writes and faults that make a verdict.
const ACKNOWLEDGED: u64 = 500;
const FAULTS: u64 = 200;

/// Runs it; `program` is where `torture` is.
///
/// # Errors
/// If the server is not installed and not required.
///
/// # Panics
/// If a process ends too soon, or never.
pub fn run(program: &str, plan: &Plan) -> Result<Verdict, Missing> {
    let mut place = Place::start(plan)?;
    let folder = Folder::new("torture");
    let mut dice = Dice::new(plan.seed, 1_000);
    let (beginning, began) = (clock::beginning(), Instant::now());
    let skew = APART.unsigned_abs();
    let judge = Judge::start(folder.path(), skew);
    // The generations whom nobody serves any more, and those of them that are judged.
    let (mut over, mut judged) = (0, 0);
    let ordered = |order: Order| {
        let log = folder.path().join(format!("{}-{}", order.process, order.life));
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
        to: if let Until::Acts(acts) = plan.until { acts } else { u64::MAX },
        judged: 0,
        log: folder.path().to_owned(),
        plant: plan.plant.map(str::to_owned),
        is_layered: plan.is_layered,
        rates: plan.backend.rates(plan.nodes),
    };
    let mut processes: Vec<_> = (0..plan.backend.processes()).map(order).map(ordered).collect();
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
        assert!(began.elapsed() < ENDS_WITHIN + limit(plan.until), "the run never ends");
        for at in 0..processes.len() {
            if !is_over && plan.backend.survives_kills() && processes[at].acts >= kill_at[at] {
                let next = processes.remove(at).kill();
                kill_at[at] = next.from + LIFE + dice.below(LIFE);
                let mut next = ordered(Order { judged, ..next });
                (judged..over).for_each(|generation| next.audit(generation));
                processes.insert(at, next);
            }
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
    drop(processes);
    let judged = judge.finish();
    let mut faults = place.faults(&judged.flights);
    for (name, count) in judged.faults {
        *faults.entry(name).or_default() += count;
    }
    Ok(Verdict { stickystore: judged.ours, naive: judged.naive, faults, seed: plan.seed })
}

fn limit(until: Until) -> Duration {
    if let Until::Time(time) = until { time } else { Duration::ZERO }
}

impl Verdict {
    /// How many faults hit.
    pub fn fault_count(&self) -> u64 {
        self.faults.values().sum()
    }

    /// What is wrong with it, if anything.
    pub fn objection(&self) -> Option<String> {
        let Tally { acknowledged, lost, flipped, .. } = self.stickystore;
        let faults = self.fault_count();
        if lost + flipped > 0 {
            Some(format!("{lost} assignments were lost and {flipped} flipped"))
        } else if acknowledged < ACKNOWLEDGED || faults < FAULTS {
            Some(format!(
                "{acknowledged} acknowledged and {faults} faults are too few to judge by: \
                 {ACKNOWLEDGED} and {FAULTS} are asked for"
            ))
        } else {
            None
        }
    }

    /// As one line of JSON.
    pub fn to_json(&self) -> String {
        let Tally { acknowledged, lost, flipped, unknown, .. } = self.stickystore;
        let faults = self.fault_count();
        let ours = format!(
            r#"{{"acknowledged":{acknowledged},"lost":{lost},"flipped":{flipped},"unknown":{unknown},"faults":{faults}}}"#
        );
        let Tally { acknowledged, lost, flipped, unknown, .. } = self.naive;
        let naive = format!(
            r#"{{"acknowledged":{acknowledged},"lost":{lost},"flipped":{flipped},"unknown":{unknown}}}"#
        );
        format!(r#"{{"stickystore":{ours},"naive":{naive},"seed":{}}}"#, self.seed)
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:<12} {:>12} {:>8} {:>8} {:>8}", "", "acknowledged", "lost", "flipped", "unknown")?;
        for (name, tally) in [("stickystore", &self.stickystore), ("naive", &self.naive)] {
            let Tally { acknowledged, lost, flipped, unknown, .. } = tally;
            writeln!(f, "{name:<12} {acknowledged:>12} {lost:>8} {flipped:>8} {unknown:>8}")?;
        }
        let faults: Vec<_> = self.faults.iter().map(|(name, count)| format!("{name} {count}")).collect();
        writeln!(f, "faults that hit a call in flight: {} ({})", self.fault_count(), faults.join(", "))?;
        writeln!(f, "seed: {}", self.seed)?;
        for finding in &self.stickystore.findings {
            writeln!(f, "\n{finding}")?;
        }
        Ok(())
    }
}
