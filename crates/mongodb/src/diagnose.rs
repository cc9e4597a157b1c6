//! What is wrong, or worth knowing, about the servers: what they forget, what they refuse, how far their clock is off.
//!
//! Only questions; nothing is written.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mongodb::bson::{Bson, Document, doc};
use stickystore_core::{Call, Finding, Result, Severity};
use stickystore_transport::fastest;

use crate::config::Config;
use crate::connection::Live;
use crate::question::primary;
use crate::schema::INDEX;
use crate::store::MongodbStore;

/// Writers whose clocks are further from the server's than this are told.
const SKEW: Duration = Duration::from_secs(1);

/// A round trip that takes longer than this costs every decision of an SDK.
const SLOW: Duration = Duration::from_millis(20);

/// Pipelines cannot name every member below this version.
const OLDEST: (u32, u32) = (5, 0);

/// So many members with data survive the loss of one.
const ENOUGH_MEMBERS: usize = 3;

/// The actions that the store needs on its collection.
const ACTIONS: [&str; 3] = ["find", "insert", "update"];

pub(crate) async fn diagnose(store: &MongodbStore, call: Call) -> Vec<Finding> {
    let began = Instant::now();
    match ask(store, call, began).await {
        Ok(seen) => {
            let config = store.connection().config();
            let mut findings = Vec::new();
            findings.extend(version(seen.version.as_ref()));
            findings.extend(kind(&seen));
            findings.extend(journal(&seen));
            findings.extend(index(seen.indexes.as_deref()));
            findings.extend(collection(seen.collection.as_ref()));
            findings.extend(rights(&seen.rights, config));
            findings.extend(skew(seen.skew));
            findings.extend(latency(seen.round_trip));
            findings.extend(url(config));
            findings.extend(retries(store.driver_retries()));
            findings
        }
        Err(error) => {
            let mend = "see that the servers answer and that this user may log in, then diagnose again";
            vec![Finding::new("no-diagnosis", Severity::Problem, error.to_string(), mend)]
        }
    }
}

/// What the server answered; nothing where we may not ask.
struct Seen {
    hello: Document,
    version: Option<Document>,
    options: Option<Document>,
    set: Option<Document>,
    indexes: Option<Vec<Bson>>,
    collection: Option<Document>,
    rights: Rights,
    skew: Option<Duration>,
    round_trip: Duration,
}

/// What a user may do; nothing where there are no users.
type Rights = Option<Vec<Document>>;

/// Where a command runs.
#[derive(Debug, Clone, Copy)]
enum At {
    Admin,
    Ours,
}

async fn ask(store: &MongodbStore, call: Call, began: Instant) -> Result<Seen> {
    store.admit(call)?;
    let config = store.connection().config();
    // The first question may have to make a connection.
    tell(store, call, At::Admin, doc! { "hello": 1 }).await?;
    let hello = fastest(|| tell(store, call, At::Admin, doc! { "hello": 1 })).await?;
    // By the caller's clock.
    let ours = Duration::from_millis(call.now.get()) + hello.after(began);
    let (hello, round_trip) = (hello.answer, hello.round_trip);
    let theirs =
        hello.get_datetime("localTime").ok().and_then(|time| u64::try_from(time.timestamp_millis()).ok());
    let skew = theirs.map(|theirs| Duration::from_millis(theirs).abs_diff(ours));
    let may = |at, command| async move { tell(store, call, at, command).await.ok() };
    let version = may(At::Admin, doc! { "buildInfo": 1 }).await;
    let options = may(At::Admin, doc! { "getCmdLineOpts": 1 }).await;
    let set = may(At::Admin, doc! { "replSetGetConfig": 1 }).await;
    let name = config.collection.as_str();
    let indexes = may(At::Ours, doc! { "listIndexes": name }).await;
    let collections =
        doc! { "listCollections": 1, "filter": { "name": name }, "authorizedCollections": true };
    let collections = may(At::Ours, collections).await;
    let status = may(At::Admin, doc! { "connectionStatus": 1, "showPrivileges": true }).await;
    Ok(Seen {
        hello,
        version,
        options,
        set,
        indexes: indexes.as_ref().and_then(first_batch),
        collection: collections
            .as_ref()
            .and_then(first_batch)
            .and_then(|all| all.first()?.as_document().cloned()),
        rights: status.as_ref().and_then(privileges),
        skew,
        round_trip,
    })
}

