//! What is wrong, or worth knowing, about the server: what it forgets, what it refuses, how far its clock is off.
//!
//! Only questions, and one key that no user has, to try the rights on.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use stickystore_core::{Call, Finding, Result, Severity};
use stickystore_transport::fastest;

use crate::store::RedisStore;
use crate::wire::{Commands, Reply, Value};

/// Writers whose clocks are further from the server's than this are told.
const SKEW: Duration = Duration::from_secs(1);

/// A round trip that takes longer than this costs every decision of an SDK.
const SLOW: Duration = Duration::from_millis(20);

/// Scripts cannot ask for the time and write after it below this version.
const OLDEST: (u32, u32) = (5, 0);

/// Below this version, single fields are not swept: only users, whole.
const SWEEPS: (u32, u32) = (6, 2);

pub(crate) async fn diagnose(store: &RedisStore, call: Call, wait: u32) -> Vec<Finding> {
    let began = Instant::now();
    match ask(store, call, began).await {
        Ok(seen) => {
            let mut findings = Vec::new();
            findings.extend(version(&seen.info));
            findings.extend(eviction(&seen.info));
            findings.extend(persistence(&seen.info, seen.save.as_deref(), seen.fsync.as_deref()));
            findings.extend(replicas(&seen.info, wait));
            findings.extend(rights(&seen.refused));
            findings.extend(skew(seen.skew));
            findings.extend(latency(seen.round_trip));
            findings
        }
        Err(error) => {
            let mend = "see that the server answers and that this user may ask for INFO, then diagnose again";
            vec![Finding::new("no-diagnosis", Severity::Problem, error.to_string(), mend)]
        }
    }
}

/// What the server answered.
struct Seen {
    info: Info,
    /// Its `save` setting, if we may ask.
    save: Option<String>,
    /// Its `appendfsync` setting, likewise.
    fsync: Option<String>,
    /// Commands that we may not run.
    refused: Vec<&'static str>,
    skew: Option<Duration>,
    round_trip: Duration,
}

/// The lines of INFO.
struct Info(String);

impl Info {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

async fn ask(store: &RedisStore, call: Call, began: Instant) -> Result<Seen> {
    store.admit(call)?;
    let lane = store.long_lane();
    let info = store.answer(lane, &["INFO"], call.deadline).await?;
    let time =
        fastest(async || Ok::<_, Infallible>(store.answer(lane, &["TIME"], call.deadline).await)).await;
    let Ok(time) = time;
    // By the caller's clock.
    let ours = Duration::from_millis(call.now.get()) + time.after(began);
    let skew = time.answer.ok().and_then(|time| time_of(&time)).map(|theirs| theirs.abs_diff(ours));
    let setting = async |name: &str| {
        let answer = store.answer(lane, &["CONFIG", "GET", name], call.deadline).await;
        answer.ok().and_then(|answer| second_text(&answer))
    };
    let (save, fsync) = (setting("save").await, setting("appendfsync").await);
    let trials = trials();
    let say = |words: &Vec<&str>, commands: &mut Commands| commands.push(words);
    let answers = store.answers(lane, &trials, say, call.deadline).await;
    let denied = trials.iter().zip(&answers).filter(|(_, answer)| is_denied(answer));
    let refused = denied.filter_map(|(words, _)| words.first().copied());
    Ok(Seen {
        info: Info(info.value().text().unwrap_or_default().to_owned()),
        save,
        fsync,
        refused: refused.collect(),
        skew,
        round_trip: time.round_trip,
    })
}

/// Every command of ours, so that it changes nothing that anybody has.
fn trials() -> Vec<Vec<&'static str>> {
    // Neither a namespace nor a user is ever empty.
    const KEY: &str = "stickystore::";
    vec![
        vec!["EVAL", "return 1", "1", KEY],
        vec!["EVALSHA", "0000000000000000000000000000000000000000", "1", KEY],
        vec!["HSET", KEY, "trial", "1"],
        vec!["PEXPIRE", KEY, "1000"],
        vec!["PTTL", KEY],
        vec!["HGETALL", KEY],
        vec!["HMGET", KEY, "trial"],
        vec!["HRANDFIELD", KEY, "1", "WITHVALUES"],
        vec!["PERSIST", KEY],
        vec!["HDEL", KEY, "trial"],
        vec!["UNLINK", KEY],
        vec!["TIME"],
        vec!["SCAN", "0", "COUNT", "1"],
    ]
}

fn is_denied(answer: &Result<Reply>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() == stickystore_core::ErrorKind::Denied)
}

fn version(info: &Info) -> Option<Finding> {
    let version = info.get("redis_version")?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let parts = (parts.next()?, parts.next()?);
    let evidence = format!("redis_version:{version}");
    if parts < OLDEST {
        let mend = "writes cannot work: use a server of version 6.2 or newer";
        Some(Finding::new("version-too-old", Severity::Problem, evidence, mend))
    } else if parts < SWEEPS {
        let mend = "what expired goes only with its whole user: use a server of version 6.2 or newer";
        Some(Finding::new("version-old", Severity::Note, evidence, mend))
    } else {
        None
    }
}

fn eviction(info: &Info) -> Option<Finding> {
    let policy = info.get("maxmemory_policy")?;
    let limit = info.number("maxmemory")?;
    let evidence = format!("maxmemory:{limit} maxmemory_policy:{policy}");
    if limit == 0 || policy == "noeviction" {
        return None;
    }
    let mend = "give the store a server of its own with maxmemory-policy noeviction: a user that is evicted is assigned anew";
    Some(Finding::new("may-evict", Severity::Warning, evidence, mend))
}

