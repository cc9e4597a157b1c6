//! What is wrong, or worth knowing, about the cluster: how often it keeps things, who decides, clocks, versions, rights.
//!
//! Only questions, and conditional statements of a user that nobody has, which apply to nothing.

use std::time::{Duration, Instant};

use scylla::DeserializeRow;
use stickystore_core::{Call, ErrorKind, Finding, Namespace, Result, Severity, Subject, UserId};
use stickystore_transport::fastest;

use crate::config::{Config, Serial};
use crate::connection::Request;
use crate::error::{self, Failure};
use crate::layout;
use crate::schema;
use crate::statement::{Bound, Ready, Statement};
use crate::store::CassandraStore;

/// Writers whose clocks are further from the nodes' than this are told.
const SKEW: Duration = Duration::from_secs(1);

/// A round trip that takes longer than this costs every decision of an SDK.
const SLOW: Duration = Duration::from_millis(50);

/// With fewer copies, the loss of one node loses writes, or stops them.
const COPIES: u32 = 3;

/// Before this version, a refused condition and a serial reading can miss what is under way (CASSANDRA-12126).
const OLDEST: (u32, u32) = (4, 0);

/// When time to live ends, in milliseconds, for what expires with less than so much left until then.
const LAST_MILLIS: u64 = 2_147_483_646_000;
const LAST_NEARS: Duration = Duration::from_secs(2 * 365 * 86_400);

pub(crate) async fn diagnose(store: &CassandraStore, call: Call) -> Vec<Finding> {
    match ask(store, call).await {
        Ok(findings) => findings,
        Err(error) if error.kind() == ErrorKind::Config => {
            let mend = "make the table with the statements of CassandraStore::schema, or name another one";
            vec![Finding::new("table-missing", Severity::Problem, error.to_string(), mend)]
        }
        Err(error) => {
            let mend = "see that the nodes answer and that this user may read the system tables, then diagnose again";
            vec![Finding::new("no-diagnosis", Severity::Problem, error.to_string(), mend)]
        }
    }
}

async fn ask(store: &CassandraStore, call: Call) -> Result<Vec<Finding>> {
    store.admit(call)?;
    let asker = Asker { store, call };
    let config = store.config();
    let began = Instant::now();
    // What nobody can do anything about any more is told first: whether there is an answer at all.
    let local: Local = asker.first(LOCAL, &[]).await?.ok_or_else(error::odd_answer)?;
    let clock = Box::pin(fastest(|| asker.first::<Clock>(CLOCK, &[]))).await?;
    // By the caller's clock.
    let ours = Duration::from_millis(call.now.get()) + clock.after(began);
    let (clock, round_trip) = (clock.answer, clock.round_trip);
    let theirs = clock.and_then(|clock| u64::try_from(clock.now).ok()).map(Duration::from_millis);
    let skew_seen = theirs.map(|theirs| theirs.abs_diff(ours));
    let peers: Vec<Peer> = asker.all("SELECT data_center FROM system.peers", &[]).await?;
    let keyspace: Option<Keyspace> = asker
        .first("SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?", &[&config.keyspace])
        .await?;
    let table: Option<Table> = asker
        .first(
            "SELECT comment, default_time_to_live FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?",
            &[&config.keyspace, &config.table],
        )
        .await?;
    // Virtual tables are not everywhere, nor for everybody.
    let paxos: Option<Setting> = asker.first(PAXOS, &[]).await.unwrap_or_default();

    let mut datacenters: Vec<_> =
        peers.into_iter().filter_map(|peer| peer.data_center).chain([local.data_center]).collect();
    datacenters.sort_unstable();
    datacenters.dedup();
    let mut findings = Vec::new();
    findings.extend(version(&local.release_version));
    findings.extend(unknown_datacenter(config, &datacenters));
    if let Some(keyspace) = keyspace {
        findings.extend(replication(&keyspace.replication));
    }
    findings.extend(scope(config, &datacenters));
    findings.extend(variant(paxos, datacenters.len()));
    if let Some(table) = table {
        findings.extend(comment(config, table.comment.as_deref()));
        findings.extend(default_ttl(table.default_time_to_live));
    }
    findings.extend(rights(&asker.refused().await));
    findings.extend(skew(skew_seen));
    findings.extend(last_second(call));
    findings.extend(latency(round_trip));
    Ok(findings)
}

