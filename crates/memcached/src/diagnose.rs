//! What is wrong, or worth knowing, about the servers: what they forget, what they refuse, how far their clocks are off, and
//! whether all clients share users out over the same ones.
//!
//! Questions, and one item on each server that says for a day which list was diagnosed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use stickystore_core::{Call, Finding, Result, Severity};
use stickystore_transport::fastest;

use crate::connection::Lane;
use crate::greeting::{get, stats};
use crate::store::MemcachedStore;
use crate::wire::{Command, Reply};

/// Writers whose clocks are further from the server's than this are told; the server says its time in whole seconds.
const SKEW: Duration = Duration::from_secs(2);

/// A round trip that takes longer than this costs every decision of an SDK.
const SLOW: Duration = Duration::from_millis(20);

/// A server that is fuller than so many hundredths of its memory evicts soon.
const NEARLY_FULL: u64 = 90;

/// A server that evicts while it is emptier than this has its memory in the wrong sizes.
const HALF: u64 = 50;

/// Where a diagnosis leaves its list of servers, and for how many seconds; no user's key has such a character there.
const LIST_KEY: &str = "stickystore!servers";
const LIST_LASTS: u32 = 86_400;

pub(crate) async fn diagnose(store: &MemcachedStore, call: Call) -> Vec<Finding> {
    if let Err(error) = store.admit(call) {
        return vec![no_diagnosis("all servers", &error)];
    }
    let began = Instant::now();
    let list = store.list();
    let one = async |(name, lane)| match ask(lane, &list, call, began).await {
        Ok(seen) => findings(store, name, &list, &seen),
        Err(error) => vec![no_diagnosis(name, &error)],
    };
    join_all(store.long_lanes().map(one)).await.into_iter().flatten().collect()
}

/// What a server answered.
struct Seen {
    general: Stats,
    settings: Stats,
    /// What another diagnosis took for the list of servers.
    list: Option<String>,
    skew: Option<Duration>,
    round_trip: Duration,
}

struct Stats(Vec<(String, String)>);

impl Stats {
    fn number(&self, name: &str) -> Option<u64> {
        get(&self.0, name)?.parse().ok()
    }
}

async fn ask(lane: &Arc<Lane>, list: &str, call: Call, began: Instant) -> Result<Seen> {
    let connection = lane.connection(call.deadline).await?;
    let link = connection.link();
    let general = fastest(|| connection.run(call.deadline, link.one(&Command::Stats("")))).await?;
    // By the caller's clock.
    let ours = Duration::from_millis(call.now.get()) + general.after(began);
    let (general, round_trip) = (Stats(stats(general.answer)?), general.round_trip);
    let settings = stats(connection.run(call.deadline, link.one(&Command::Stats("settings"))).await?)?;
    let skew = general.number("time").map(|seconds| Duration::from_secs(seconds).abs_diff(ours));
    let found = connection.run(call.deadline, link.one(&Command::Get { key: LIST_KEY })).await?;
    let (leave, other) = match &found {
        Reply::Found { value, unique } => {
            let text = String::from_utf8_lossy(value).into_owned();
            (
                Command::Swap { key: LIST_KEY, unique: *unique, value: list.as_bytes(), lasts: LIST_LASTS },
                Some(text),
            )
        }
        _ => (Command::Add { key: LIST_KEY, value: list.as_bytes(), lasts: LIST_LASTS }, None),
    };
    // Whoever was faster diagnosed as well.
    connection.run(call.deadline, link.one(&leave)).await?;
    Ok(Seen { general, settings: Stats(settings), list: other, skew, round_trip })
}

fn findings(store: &MemcachedStore, name: &str, list: &str, seen: &Seen) -> Vec<Finding> {
    let found = [
        eviction(seen),
        refusals(&seen.general),
        no_eviction(&seen.settings),
        item_limit(&seen.settings, store.max_item()),
        other_list(list, seen.list.as_deref()),
        skew(seen.skew),
        latency(seen.round_trip),
    ];
    let place = |mut finding: Finding| {
        finding.evidence = format!("{name}: {}", finding.evidence);
        finding
    };
    found.into_iter().flatten().map(place).collect()
}

