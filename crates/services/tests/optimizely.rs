//! The User Profile Service as SDKs use it: what it hands out, what a save does, and the traces of the save guard.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test asserts, and an assertion panics")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use stickystore_core::memory::MemoryStore;
use stickystore_core::{
    AsyncStore, Call, Change, Clock, Entry, EpochCheck, Erase, Error, ErrorKind, Expiry, Finding, Immediate,
    Key, ManualClock, Namespace, Outcome, Profile, Read, Scan, Store, StoreExt, StoreInfo, Subject, Ttl,
    UnixMillis, UserId, Value, Write,
};
use stickystore_services::optimizely::{
    AsyncUserProfileService, RECEIPT_KEY, UserProfile, UserProfileService,
};
use stickystore_services::{Receipts, SaveReport, Saved, Settings, Why};

const HOUR: Duration = Duration::from_secs(3_600);

/// A store, its clock and the service over it.
struct Bench {
    store: Hooked,
    clock: ManualClock,
    service: UserProfileService<Hooked>,
}

impl Bench {
    fn new() -> Self {
        Self::with(|settings| settings)
    }

    fn with(adjust: impl FnOnce(Settings) -> Settings) -> Self {
        let clock = ManualClock::new(UnixMillis::new(1_700_000_000_000).unwrap());
        let settings = Settings::new(Namespace::new("shop").unwrap())
            .with_clock(clock.clone())
            .with_ttl(Ttl::new(HOUR).unwrap());
        let store = Hooked::default();
        Self { store: store.clone(), clock, service: UserProfileService::new(store, adjust(settings)) }
    }

    fn subject(&self) -> Subject {
        Subject::new(Namespace::new("shop").unwrap(), UserId::new("ann").unwrap())
    }

    fn call(&self) -> Call {
        Call::new(self.clock.now(), Instant::now() + Duration::from_secs(5))
    }

    /// What an SDK gets from a lookup.
    fn lookup(&self) -> UserProfile {
        UserProfile::parse(&self.service.lookup_json("ann").unwrap()).unwrap()
    }

    /// What an SDK with an empty profile saves: what it just bucketed, without a receipt.
    fn save_bare(&self, map: &[(&str, &str)]) -> SaveReport {
        let mut profile = UserProfile::new("ann");
        for (experiment, variation) in map {
            profile.set_variation(*experiment, *variation);
        }
        self.save(&profile)
    }

    /// Saves through the SDK's JSON.
    fn save(&self, profile: &UserProfile) -> SaveReport {
        self.service.save_json(&profile.to_json()).unwrap()
    }

    /// Every experiment and variation that is stored.
    fn stored(&self) -> Vec<(String, String)> {
        let profile = self.service.lookup("ann").unwrap();
        profile.iter().map(|(experiment, variation)| (experiment.into(), variation.into())).collect()
    }

    fn entry(&self, key: &str) -> Entry {
        self.store.inner.get(self.call(), &self.subject(), &Key::new(key).unwrap()).unwrap().unwrap()
    }

    fn erase(&self) {
        self.store.inner.erase_one(self.call(), Erase::new(self.subject(), self.clock.now())).unwrap();
    }
}

fn pairs(map: &[(&str, &str)]) -> Vec<(String, String)> {
    map.iter().map(|(experiment, variation)| (experiment.to_string(), variation.to_string())).collect()
}

fn with(mut profile: UserProfile, experiment: &str, variation: &str) -> UserProfile {
    profile.set_variation(experiment, variation);
    profile
}

/// Why an entry was kept, and its winner.
fn kept(report: &SaveReport, key: &str) -> (Why, Option<String>) {
    match report.get(key) {
        Some(Saved::Kept { why, winner }) => (*why, winner.as_ref().map(|winner| winner.as_str().to_owned())),
        other => panic!("{key} was not kept but {other:?}"),
    }
}

/// The memory store with a hand in between: something happens before a write, writes are counted and remembered.
#[derive(Debug, Clone, Default)]
struct Hooked {
    inner: MemoryStore,
    hooks: Arc<Mutex<Hooks>>,
}

#[derive(Default)]
struct Hooks {
    before_write: Option<Box<dyn FnOnce() + Send>>,
    fail_reads: bool,
    reads: usize,
    writes: Vec<Write>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

impl Hooked {
    fn before_next_write(&self, happens: impl FnOnce() + Send + 'static) {
        self.hooks.lock().unwrap().before_write = Some(Box::new(happens));
    }

