//! `doctor`: what the store promises, what it finds wrong with its server, how fast it answers; and a user's damaged
//! entries, which it removes when told so.

use std::error::Error;
use std::io::BufRead as _;
use std::time::{Duration, Instant};

use serde::Serialize;
use stickystore::{Finding, Severity, Sticky};

use crate::answer::{Answer, ask, one_line, say};
use crate::opening::StoreOptions;

/// How many calls of a kind are timed; the median is told.
const TIMED_CALLS: usize = 21;

/// The user that is read to see how long a read takes. It is never written.
const NOBODY: &str = "stickystore doctor";

#[derive(clap::Args)]
pub(crate) struct Options {
    #[command(flatten)]
    store: StoreOptions,
    /// List this user's damaged entries, and remove those that are confirmed
    #[arg(long, value_name = "USER")]
    repair: Option<String>,
    /// Confirm all of them
    #[arg(long, requires = "repair")]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Everything that doctor says.
#[derive(Serialize)]
struct Report {
    store: &'static str,
    survives: String,
    erased_may_return: Option<String>,
    one_winner_among: String,
    shared_by: String,
    forgets: String,
    limits: Limits,
    can_scan: bool,
    latency: Latency,
    findings: Vec<Told>,
}

#[derive(Serialize)]
struct Limits {
    entry_bytes: usize,
    user_bytes: Option<usize>,
}

/// Medians, in milliseconds.
#[derive(Serialize)]
struct Latency {
    ping_ms: f64,
    read_ms: f64,
}

#[derive(Serialize)]
struct Told {
    name: &'static str,
    severity: String,
    evidence: String,
    mend: String,
}

/// No if something is found that loses assignments.
pub(crate) fn run(options: &Options) -> Result<Answer, Box<dyn Error>> {
    let sticky = options.store.open()?;
    if let Some(user) = &options.repair {
        return repair(&sticky, user, options);
    }
    sticky.ping()?;
    let findings = sticky.diagnose();
    let is_well = findings.iter().all(|finding| finding.severity < Severity::Warning);
    let report = report(&sticky, findings)?;
    say(&if options.json { serde_json::to_string(&report)? + "\n" } else { in_words(&report) })?;
    Ok(is_well.into())
}

fn report(sticky: &Sticky, findings: Vec<Finding>) -> Result<Report, Box<dyn Error>> {
    let info = sticky.info();
    let told = |Finding { name, severity, evidence, mend, .. }: Finding| Told {
        name,
        severity: severity.to_string(),
        evidence,
        mend,
    };
    Ok(Report {
        store: info.scheme,
        survives: info.survival(),
        erased_may_return: info.erased_may_return(),
        one_winner_among: info.winner.to_string(),
        shared_by: info.sharing.to_string(),
        forgets: info.eviction.to_string(),
        limits: Limits { entry_bytes: info.limits.entry_bytes, user_bytes: info.limits.user_bytes },
        can_scan: sticky.store().scan().is_some(),
        latency: Latency {
            ping_ms: median(|| sticky.ping())?,
            read_ms: median(|| sticky.load(NOBODY).map(drop))?,
        },
        findings: findings.into_iter().map(told).collect(),
    })
}

fn median(mut call: impl FnMut() -> stickystore::Result<()>) -> stickystore::Result<f64> {
    let mut times: Vec<Duration> = Vec::with_capacity(TIMED_CALLS);
    for _ in 0..TIMED_CALLS {
        let began = Instant::now();
        call()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    let median = times.get(TIMED_CALLS / 2).copied().unwrap_or_default();
    // Microseconds are what can be told apart.
    Ok(median.as_micros() as f64 / 1000.0)
}

fn in_words(report: &Report) -> String {
    let limit = match report.limits.user_bytes {
        Some(user) => format!("{} bytes an entry, {user} bytes a user", report.limits.entry_bytes),
        None => format!("{} bytes an entry", report.limits.entry_bytes),
    };
    let mut text = format!(
        "{}: {}\n  one winner among  {}\n  shared by         {}\n  forgets           {}\n  limits            {limit}\n  \
         scan              {}\n  latency           ping {:.3} ms, read {:.3} ms\n",
        report.store,
        report.survives,
        report.one_winner_among,
        report.shared_by,
        report.forgets,
        if report.can_scan { "yes" } else { "no" },
        report.latency.ping_ms,
        report.latency.read_ms,
    );
    if let Some(why) = &report.erased_may_return {
        text += &format!("  erasure           {why}\n");
    }
    for Told { name, severity, evidence, mend } in &report.findings {
        text += &format!("\n{severity}: {name}\n  {}\n", one_line(evidence));
        if !mend.is_empty() {
            text += &format!("  mend: {mend}\n");
        }
    }
    if report.findings.is_empty() {
        text += "\nnothing wrong was found\n";
    }
    text
}

/// Removes the damaged entries that are confirmed; no if some stay.
fn repair(sticky: &Sticky, user: &str, options: &Options) -> Result<Answer, Box<dyn Error>> {
    let profile = sticky.load(user)?;
    let (mut removed, mut gone) = (Vec::new(), Vec::new());
    for damaged in profile.damaged() {
        let key = damaged.key.as_str();
        let question = format!("{}: it {}. Remove it? [y/N] ", one_line(key), damaged.damage);
        if options.yes || is_confirmed(&question)? {
            // A person takes their time, and what was confirmed is that damaged entry: somebody else may have removed it,
            // and a user been assigned anew. No store removes an entry on the condition that it is damaged, so that what
            // is written between this read and the removal, a round trip later, goes with it.
            let stands = sticky.load(user)?.damaged().contains(damaged);
            if stands && sticky.remove(user, key)? { removed.push(key) } else { gone.push(key) }
        }
    }
    let found = profile.damaged().len();
    if options.json {
        let found = serde_json::json!({"damaged": found, "removed": removed, "gone_meanwhile": gone});
        say(&format!("{found}\n"))?;
    } else if gone.is_empty() {
        say(&format!("{found} damaged, {} removed\n", removed.len()))?;
    } else {
        say(&format!("{found} damaged, {} removed, {} gone meanwhile\n", removed.len(), gone.len()))?;
    }
    Ok((removed.len() + gone.len() == found).into())
}

fn is_confirmed(question: &str) -> Result<bool, Box<dyn Error>> {
    ask(question);
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