async fn tell(store: &MongodbStore, call: Call, at: At, command: Document) -> Result<Document> {
    let tell = move |live: Arc<Live>| async move {
        let database = match at {
            At::Admin => live.client().database("admin"),
            At::Ours => live.database().clone(),
        };
        database.run_command(command).selection_criteria(primary()).await
    };
    store.connection().run(call.deadline, tell).await
}

fn version(info: Option<&Document>) -> Option<Finding> {
    let version = info?.get_str("version").ok()?;
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    let parts = (parts.next()?, parts.next()?);
    let mend = "writes cannot work: use a server of version 5.0 or newer";
    (parts < OLDEST)
        .then(|| Finding::new("version-too-old", Severity::Problem, format!("version {version}"), mend))
}

/// Whether there is somebody who keeps what one server loses.
fn kind(seen: &Seen) -> Option<Finding> {
    let count = |name: &str| seen.hello.get_array(name).map_or(0, Vec::len);
    if seen.hello.get_str("msg").is_ok_and(|kind| kind == "isdbgrid") {
        let mend = "right after an election, a read through mongos may show what was before: connect to the replica set itself \
                    if there is only one";
        return Some(Finding::new("sharded", Severity::Note, "the server is a mongos", mend));
    }
    if seen.hello.get_str("setName").is_err() {
        let mend = "what this one server loses is lost: make it a replica set of three members";
        return Some(Finding::new("standalone", Severity::Warning, "the server is in no replica set", mend));
    }
    let (members, arbiters) = (count("hosts") + count("passives"), count("arbiters"));
    let evidence = format!("{members} members with data, {arbiters} arbiters");
    if members < ENOUGH_MEMBERS {
        let mend =
            "the loss of one member loses assignments, or stops all writes: have three members with data";
        return Some(Finding::new("too-few-members", Severity::Warning, evidence, mend));
    }
    None
}

fn journal(seen: &Seen) -> Option<Finding> {
    let mend = "a crash of the servers forgets acknowledged assignments: let writes wait for the journal";
    let finding = |evidence: &str| Some(Finding::new("no-journal", Severity::Problem, evidence, mend));
    let storage =
        seen.options.as_ref().and_then(|all| all.get_document("parsed").ok()?.get_document("storage").ok());
    let journal = storage.and_then(|storage| storage.get_document("journal").ok()?.get_bool("enabled").ok());
    if journal == Some(false) {
        return finding("storage.journal.enabled: false");
    }
    let config = seen.set.as_ref().and_then(|all| all.get_document("config").ok());
    let waits = config.and_then(|config| config.get_bool("writeConcernMajorityJournalDefault").ok());
    if waits == Some(false) {
        return finding("writeConcernMajorityJournalDefault: false");
    }
    None
}

fn index(indexes: Option<&[Bson]>) -> Option<Finding> {
    let sweeps = |index: &Bson| {
        let index = index.as_document();
        let keys = index.and_then(|index| index.get_document("key").ok());
        let seconds = index.and_then(|index| index.get("expireAfterSeconds"));
        let is_zero =
            matches!(seconds, Some(Bson::Int32(0) | Bson::Int64(0))) || seconds == Some(&Bson::Double(0.0));
        is_zero && keys.is_some_and(|keys| keys.len() == 1 && keys.contains_key("sweep"))
    };
    let has = indexes.is_some_and(|indexes| indexes.iter().any(sweeps));
    let evidence = match indexes {
        Some(_) => "no index with expireAfterSeconds: 0 on the member sweep",
        None => "the collection is not there, or this user may not list its indexes",
    };
    let mend = format!(
        "users whose entries have all expired stay for ever: make the index {INDEX} by `stickystore schema --apply` or \
         MongodbStore::apply_schema, or by hand with the line that they print"
    );
    (!has).then(|| Finding::new("no-ttl-index", Severity::Note, evidence, mend))
}