    /// Reads and writes so far, since this was last asked.
    fn calls(&self) -> (usize, usize) {
        let mut hooks = self.hooks.lock().unwrap();
        (std::mem::take(&mut hooks.reads), std::mem::take(&mut hooks.writes).len())
    }
}

impl Store for Hooked {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile, Error>> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.reads += 1;
        if hooks.fail_reads {
            return vec![Err(Error::new(ErrorKind::Unavailable, "injected")); reads.len()];
        }
        self.inner.read(call, reads)
    }

    fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome, Error>>> {
        let mut hooks = self.hooks.lock().unwrap();
        hooks.writes.extend_from_slice(writes);
        let happens = hooks.before_write.take();
        drop(hooks);
        if let Some(happens) = happens {
            happens();
        }
        self.inner.write(call, writes)
    }

    fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool, Error>> {
        self.inner.erase(call, erases)
    }

    fn ping(&self, call: Call) -> Result<(), Error> {
        self.inner.ping(call)
    }

    fn close(&self, call: Call) -> Result<(), Error> {
        self.inner.close(call)
    }

    fn diagnose(&self, call: Call) -> Vec<Finding> {
        self.inner.diagnose(call)
    }

    fn scan(&self) -> Option<&dyn Scan> {
        self.inner.scan()
    }
}

#[test]
fn a_user_without_entries_gets_a_profile_with_only_a_receipt() {
    let bench = Bench::new();
    let json = bench.service.lookup_json("ann").unwrap();
    assert!(
        json.starts_with(r#"{"user_id":"ann","experiment_bucket_map":{"stickystore":{"variation_id":"sr1."#),
        "{json}"
    );
    let off = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    assert_eq!(off.service.lookup_json("ann").unwrap(), "null");
}

#[test]
fn what_was_saved_is_looked_up_with_every_member_and_digit() {
    let bench = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    let saved = r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"ts": 18446744073709551616.0, "variation_id":"v","x":{"a": 1}}}}"#;
    bench.service.save_json(saved).unwrap();
    let looked_up = bench.service.lookup_json("ann").unwrap();
    assert_eq!(
        looked_up,
        r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"v","ts":18446744073709551616.0,"x":{"a":1}}}}"#
    );
}

#[test]
fn a_save_after_a_failed_lookup_adds_and_destroys_nothing() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red"), ("e2", "blue")]);
    let report = bench.save_bare(&[("e1", "green"), ("e3", "new")]);
    assert_eq!(kept(&report, "e1"), (Why::Unproven, Some(r#"{"variation_id":"red"}"#.into())));
    assert!(matches!(report.get("e3"), Some(Saved::Inserted)));
    assert_eq!(bench.stored(), pairs(&[("e1", "red"), ("e2", "blue"), ("e3", "new")]));
}

#[test]
fn what_was_read_and_changed_is_replaced() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red"), ("e2", "blue")]);
    let report = bench.save(&with(bench.lookup(), "e1", "green"));
    assert_eq!(
        report.to_json(),
        r#"{"entries":{"e1":{"outcome":"replaced","old":{"variation_id":"red"}},"e2":{"outcome":"unchanged"}}}"#
    );
    assert_eq!(bench.stored(), pairs(&[("e1", "green"), ("e2", "blue")]));
}

#[test]
fn a_map_that_comes_back_as_it_was_costs_no_round_trip() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red"), ("e2", "blue")]);
    let profile = bench.lookup();
    bench.store.calls();
    let report = bench.save(&profile);
    assert_eq!(bench.store.calls(), (0, 0));
    assert!(report.iter().all(|(_, saved)| matches!(saved, Saved::Unchanged)));
}

#[test]
fn a_save_that_only_adds_does_not_read() {
    let bench = Bench::new();
    let profile = with(bench.lookup(), "e1", "red");
    bench.store.calls();
    bench.save(&profile);
    assert_eq!(bench.store.calls(), (0, 1));
}

#[test]
fn an_entry_that_is_missing_from_the_map_is_left_alone() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red"), ("e2", "blue")]);
    let receipt = bench.service.lookup_json("ann").unwrap().replace(r#""e2":{"variation_id":"blue"},"#, "");
    bench.service.save_json(&receipt).unwrap();
    assert_eq!(bench.stored(), pairs(&[("e1", "red"), ("e2", "blue")]));
}