const LOCAL: &str = "SELECT data_center, release_version FROM system.local";
const CLOCK: &str = "SELECT toUnixTimestamp(now()) AS now FROM system.local";
const PAXOS: &str = "SELECT value FROM system_views.settings WHERE name = 'paxos_variant'";

#[derive(DeserializeRow)]
struct Local {
    data_center: String,
    release_version: String,
}

#[derive(DeserializeRow)]
struct Clock {
    now: i64,
}

#[derive(DeserializeRow)]
struct Peer {
    data_center: Option<String>,
}

#[derive(DeserializeRow)]
struct Keyspace {
    replication: std::collections::BTreeMap<String, String>,
}

#[derive(DeserializeRow)]
struct Table {
    comment: Option<String>,
    default_time_to_live: Option<i32>,
}

#[derive(DeserializeRow)]
struct Setting {
    value: Option<String>,
}

struct Asker<'a> {
    store: &'a CassandraStore,
    call: Call,
}

impl Asker<'_> {
    async fn all<R>(&self, text: &str, values: &[&str]) -> Result<Vec<R>>
    where
        R: for<'frame, 'metadata> scylla::deserialize::row::DeserializeRow<'frame, 'metadata>,
    {
        let (answer, _) = self
            .store
            .sessions()
            .run(&Request::Ask { text, values }, self.call.deadline)
            .await
            .map_err(Failure::told)?;
        let answer = answer.into_rows_result().map_err(|_| error::odd_answer())?;
        let rows = answer.rows::<R>().map_err(|_| error::odd_answer())?;
        rows.collect::<std::result::Result<_, _>>().map_err(|_| error::odd_answer())
    }

    async fn first<R>(&self, text: &str, values: &[&str]) -> Result<Option<R>>
    where
        R: for<'frame, 'metadata> scylla::deserialize::row::DeserializeRow<'frame, 'metadata>,
    {
        Ok(self.all(text, values).await?.into_iter().next())
    }

    /// The rights that this user lacks.
    async fn refused(&self) -> Vec<&'static str> {
        let Some(nobody) = nobody() else { return Vec::new() };
        let user = || [Bound::Text(nobody.namespace.as_str()), Bound::Text(nobody.user.as_str())];
        let mut delete: Vec<_> = user().into();
        // No entry has this expiry.
        delete.extend([Bound::Text("trial"), Bound::Number(layout::NEVER), Bound::Null]);
        let read = Ready { statement: Statement::ReadAll, values: user().into() };
        let write = Ready { statement: Statement::Delete, values: delete };
        let mut refused = Vec::new();
        for (right, ready) in [("SELECT", read), ("MODIFY", write)] {
            let ready = [ready];
            let answer = self.store.sessions().run(&Request::Attempt(&ready), self.call.deadline).await;
            if answer.is_err_and(|failure| failure.told().kind() == ErrorKind::Denied) {
                refused.push(right);
            }
        }
        refused
    }
}

/// A user that nobody has.
fn nobody() -> Option<Subject> {
    let name = format!("stickystore-diagnose-{}", stickystore_core::Revision::random());
    Some(Subject::new(Namespace::new(name.as_str()).ok()?, UserId::new(name).ok()?))
}

fn version(version: &str) -> Option<Finding> {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    let parts = (parts.next()?, parts.next()?);
    let mend = "conditions can miss what is under way: use version 4.0 or newer";
    let evidence = || format!("release_version: {version}");
    // What ScyllaDB says there is a version of Cassandra's that it is compatible with, 3.0.8.
    let is_scylla = version == "3.0.8";
    (parts < OLDEST && !is_scylla)
        .then(|| Finding::new("version-too-old", Severity::Problem, evidence(), mend))
}