/// What a collection can be that ours must not be.
fn collection(found: Option<&Document>) -> Option<Finding> {
    let options = found?.get_document("options").ok()?;
    let odd = [
        ("capped", Severity::Problem, "it forgets its oldest users: use a collection that is not capped"),
        ("viewOn", Severity::Problem, "a view takes no writes: use a collection"),
        (
            "collation",
            Severity::Problem,
            "ids that it takes for the same are refused: use one without a collation",
        ),
        ("validator", Severity::Note, "see that it lets documents of docs/layout.md pass"),
    ];
    let (name, severity, mend) = odd.into_iter().find(|(name, ..)| options.contains_key(name))?;
    Some(Finding::new("odd-collection", severity, format!("the collection has the option {name}"), mend))
}

fn rights(rights: &Rights, config: &Config) -> Option<Finding> {
    let privileges = rights.as_ref()?;
    let covers = |privilege: &Document| {
        let Ok(resource) = privilege.get_document("resource") else { return false };
        let is =
            |name: &str, ours: &str| resource.get_str(name).is_ok_and(|text| text.is_empty() || text == ours);
        resource.get_bool("anyResource").is_ok_and(|any| any)
            || is("db", &config.database) && is("collection", &config.collection)
    };
    let has = |action: &str| {
        let actions = privileges.iter().filter(|privilege| covers(privilege));
        let mut actions = actions.filter_map(|privilege| privilege.get_array("actions").ok()).flatten();
        actions.any(|one| matches!(one.as_str(), Some(one) if one == action || one == "anyAction"))
    };
    let missing: Vec<_> = ACTIONS.into_iter().filter(|action| !has(action)).collect();
    let mend = "give this user the actions find, insert and update on the collection, or the role readWrite";
    let evidence = || format!("missing: {}", missing.join(", "));
    (!missing.is_empty()).then(|| Finding::new("rights-missing", Severity::Problem, evidence(), mend))
}

fn skew(skew: Option<Duration>) -> Option<Finding> {
    let skew = skew.filter(|skew| *skew > SKEW)?;
    let evidence = format!("the server's localTime is {} ms from ours", skew.as_millis());
    let mend = "set the clocks: writers whose clocks differ disagree about what has expired";
    Some(Finding::new("clock-skew", Severity::Warning, evidence, mend))
}

fn latency(round_trip: Duration) -> Option<Finding> {
    let evidence = format!("the fastest of five round trips took {} ms", round_trip.as_millis());
    let mend = "every uncached lookup and save takes at least as long: move the server closer, or cache";
    (round_trip > SLOW).then(|| Finding::new("slow", Severity::Note, evidence, mend))
}

/// What the URL says and is not done, or should not be said.
fn url(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let overruled = config.overruled();
    if !overruled.is_empty() {
        let evidence = format!("the URL says {}", overruled.join(", "));
        let mend = "it is not used: writes are confirmed by a majority by their deadline, and reads see what a majority has";
        findings.push(Finding::new("write-concern", Severity::Note, evidence, mend));
    }
    if config.is_preferring_others() {
        let mend = "it is not used: other members may be behind, and the primary is asked";
        findings.push(Finding::new("read-preference", Severity::Note, "the URL has a readPreference", mend));
    }
    if config.trusts_anybody() {
        let mend = "anybody can pose as the server: name the authority with tlsCAFile instead";
        findings.push(Finding::new(
            "tls-unverified",
            Severity::Warning,
            "the URL allows invalid certificates",
            mend,
        ));
    }
    findings
}

fn retries(retries: u64) -> Option<Finding> {
    let evidence = format!("the driver has sent {retries} operations a second time");
    let mend = "connections end, or primaries change, while this process works";
    (retries > 0).then(|| Finding::new("driver-retries", Severity::Note, evidence, mend))
}

fn first_batch(answer: &Document) -> Option<Vec<Bson>> {
    answer.get_document("cursor").ok()?.get_array("firstBatch").ok().cloned()
}

fn privileges(status: &Document) -> Rights {
    let info = status.get_document("authInfo").ok()?;
    if info.get_array("authenticatedUsers").ok()?.is_empty() {
        return None;
    }
    let privileges = info.get_array("authenticatedUserPrivileges").ok()?;
    Some(privileges.iter().filter_map(Bson::as_document).cloned().collect())
}