fn no_diagnosis(name: &str, error: &stickystore_core::Error) -> Finding {
    let mend = "see that the server answers and that it gives its stats, then diagnose again";
    Finding::new("no-diagnosis", Severity::Problem, format!("{name}: {error}"), mend)
}

fn eviction(seen: &Seen) -> Option<Finding> {
    let (bytes, limit) = (seen.general.number("bytes")?, seen.general.number("limit_maxbytes")?);
    let evictions = seen.general.number("evictions")?;
    let full = bytes.saturating_mul(100) / limit.max(1);
    let evidence = format!("evictions:{evictions} bytes:{bytes} limit_maxbytes:{limit}");
    if evictions > 0 && full < HALF {
        let mend = "its memory is tied to items of other sizes: restart it, or set slab_automove, or give it more (-m)";
        return Some(Finding::new("slab-pressure", Severity::Warning, evidence, mend));
    }
    if evictions > 0 {
        let mend = "users that it evicted are assigned anew, and what was erased may return: give it more memory (-m)";
        return Some(Finding::new("evicts", Severity::Warning, evidence, mend));
    }
    let mend = "it evicts users as soon as it is full: give it more memory (-m)";
    (full >= NEARLY_FULL).then(|| Finding::new("nearly-full", Severity::Warning, evidence, mend))
}

fn refusals(general: &Stats) -> Option<Finding> {
    let count = |name| general.number(name).unwrap_or(0);
    let (memory, large) = (count("store_no_memory"), count("store_too_large"));
    let evidence = format!("store_no_memory:{memory} store_too_large:{large}");
    let mend = "writes were refused, ours or another program's, whose item may have been deleted instead: give it more \
                memory (-m), and the store a server of its own";
    (memory + large > 0).then(|| Finding::new("refused-writes", Severity::Warning, evidence, mend))
}

fn no_eviction(settings: &Stats) -> Option<Finding> {
    let mend = "when it is full it refuses every write, also one that replaces: give it more memory than users take (-m)";
    (get(&settings.0, "evictions")? == "off")
        .then(|| Finding::new("refuses-when-full", Severity::Warning, "evictions:off (-M)", mend))
}

fn item_limit(settings: &Stats, ours: usize) -> Option<Finding> {
    let servers = settings.number("item_size_max")?;
    let ours = u64::try_from(ours).unwrap_or(u64::MAX);
    let evidence = format!("item_size_max:{servers}, max_item={ours}");
    if servers < ours {
        let mend =
            "users are refused earlier than declared: lower the option max_item, or raise the server's -I";
        Some(Finding::new("item-limit", Severity::Warning, evidence, mend))
    } else if servers > ours {
        let mend = "users may be larger than they are let: raise the option max_item";
        Some(Finding::new("item-limit", Severity::Note, evidence, mend))
    } else {
        None
    }
}

fn other_list(ours: &str, theirs: Option<&str>) -> Option<Finding> {
    let theirs = theirs.filter(|theirs| *theirs != ours)?;
    let one_line = |list: &str| list.trim_end().replace('\n', ",");
    let evidence =
        format!("servers {}, and by a diagnosis of the last day {}", one_line(ours), one_line(theirs));
    let mend = "clients with different lists look for a user on different servers: give all the same list";
    Some(Finding::new("another-server-list", Severity::Problem, evidence, mend))
}

fn skew(skew: Option<Duration>) -> Option<Finding> {
    let skew = skew.filter(|skew| *skew > SKEW)?;
    let evidence = format!("the server's time is {} s from ours", skew.as_secs());
    let mend = "set the clocks: writers whose clocks differ disagree about what has expired";
    Some(Finding::new("clock-skew", Severity::Warning, evidence, mend))
}

fn latency(round_trip: Duration) -> Option<Finding> {
    let evidence = format!("the fastest of five round trips took {} ms", round_trip.as_millis());
    let mend =
        "every uncached lookup takes at least as long, and a save twice: move the server closer, or cache";
    (round_trip > SLOW).then(|| Finding::new("slow", Severity::Note, evidence, mend))
}