fn persistence(info: &Info, save: Option<&str>, fsync: Option<&str>) -> Option<Finding> {
    let finding =
        |name, severity, evidence: String, mend: &str| Some(Finding::new(name, severity, evidence, mend));
    if info.get("aof_enabled")? == "1" {
        return match info.get("aof_last_write_status") {
            Some("err") => finding(
                "persistence-fails",
                Severity::Problem,
                "aof_last_write_status:err".to_owned(),
                "the server cannot write its log: see its disk",
            ),
            _ => match fsync {
                Some("always") => None,
                // A write is acknowledged before it is on the disk.
                Some("no") => finding(
                    "syncs-seldom",
                    Severity::Warning,
                    "aof_enabled:1 appendfsync:no".to_owned(),
                    "power loss forgets what the system had not written yet, some 30 s: set appendfsync everysec or always",
                ),
                _ => finding(
                    "syncs-every-second",
                    Severity::Note,
                    format!("aof_enabled:1 appendfsync:{}", fsync.unwrap_or("everysec, unless set")),
                    "power loss forgets up to the last 2 s, erasures too: set appendfsync always if that matters",
                ),
            },
        };
    }
    match save {
        Some("") => finding(
            "no-persistence",
            Severity::Warning,
            "aof_enabled:0 save:\"\"".to_owned(),
            "a restart forgets every assignment: set appendonly yes",
        ),
        Some(save) => finding(
            "persists-seldom",
            Severity::Warning,
            format!("aof_enabled:0 save:\"{save}\" (seconds and changes)"),
            "a crash forgets the assignments since the last snapshot, and brings erased ones back: set appendonly yes",
        ),
        None => finding(
            "persists-seldom",
            Severity::Warning,
            "aof_enabled:0; this user may not ask for the snapshots (CONFIG GET save)".to_owned(),
            "a crash forgets at least the assignments since the last snapshot: set appendonly yes",
        ),
    }
}

fn replicas(info: &Info, wait: u32) -> Option<Finding> {
    if info.get("role") == Some("slave") {
        let mend = "open the store with the primary's address";
        return Some(Finding::new("is-replica", Severity::Problem, "role:slave", mend));
    }
    let connected = info.number("connected_slaves")?;
    let evidence = format!("connected_slaves:{connected}, wait={wait}");
    if connected < u64::from(wait) {
        let mend = "every write will be an unknown outcome: connect replicas or lower the option wait";
        return Some(Finding::new("too-few-replicas", Severity::Problem, evidence, mend));
    }
    let mend = "a failover may forget the last writes: the option wait=1 narrows that";
    (connected > 0 && wait == 0)
        .then(|| Finding::new("replicas-without-wait", Severity::Note, evidence, mend))
}

fn rights(refused: &[&str]) -> Option<Finding> {
    let mend = "allow this user these commands on the keys stickystore:*";
    let evidence = || format!("refused: {}", refused.join(", "));
    (!refused.is_empty()).then(|| Finding::new("rights-missing", Severity::Problem, evidence(), mend))
}

fn skew(skew: Option<Duration>) -> Option<Finding> {
    let skew = skew.filter(|skew| *skew > SKEW)?;
    let evidence = format!("the server's TIME is {} ms from ours", skew.as_millis());
    let mend = "set the clocks: writers whose clocks differ disagree about what has expired";
    Some(Finding::new("clock-skew", Severity::Warning, evidence, mend))
}

fn latency(round_trip: Duration) -> Option<Finding> {
    let evidence = format!("the fastest of five round trips took {} ms", round_trip.as_millis());
    let mend = "every uncached lookup and save takes at least as long: move the server closer, or cache";
    (round_trip > SLOW).then(|| Finding::new("slow", Severity::Note, evidence, mend))
}

fn time_of(answer: &Reply) -> Option<Duration> {
    let Value::Array(mut parts) = answer.value() else { return None };
    let seconds = Duration::from_secs(parts.next()?.text()?.parse().ok()?);
    Some(seconds + Duration::from_micros(parts.next()?.text()?.parse().ok()?))
}

fn second_text(answer: &Reply) -> Option<String> {
    let Value::Array(mut parts) = answer.value() else { return None };
    parts.nth(1)?.text().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(finding: Option<Finding>) -> Option<(&'static str, Severity)> {
        finding.map(|finding| (finding.name, finding.severity))
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let found = |version: &str| named(self::version(&Info(format!("redis_version:{version}\r\n"))));
        assert_eq!(found("4.0.14"), Some(("version-too-old", Severity::Problem)));
        assert_eq!(found("6.0.16"), Some(("version-old", Severity::Note)));
        for good in ["6.2.0", "7.0.15", "10.0.0"] {
            assert_eq!(found(good), None, "{good}");
        }
    }

    #[test]
    fn a_log_that_cannot_be_written_is_a_problem_and_one_that_is_written_late_is_told() {
        let aof = |status: &str| Info(format!("aof_enabled:1\r\naof_last_write_status:{status}\r\n"));
        let found = |status, fsync| named(persistence(&aof(status), Some(""), fsync));
        assert_eq!(found("err", Some("always")), Some(("persistence-fails", Severity::Problem)));
        assert_eq!(found("ok", Some("always")), None);
        assert_eq!(found("ok", Some("everysec")), Some(("syncs-every-second", Severity::Note)));
        assert_eq!(found("ok", None), Some(("syncs-every-second", Severity::Note)));
        assert_eq!(found("ok", Some("no")), Some(("syncs-seldom", Severity::Warning)));
    }
}