fn unknown_datacenter(config: &Config, datacenters: &[String]) -> Option<Finding> {
    let named = config.datacenter.as_ref().filter(|named| !datacenters.contains(named))?;
    let evidence = format!("datacenter={named}; the cluster has {}", datacenters.join(", "));
    let mend = "name one that there is: until then no node is near";
    Some(Finding::new("datacenter-unknown", Severity::Problem, evidence, mend))
}

fn replication(replication: &std::collections::BTreeMap<String, String>) -> Option<Finding> {
    let copies = replication.iter().filter(|(name, _)| *name != "class");
    let least = copies.filter_map(|(_, copies)| copies.split('/').next()?.parse::<u32>().ok()).min()?;
    let shown: Vec<_> = replication.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let mend =
        "keep three copies in each datacenter: with fewer, one lost node loses assignments or stops writing";
    let finding = || Finding::new("replication-low", Severity::Warning, shown.join(", "), mend);
    (least < COPIES).then(finding)
}

fn scope(config: &Config, datacenters: &[String]) -> Option<Finding> {
    let evidence = || format!("serial=local; datacenters: {}", datacenters.join(", "));
    let mend = "writers in two datacenters can undo each other: say serial=global, or keep each user's writers in one";
    let finding = || Finding::new("serial-local", Severity::Warning, evidence(), mend);
    (config.serial == Serial::Local && datacenters.len() > 1).then(finding)
}

fn variant(paxos: Option<Setting>, datacenters: usize) -> Option<Finding> {
    let variant = paxos?.value?;
    let severity = if datacenters > 1 { Severity::Warning } else { Severity::Note };
    let mend = "paxos_variant: v2 and paxos_state_purging: repaired in cassandra.yaml halve the rounds of every write";
    (variant == "v1").then(|| Finding::new("paxos-v1", severity, format!("paxos_variant: {variant}"), mend))
}

fn comment(config: &Config, comment: Option<&str>) -> Option<Finding> {
    let wanted = format!("{}{}", layout::COMMENT, layout::VERSION);
    let found = comment.unwrap_or_default();
    let evidence = format!("the comment of {} is \"{found}\"", schema::table_name(config));
    let mend =
        format!("newer programs see by it what they may write: ALTER TABLE .. WITH comment = '{wanted}'");
    (found != wanted).then(|| Finding::new("table-different", Severity::Note, evidence, mend))
}

fn default_ttl(seconds: Option<i32>) -> Option<Finding> {
    let seconds = seconds.filter(|seconds| *seconds > 0)?;
    let evidence = format!("default_time_to_live = {seconds}");
    let mend = "every write says its own time to live, so that it does nothing: set it to 0";
    Some(Finding::new("default-ttl", Severity::Note, evidence, mend))
}

fn rights(refused: &[&str]) -> Option<Finding> {
    let evidence = || format!("refused: {}", refused.join(", "));
    let mend = "grant this user SELECT and MODIFY on the table";
    (!refused.is_empty()).then(|| Finding::new("rights-missing", Severity::Problem, evidence(), mend))
}

fn skew(skew: Option<Duration>) -> Option<Finding> {
    let skew = skew.filter(|skew| *skew > SKEW)?;
    let evidence = format!("a node's clock is {} ms from ours", skew.as_millis());
    let mend = "set the clocks: writers whose clocks differ disagree about what has expired";
    Some(Finding::new("clock-skew", Severity::Warning, evidence, mend))
}

fn last_second(call: Call) -> Option<Finding> {
    let left = Duration::from_millis(LAST_MILLIS.saturating_sub(call.now.get()));
    let evidence = || format!("{} days are left until 2038-01-19", left.as_secs() / 86_400);
    let mend = "entries that end later are never swept: use nodes with storage_compatibility_mode NONE, and a newer stickystore";
    (left < LAST_NEARS).then(|| Finding::new("ttl-near-its-end", Severity::Note, evidence(), mend))
}

