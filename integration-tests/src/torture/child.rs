//! What one process of the run does: callers over a store, until they have done what was ordered or its input ends; and a look
//! at the users whom nobody serves any more. It logs into a file, and says how far it is.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stickystore::AsyncSticky;
use stickystore_core::{AsyncStore, Namespace, Ttl};
use stickystore_services::Settings;
use stickystore_services::vwo::{AsyncUserStorageService, Ledger};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::callers::{Caller, MORTAL, Place, RETIRED, Stores, generations};
use super::clock::Apart;
use super::faulty::{Faulty, Rates};
use super::layers::{STALE, layered};
use super::log::{Log, Side};
use super::naive::{Texts, Whole};
use super::plants::Plant;

/// How many callers a process has for stickystore, and how many for the naive store.
const CALLERS: u64 = 8;
const NAIVE_CALLERS: u64 = 3;

/// How long a call may take: some fail by it, and most do not.
const DEADLINE: Duration = Duration::from_secs(1);

/// For how long a replaced value must not come back: short, so that it does.
const REPLACE_BACK_AFTER: Duration = Duration::from_millis(100);

/// After how many acts it says how far it is.
const SAYS: u64 = 25;

/// What a process is ordered to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Where the store is.
    pub(crate) url: String,
    /// What to begin random numbers with.
    pub(crate) seed: u64,
    /// The number of the process.
    pub(crate) process: u64,
    /// How many that had its number were killed before it.
    pub(crate) life: u64,
    /// See [`Apart`].
    pub(crate) beginning: u64,
    /// See [`Apart`].
    pub(crate) ahead: i64,
    /// How many acts of the process there have been.
    pub(crate) from: u64,
    /// How many of each process there have been, on average.
    pub(crate) pace: u64,
    /// How many there are to be.
    pub(crate) to: u64,
    /// The first generation that is not judged yet.
    pub(crate) judged: u64,
    /// Where it logs.
    pub(crate) log: PathBuf,
    /// The bug that is planted, by name.
    pub(crate) plant: Option<String>,
    /// Whether all layers are around the store.
    pub(crate) is_layered: bool,
    /// What goes wrong in the process itself.
    pub(crate) rates: Rates,
}

/// Does what the argument orders.
///
/// # Panics
/// At whatever should not happen; the message says what.
pub(crate) fn child(order: &str) {
    let order: Order = serde_json::from_str(order).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let is_stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&is_stopped);
    let (audit, audits) = unbounded_channel();
    let pace = Arc::new(AtomicU64::new(order.pace));
    let paced = Arc::clone(&pace);
    std::thread::spawn(move || {
        // Whoever ordered it says how far all are, and which generation nobody serves any more; and that it is enough by
        // saying no more.
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if let Some(pace) = line.strip_prefix(PACE) {
                paced.store(pace.parse().unwrap(), Ordering::SeqCst);
            } else {
                let _ = audit.send(line.parse().unwrap());
            }
        }
        stop.store(true, Ordering::SeqCst);
    });
    runtime.block_on(run(&order, pace, &is_stopped, audits));
    // A call that nobody waits for any more is no reason to stay.
    runtime.shutdown_background();
}

async fn run(
    order: &Order,
    pace: Arc<AtomicU64>,
    is_stopped: &Arc<AtomicBool>,
    audits: UnboundedReceiver<u64>,
) {
    let sign = if order.url.contains('?') { '&' } else { '?' };
    let opened = stickystore::open_async(&format!("{}{sign}namespace=torture", order.url)).await.unwrap();
    let behind = if order.is_layered { STALE.as_millis() } else { 0 };
    let log = Arc::new(Log::create(&order.log, order.ahead, u64::try_from(behind).unwrap()));
    let hits = Arc::clone(&log);
    let rates = order.rates;
    let seed = order.seed ^ (order.process << 32) ^ (order.life << 48);
    let hit = Arc::new(move |name: &str| hits.fault(name));
    let faulty = Arc::new(Faulty::new(Arc::clone(opened.store()), rates, seed, hit));
    // The same for the naive store, whose faults are not counted.
    let naive = Arc::new(Faulty::new(Arc::clone(opened.store()), rates, !seed, Arc::new(|_: &str| {})));
    let place = Arc::new(place(order, pace, Arc::clone(&log), &faulty, naive));
    let callers = (0..CALLERS + NAIVE_CALLERS).map(|number| {
        let side = if number < CALLERS { Side::Ours } else { Side::Naive };
        serve(Caller::new(Arc::clone(&place), side, number, seed), &place, is_stopped, order.to)
    });
    let mut callers = callers.collect::<Vec<_>>().into_iter();
    let mut tasks = Vec::new();
    while let Some(one) = callers.next() {
        // By twos in one task, as some servers handle requests.
        let other = callers.next();
        tasks.push(tokio::spawn(async move {
            tokio::join!(one, async {
                if let Some(other) = other {
                    other.await;
                }
            })
        }));
    }
    let auditor = Caller::new(Arc::clone(&place), Side::Ours, CALLERS + NAIVE_CALLERS, seed);
    let auditing = tokio::spawn(audit(auditor, audits, order.judged));
    for task in tasks {
        task.await.unwrap();
    }
    faulty.stop();
    say(AUDITS);
    let (mut auditor, audited) = auditing.await.unwrap();
    for generation in audited..=generations(place.pace.load(Ordering::SeqCst)).1 {
        auditor.audit(generation).await;
    }
    say(DONE);
}