#[test]
fn somebody_elses_change_stays_and_its_winner_is_named() {
    // The promise's own example: A reads red, B changes it to blue, A saves green: A had not read blue.
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    let (a, b) = (bench.lookup(), bench.lookup());
    bench.save(&with(b, "e1", "blue"));
    let report = bench.save(&with(a, "e1", "green"));
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"blue"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "blue")]));
}

#[test]
fn a_change_between_our_read_and_our_write_stays_too() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    let (first, second) = (bench.lookup(), bench.lookup());
    let service = bench.service.clone();
    bench.store.before_next_write(move || {
        service.save(&with(second, "e1", "blue")).unwrap();
    });
    let report = bench.save(&with(first, "e1", "green"));
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"blue"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "blue")]));
}

#[test]
fn what_was_read_and_expired_is_not_brought_back() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    let profile = with(bench.lookup(), "e1", "green");
    bench.clock.advance(HOUR);
    assert_eq!(kept(&bench.save(&profile), "e1"), (Why::Gone, None));
    assert_eq!(bench.stored(), []);
}

#[test]
fn one_that_only_came_back_is_not_brought_back_either() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    let profile = with(bench.lookup(), "e2", "new");
    bench.clock.advance(HOUR);
    bench.save(&profile);
    assert_eq!(bench.stored(), pairs(&[("e2", "new")]));
}

#[test]
fn the_same_variation_from_two_processes_is_unchanged() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "red")]);
    assert!(matches!(bench.save_bare(&[("e1", "red")]).get("e1"), Some(Saved::Unchanged)));
}

#[test]
fn t3_a_lookup_that_the_sdk_never_got_proves_nothing() {
    // We answered well, the SDK's wrapper had timed out and the SDK buckets anew: its save has no receipt.
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let _answered_but_not_received = bench.lookup();
    let report = bench.save_bare(&[("e1", "B")]);
    assert_eq!(kept(&report, "e1"), (Why::Unproven, Some(r#"{"variation_id":"A"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
}

#[test]
fn t7_two_datafiles_do_not_replace_each_other_for_ever() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let report = bench.save(&with(bench.lookup(), "e1", "C"));
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })));
    let report = bench.save(&with(bench.lookup(), "e1", "A"));
    assert_eq!(kept(&report, "e1"), (Why::War, Some(r#"{"variation_id":"C"}"#.into())));
    bench.clock.advance(Settings::REPLACE_BACK_AFTER);
    let report = bench.save(&with(bench.lookup(), "e1", "A"));
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })), "the rollout is over");
}

#[test]
fn t8_a_replace_that_lands_twice_undoes_nothing() {
    let bench = Bench::with(|settings| settings.with_replace_back_after(Duration::ZERO));
    bench.save_bare(&[("e1", "A")]);
    bench.store.calls();
    bench.save(&with(bench.lookup(), "e1", "C"));
    let first_attempt = bench.store.hooks.lock().unwrap().writes.clone();
    bench.save(&with(bench.lookup(), "e1", "A"));
    // The value is A again, as when the first attempt was made; its revision is not.
    let landed = bench.store.inner.write(bench.call(), &first_attempt);
    assert!(matches!(landed[0][0], Ok(Outcome::Kept(_))), "{landed:?}");
    assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
}

#[test]
fn t8_a_replace_does_not_hit_what_was_erased_and_inserted_anew() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let r1 = with(bench.lookup(), "e1", "B");
    bench.erase();
    bench.save(&with(bench.lookup(), "e1", "A"));
    let report = bench.save(&r1);
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"A"}"#.into())));
    assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
}

#[test]
fn t9_a_save_in_flight_does_not_bring_erased_data_back() {
    for looked_up in [true, false] {
        let bench = Bench::new();
        let profile = if looked_up { bench.lookup() } else { UserProfile::new("ann") };
        let (store, subject, clock) = (bench.store.inner.clone(), bench.subject(), bench.clock.clone());
        bench.store.before_next_write(move || {
            let call = Call::new(clock.now(), Instant::now() + Duration::from_secs(5));
            store.erase_one(call, Erase::new(subject, clock.now())).unwrap();
        });
        let report = bench.save(&with(profile, "e1", "A"));
        assert_eq!(kept(&report, "e1"), (Why::Erased, None), "looked up: {looked_up}");
        assert_eq!(bench.stored(), []);
        let report = bench.save(&with(bench.lookup(), "e1", "A"));
        assert!(
            matches!(report.get("e1"), Some(Saved::Inserted)),
            "a lookup after the erasure knows its epoch"
        );
    }
}