fn latency(round_trip: Duration) -> Option<Finding> {
    let evidence = format!("the fastest of five round trips took {} ms", round_trip.as_millis());
    let mend = "every uncached lookup and save takes at least as long: use nodes that are closer, or cache";
    (round_trip > SLOW).then(|| Finding::new("slow", Severity::Note, evidence, mend))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(options: &str) -> Config {
        Config::from_url(&format!("cassandra://h?{options}")).unwrap()
    }

    fn datacenters(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn copies(options: &[(&str, &str)]) -> Option<Finding> {
        replication(
            &options.iter().map(|(name, copies)| ((*name).to_owned(), (*copies).to_owned())).collect(),
        )
    }

    #[test]
    fn fewer_than_three_copies_anywhere_are_found() {
        let simple = ("class", "org.apache.cassandra.locator.SimpleStrategy");
        let by_datacenter = ("class", "org.apache.cassandra.locator.NetworkTopologyStrategy");
        for few in [
            &[simple, ("replication_factor", "2")][..],
            &[by_datacenter, ("eu", "3"), ("us", "1")],
            &[by_datacenter, ("eu", "2/1")],
        ] {
            let found = copies(few).unwrap();
            assert_eq!((found.name, found.severity), ("replication-low", Severity::Warning));
            assert!(few.iter().all(|(name, copies)| found.evidence.contains(&format!("{name}: {copies}"))));
        }
        assert_eq!(copies(&[simple, ("replication_factor", "3")]), None);
        assert_eq!(copies(&[by_datacenter, ("eu", "3"), ("us", "5")]), None);
    }

    #[test]
    fn deciding_in_one_of_several_datacenters_is_found() {
        let local = config("serial=local&datacenter=eu");
        let found = scope(&local, &datacenters(&["eu", "us"])).unwrap();
        assert_eq!((found.name, found.severity), ("serial-local", Severity::Warning));
        assert!(found.evidence.contains("eu, us"));
        assert_eq!(scope(&local, &datacenters(&["eu"])), None);
        assert_eq!(scope(&config("datacenter=eu"), &datacenters(&["eu", "us"])), None);
    }

    #[test]
    fn the_older_agreement_weighs_more_between_datacenters() {
        let said = |value: &str| Some(Setting { value: Some(value.to_owned()) });
        let severity = |found: Option<Finding>| found.map(|found| (found.name, found.severity));
        assert_eq!(severity(variant(said("v1"), 1)), Some(("paxos-v1", Severity::Note)));
        assert_eq!(severity(variant(said("v1"), 2)), Some(("paxos-v1", Severity::Warning)));
        assert_eq!([variant(said("v2"), 2), variant(None, 2)], [None, None]);
    }

    #[test]
    fn versions_whose_conditions_can_miss_something_are_found() {
        for old in ["3.11.17", "3.0.30", "2.2.19"] {
            let found = version(old).unwrap();
            assert_eq!((found.name, found.severity), ("version-too-old", Severity::Problem));
            assert!(found.evidence.contains(old));
        }
        // ScyllaDB says the last of these of itself.
        for fine in ["4.0.0", "4.1-rc1", "5.0.5", "5.0-SNAPSHOT", "3.0.8"] {
            assert_eq!(version(fine), None, "{fine}");
        }
    }

    #[test]
    fn rights_that_lack_and_what_is_far_are_found() {
        assert!(rights(&["SELECT", "MODIFY"]).unwrap().evidence.contains("SELECT, MODIFY"));
        assert_eq!(rights(&[]), None);
        assert_eq!(latency(Duration::from_millis(80)).unwrap().name, "slow");
        assert_eq!(latency(SLOW), None);
        assert_eq!(skew(Some(SKEW)), None);
        assert_eq!(skew(None), None);
    }
}