/// Serves requests until there are enough.
fn serve(
    mut caller: Caller,
    place: &Arc<Place>,
    is_stopped: &Arc<AtomicBool>,
    to: u64,
) -> impl Future<Output = ()> + Send + 'static {
    let (place, is_stopped) = (Arc::clone(place), Arc::clone(is_stopped));
    async move {
        while place.acts.load(Ordering::Relaxed) < to && !is_stopped.load(Ordering::Relaxed) {
            caller.act().await;
            let acts = place.acts.load(Ordering::Relaxed);
            if acts.is_multiple_of(SAYS) {
                say(&acts.to_string());
                let oldest = place.serving.iter().map(|caller| caller.load(Ordering::SeqCst)).min();
                if let Some(oldest) = oldest.filter(|oldest| *oldest != u64::MAX) {
                    say(&format!("{OLDEST}{oldest}"));
                }
            }
        }
        caller.leave();
    }
}

/// Looks at the generations that nobody serves any more, as they are named; gives the first one at which it has not looked.
async fn audit(mut auditor: Caller, mut audits: UnboundedReceiver<u64>, mut audited: u64) -> (Caller, u64) {
    while let Some(generation) = audits.recv().await {
        auditor.audit(generation).await;
        audited = generation + 1;
        say(&format!("{AUDITED}{audited}"));
    }
    (auditor, audited)
}

/// What it is told, with a number: how far all processes are on average.
pub(super) const PACE: &str = "pace ";

/// What is said before the look at the last users, and after it.
pub(super) const AUDITS: &str = "audits";
pub(super) const DONE: &str = "done";

/// What is said, with a number: which is the oldest generation that is served yet, and the oldest that was not looked at yet.
pub(super) const OLDEST: &str = "oldest ";
pub(super) const AUDITED: &str = "audited ";

fn place(
    order: &Order,
    pace: Arc<AtomicU64>,
    log: Arc<Log>,
    store: &Arc<Faulty>,
    naive: Arc<Faulty>,
) -> Place {
    let settings = Settings::new(Namespace::new("torture").unwrap())
        .with_clock(Apart { beginning: order.beginning, ahead: order.ahead })
        .with_deadline(DEADLINE)
        .with_replace_back_after(REPLACE_BACK_AFTER);
    let plant = order.plant.as_deref().map(|name| Plant::named(name).unwrap());
    let store: Arc<dyn AsyncStore> = Arc::clone(store) as _;
    let direct = plant.map_or(Arc::clone(&store), |plant| plant.in_store(store));
    let store = if order.is_layered { layered(Arc::clone(&direct)) } else { Arc::clone(&direct) };
    let ledger = Ledger::new(Ledger::WINDOW).unwrap();
    let stores = |settings: Settings, ttl: Option<Duration>| {
        let ledgered = AsyncUserStorageService::new(Arc::clone(&store), settings.clone());
        let planted = plant.and_then(|plant| plant.in_profiles(&store, &settings));
        let sticky = AsyncSticky::new(Arc::clone(&store), settings.clone());
        Stores {
            profiles: planted.unwrap_or_else(|| Arc::new(sticky.optimizely())),
            tracking: Arc::new(sticky.optimizely().tracking_only()),
            ledgered: ledgered.with_ledger(ledger.clone()),
            ttl: ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap()),
            direct: AsyncSticky::new(Arc::clone(&direct), settings),
            sticky,
        }
    };
    let both = |settings: Settings| {
        let mortal = settings.clone().with_ttl(Ttl::new(MORTAL).unwrap());
        [stores(settings, None), stores(mortal, Some(MORTAL))]
    };
    let (keys, variation) = RETIRED;
    let retired = keys.iter().fold(settings.clone(), |settings, key| settings.with_retired(*key, variation));
    let naively = Settings::new(Namespace::new("naive").unwrap()).with_deadline(DEADLINE);
    Place {
        log,
        process: format!("p{}l{}", order.process, order.life),
        rollout: order.process,
        acts: AtomicU64::new(order.from),
        pace,
        serving: (0..CALLERS + NAIVE_CALLERS).map(|_| generations(order.pace).0.into()).collect(),
        stores: [both(settings), both(retired)],
        naive: if order.url.starts_with("redis:") {
            Arc::new(Texts::new(&order.url))
        } else {
            Arc::new(Whole::new(naive, naively))
        },
        erasures: 25,
    }
}

/// One line, whole and at once. Nobody may listen any more.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}