#[test]
fn a_replace_after_an_erasure_says_so() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let profile = with(bench.lookup(), "e1", "B");
    bench.erase();
    assert_eq!(kept(&bench.save(&profile), "e1"), (Why::Erased, None));
}

#[test]
fn a_receipt_of_another_user_or_namespace_proves_nothing() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let stolen = with(bench.lookup(), "e1", "B").to_json();
    for (from, to) in [(r#""user_id":"ann""#, r#""user_id":"bob""#), ("", "")] {
        let mut other = bench.service.clone();
        let mut json = stolen.clone();
        if from.is_empty() {
            let settings = Settings::new(Namespace::new("other").unwrap()).with_clock(bench.clock.clone());
            other = UserProfileService::new(bench.store.clone(), settings);
        } else {
            json = json.replace(from, to);
        }
        let user = UserProfile::parse(&json).unwrap().user_id().to_owned();
        let first =
            format!(r#"{{"user_id":"{user}","experiment_bucket_map":{{"e1":{{"variation_id":"A"}}}}}}"#);
        other.save_json(&first).unwrap();
        let report = other.save_json(&json).unwrap();
        assert_eq!(kept(&report, "e1").0, Why::Unproven);
    }
}

#[test]
fn a_receipt_is_never_stored_whatever_its_version_and_wherever_it_comes_from() {
    for receipts in [Receipts::On, Receipts::Off] {
        let bench = Bench::with(|settings| settings.with_receipts(receipts));
        for (key, text) in
            [("stickystore", "sr1.rubbish"), ("stickystore", "sr7.x.y"), ("stickystoremap", "sr1.x")]
        {
            let json = format!(
                r#"{{"user_id":"ann","experiment_bucket_map":{{"{key}":{{"variation_id":"{text}"}},"e1":{{"variation_id":"A"}}}}}}"#
            );
            let report = bench.service.save_json(&json).unwrap();
            assert!(report.get(key).is_none());
            assert_eq!(bench.stored(), pairs(&[("e1", "A")]));
        }
    }
}

#[test]
fn an_experiment_that_is_really_named_so_takes_the_receipts_place() {
    let bench = Bench::new();
    bench.save_bare(&[(RECEIPT_KEY, "red"), ("e1", "A")]);
    let json = bench.service.lookup_json("ann").unwrap();
    let map = r#"{"e1":{"variation_id":"A"},"stickystore":{"variation_id":"red"}}"#;
    assert_eq!(json, format!(r#"{{"user_id":"ann","experiment_bucket_map":{map}}}"#));
    assert_eq!(kept(&bench.save(&with(bench.lookup(), "e1", "B")), "e1").0, Why::Unproven);
    // A Rust value needs no receipt in the map.
    let read = with(bench.service.lookup("ann").unwrap(), "e1", "B");
    assert!(matches!(bench.service.save(&read).unwrap().get("e1"), Some(Saved::Replaced { .. })));
}

#[test]
fn a_rust_value_knows_what_it_was_read_with_also_without_receipts() {
    let bench = Bench::with(|settings| settings.with_receipts(Receipts::Off));
    bench.save_bare(&[("e1", "A")]);
    let read = with(bench.service.lookup("ann").unwrap(), "e1", "B");
    assert!(!read.to_json().contains("stickystore"));
    assert!(matches!(bench.service.save(&read).unwrap().get("e1"), Some(Saved::Replaced { .. })));
}

#[test]
fn an_entry_that_is_none_is_refused_by_name_and_the_others_are_saved() {
    let bench = Bench::new();
    for bad in ["null", "\"red\"", "[]", "{}", r#"{"variation_id":7}"#, r#"{"variation_id":null}"#] {
        let json = format!(
            r#"{{"user_id":"ann","experiment_bucket_map":{{"good":{{"variation_id":"A"}},"bad one":{bad},"":{{"variation_id":"A"}}}}}}"#
        );
        let report = bench.service.save_json(&json).unwrap();
        let error = report.error().unwrap();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        let Some(Saved::Failed { error }) = report.get("bad one") else {
            panic!("{bad}: {}", report.to_json())
        };
        assert!(error.to_string().contains("\"bad one\""), "{error}");
        assert!(matches!(report.get(""), Some(Saved::Failed { .. })), "an empty id is no key");
        assert_eq!(bench.stored(), pairs(&[("good", "A")]));
    }
}

#[test]
fn what_is_no_profile_is_refused_and_says_why() {
    let bench = Bench::new();
    for (json, why) in [
        ("", "a user profile is a JSON object"),
        ("null", "a user profile is a JSON object"),
        ("{}", "the user profile has no user_id"),
        (r#"{"user_id":7,"experiment_bucket_map":{}}"#, "the user_id of a user profile is a string"),
        (r#"{"user_id":"u"}"#, "the user profile has no experiment_bucket_map"),
        (
            r#"{"user_id":"u","experiment_bucket_map":[]}"#,
            "the experiment_bucket_map of a user profile is an object",
        ),
        (r#"{"user_id":"","experiment_bucket_map":{}}"#, "a user id must have at least 1 byte"),
    ] {
        let error = bench.service.save_json(json).unwrap_err();
        assert_eq!((error.kind(), error.context()), (ErrorKind::Invalid, why), "{json}");
    }
}

#[test]
fn entries_of_another_shape_are_counted_not_handed_out_and_not_overwritten() {
    let bench = Bench::new();
    let foreign = Entry::new(Value::new("7").unwrap(), Expiry::Never);
    let key = Key::new("e1").unwrap();
    bench.store.inner.insert(bench.call(), &bench.subject(), EpochCheck::Is(None), key, foreign).unwrap();
    bench.store.inner.plant(&bench.subject(), Key::new("e2").unwrap(), "rubbish");
    let profile = bench.service.lookup("ann").unwrap();
    assert_eq!((profile.foreign(), profile.damaged(), profile.is_empty()), (1, 1, true));
    let report = bench.save(&with(with(bench.lookup(), "e1", "A"), "e2", "A"));
    assert_eq!(kept(&report, "e1"), (Why::Unproven, Some("7".into())));
    let Some(Saved::Failed { error }) = report.get("e2") else { panic!("{}", report.to_json()) };
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_failed_read_fails_what_would_replace_and_adds_the_rest() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let profile = with(with(bench.lookup(), "e1", "B"), "e2", "new");
    bench.store.hooks.lock().unwrap().fail_reads = true;
    assert_eq!(bench.service.lookup("ann").unwrap_err().kind(), ErrorKind::Unavailable);
    let report = bench.save(&profile);
    bench.store.hooks.lock().unwrap().fail_reads = false;
    assert!(
        report.to_json().contains(r#""e1":{"outcome":"failed","effect":"not-applied""#),
        "{}",
        report.to_json()
    );
    assert_eq!(bench.stored(), pairs(&[("e1", "A"), ("e2", "new")]));
}

#[test]
fn an_entry_lives_its_ttl_from_its_own_last_write() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    bench.clock.advance(HOUR / 2);
    bench.save(&with(bench.lookup(), "e2", "B"));
    assert_eq!(bench.entry("e2").expiry, Expiry::At(bench.clock.now().saturating_add(HOUR)));
    bench.clock.advance(HOUR / 2);
    assert_eq!(bench.stored(), pairs(&[("e2", "B")]));
}

#[test]
fn a_map_larger_than_one_write_is_saved_whole() {
    let bench = Bench::new();
    let mut profile = bench.lookup();
    for experiment in 0..2_500 {
        profile.set_variation(experiment.to_string(), "A");
    }
    let report = bench.save(&profile);
    assert!(report.iter().len() == 2_500 && report.iter().all(|(_, saved)| matches!(saved, Saved::Inserted)));
    let mut profile = bench.lookup();
    for experiment in 0..2_500 {
        profile.set_variation(experiment.to_string(), "B");
    }
    let report = bench.save(&profile);
    assert!(report.iter().all(|(_, saved)| matches!(saved, Saved::Replaced { .. })));
}

#[test]
fn a_replacement_carries_on_what_a_newer_version_wrote() {
    let bench = Bench::new();
    let text = r#"{"v":1,"revision":"AAECAwQFBgc","value":{"variation_id":"A"},"newer":1.50}"#;
    bench.store.inner.plant(&bench.subject(), Key::new("e1").unwrap(), text);
    bench.save(&with(bench.lookup(), "e1", "B"));
    let entry = bench.entry("e1");
    let unknown: Vec<_> = entry.unknown.iter().map(|(name, value)| (name, value.as_str())).collect();
    assert_eq!(unknown, [("newer", "1.50")]);
}

#[test]
fn an_entry_that_sdks_could_not_read_is_refused() {
    let bench = Bench::new();
    let deep = format!(r#"{{"variation_id":"A","x":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    let json = format!(
        r#"{{"user_id":"ann","experiment_bucket_map":{{"deep":{deep},"good":{{"variation_id":"A"}}}}}}"#
    );
    let report = bench.service.save_json(&json).unwrap();
    assert!(matches!(report.get("deep"), Some(Saved::Failed { .. })), "{}", report.to_json());
    assert_eq!(bench.stored(), pairs(&[("good", "A")]));
}

#[test]
fn debug_shows_no_variation() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "SECRET")]);
    let profile = bench.service.lookup("ann").unwrap();
    assert!(!format!("{profile:?}").contains("SECRET"));
}

#[test]
fn a_second_save_after_one_lookup_is_safe() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let read = bench.lookup();
    bench.save(&with(read.clone(), "e1", "B"));
    let report = bench.save(&with(read.clone(), "e1", "B"));
    assert!(matches!(report.get("e1"), Some(Saved::Unchanged)), "it finds its own");
    let report = bench.save(&with(read, "e1", "C"));
    assert_eq!(kept(&report, "e1"), (Why::Raced, Some(r#"{"variation_id":"B"}"#.into())));
}

#[test]
fn what_was_read_and_removed_is_not_brought_back() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A")]);
    let read = bench.lookup();
    bench.store.inner.remove(bench.call(), &bench.subject(), Key::new("e1").unwrap()).unwrap();
    assert_eq!(kept(&bench.save(&with(read, "e1", "B")), "e1"), (Why::Gone, None));
    assert_eq!(bench.stored(), []);
}

#[test]
fn t10_an_insert_that_lands_again_after_its_end_has_no_second_life() {
    let bench = Bench::new();
    bench.store.calls();
    bench.save_bare(&[("e1", "A")]);
    let first_attempt = bench.store.hooks.lock().unwrap().writes.clone();
    bench.clock.advance(HOUR);
    let landed = bench.store.inner.write(bench.call(), &first_attempt);
    assert_eq!(landed[0][0].as_ref().unwrap(), &Outcome::Expired);
    assert_eq!(bench.stored(), []);
}

#[tokio::test]
async fn the_async_face_says_the_same() {
    let settings = || Settings::new(Namespace::new("shop").unwrap()).with_receipts(Receipts::On);
    let service = AsyncUserProfileService::new(Immediate::new(MemoryStore::new()), settings());
    let saved = service.save_json(r#"{"user_id":"ann","experiment_bucket_map":{"e1":{"variation_id":"A"}}}"#);
    assert_eq!(saved.await.unwrap().to_json(), r#"{"entries":{"e1":{"outcome":"inserted"}}}"#);
    let read = UserProfile::parse(&service.lookup_json("ann").await.unwrap()).unwrap();
    let report = service.save(&with(read, "e1", "B")).await.unwrap();
    assert!(matches!(report.get("e1"), Some(Saved::Replaced { .. })));
    assert_eq!(service.lookup("ann").await.unwrap().variation("e1"), Some("B"));
}

#[test]
fn services_work_over_any_store_behind_a_pointer() {
    let blocking: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let asynchronous: Arc<dyn AsyncStore> = Arc::new(Immediate::new(MemoryStore::new()));
    let settings = Settings::new(Namespace::new("shop").unwrap());
    assert!(UserProfileService::new(blocking, settings.clone()).lookup("ann").unwrap().is_empty());
    let _ = AsyncUserProfileService::new(asynchronous, settings);
}

#[test]
fn a_blind_write_is_an_insert_and_nothing_else() {
    let bench = Bench::new();
    bench.save_bare(&[("e1", "A"), ("e2", "B")]);
    let writes = bench.store.hooks.lock().unwrap().writes.clone();
    assert!(writes.iter().all(|write| write.epoch() == EpochCheck::Is(None)));
    assert!(writes.iter().flat_map(Write::changes).all(|change| matches!(change, Change::Insert(..))));
}
