//! The layout against its golden file, and its properties.

use proptest::prelude::*;
use stickystore_core::{ValueHash, Was};

use super::*;

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

/// The columns of an entry as they are written.
struct Written {
    value: String,
    revision: String,
    expiry: i64,
    extra: String,
}

fn write(entry: &Entry) -> Written {
    Written {
        value: entry.value.as_str().to_owned(),
        revision: entry.revision.to_string(),
        expiry: expiry(entry.expiry),
        extra: extra(entry),
    }
}

impl Written {
    fn row(&self) -> Row<'_> {
        Row {
            value: Some(&self.value),
            revision: Some(&self.revision),
            expiry: Some(self.expiry),
            extra: Some(&self.extra),
            ..Row::default()
        }
    }
}

fn entry() -> Entry {
    Entry::new(Value::new("{\"a\":1}").unwrap(), Expiry::At(ms(1_700_000_000_000)))
        .with_revision(Revision::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]))
}

#[test]
fn the_layout_is_frozen() {
    let more = entry()
        .with_was(Was::new(vec![(ValueHash::of("old"), ms(5))]))
        .with_unknown(Unknown::new(vec![("x".into(), Value::new("1.50").unwrap())]).unwrap());
    let mut never = entry();
    never.expiry = Expiry::Never;
    let lines = [&entry(), &never, &more].map(|entry| {
        let Written { value, revision, expiry, extra } = write(entry);
        format!("value {value} revision {revision} expiry {expiry} extra '{extra}'")
    });
    assert_eq!(lines.join("\n"), include_str!("../../golden/rows-v1.txt").trim_end());
    for entry in [entry(), never, more] {
        assert_eq!(decode(&write(&entry).row(), ms(1)), Slot::Live(entry));
    }
}

#[test]
fn every_column_that_is_off_is_damage() {
    let whole = write(&entry());
    let off: [fn(&mut Row<'static>); 12] = [
        |row| row.value = None,
        |row| row.revision = None,
        |row| row.expiry = None,
        |row| row.value = Some("nul"),
        |row| row.value = Some(""),
        |row| row.revision = Some("AAECAwQFBg"),
        |row| row.revision = Some(""),
        |row| row.expiry = Some(0),
        |row| row.expiry = Some(-1),
        |row| row.expiry = Some(9_007_199_254_740_992),
        |row| row.extra = Some("[]"),
        |row| row.extra = Some("{\"was\":[1]}"),
    ];
    let whole: &'static Written = Box::leak(Box::new(whole));
    for (i, off) in off.into_iter().enumerate() {
        let mut row = whole.row();
        off(&mut row);
        assert!(matches!(decode(&row, ms(1)), Slot::Damaged(_)), "{i}");
    }
}

#[test]
fn a_row_without_an_entrys_columns_is_absent_and_one_without_extra_is_whole() {
    assert_eq!(decode(&Row { extra: Some("x"), key: Some("k"), ..Row::default() }, ms(1)), Slot::Absent);
    let written = write(&entry());
    assert_eq!(decode(&Row { extra: None, ..written.row() }, ms(1)), Slot::Live(entry()));
}

#[test]
fn what_has_ended_is_not_looked_into() {
    let mut written = write(&entry());
    written.value = "rubbish".to_owned();
    assert_eq!(decode(&written.row(), ms(1_700_000_000_000)), Slot::Ended);
    assert!(matches!(decode(&written.row(), ms(1_699_999_999_999)), Slot::Damaged(_)));
}

#[test]
fn a_mark_that_is_none_is_foreign_and_no_epoch_is_no_mark() {
    let epoch = Epoch::from_bytes([0; 8]);
    let text = epoch.to_string();
    assert_eq!(Stance::of(Some(&text), Some(7)), Stance::Marked(Mark::new(epoch, ms(7))));
    assert_eq!(Stance::of(None, Some(7)), Stance::Free);
    for (text, until) in
        [("x", Some(7)), (text.as_str(), None), (&text, Some(0)), (&text, Some(i64::MAX)), ("", None)]
    {
        assert_eq!(Stance::of(Some(text), until), Stance::Foreign(text.to_owned()));
    }
}

#[test]
fn a_server_sweeps_after_the_end_and_the_grace_and_never_what_ends_past_its_last_second() {
    const NOW: u64 = 1_700_000_000_000;
    let ttl = |end: u64, grace| ttl(Expiry::At(ms(end)), ms(NOW), Duration::from_millis(grace));
    assert_eq!(super::ttl(Expiry::Never, ms(NOW), GRACE), 0);
    // A cell with a time to live of n seconds lives n - 1 at least.
    assert_eq!(
        [ttl(NOW + 1, 0), ttl(NOW + 1_000, 0), ttl(NOW + 1_001, 0), ttl(NOW + 500, 60_000)],
        [2, 2, 3, 62]
    );
    let last = (LAST_SECOND - LAST_SECOND_MARGIN) * 1_000;
    assert!(ttl(last - 2_000, 0) > 0);
    assert_eq!([ttl(last, 0), ttl(UnixMillis::MAX.get(), 0)], [0, 0], "its own expiry ends it");
    let past = super::ttl(Expiry::At(ms(last)), ms(1), Duration::ZERO);
    assert_eq!(past, 0, "a clock that was never set sends no time that servers refuse");
}

const GRACE: Duration = Duration::from_secs(60);

proptest! {
    #[test]
    fn any_entry_comes_back(
        value in any::<String>(), revision in any::<[u8; 8]>(), expiry in proptest::option::of(2..=UnixMillis::MAX.get()),
        was in proptest::collection::vec((any::<String>(), 0..=UnixMillis::MAX.get()), 0..=Was::MAX),
        unknown in proptest::collection::btree_map("x[a-z]{3,8}", any::<String>(), 0..3),
    ) {
        let unknown = unknown.iter().map(|(name, text)| (name.as_str().into(), Value::string(text))).collect();
        let expiry = expiry.map_or(Expiry::Never, |at| Expiry::At(ms(at)));
        let was = was.iter().map(|(text, at)| (ValueHash::of(text), ms(*at))).collect();
        let entry = Entry::new(Value::string(&value), expiry).with_revision(Revision::from_bytes(revision))
            .with_was(Was::new(was)).with_unknown(Unknown::new(unknown).unwrap());
        prop_assert_eq!(decode(&write(&entry).row(), ms(1)), Slot::Live(entry));
    }

    #[test]
    fn a_time_to_live_never_ends_before_the_entry(now in 1_600_000_000_000..4_000_000_000_000u64, lives in 1..10_000_000_000_000u64, grace in 0..100_000u64) {
        let seconds = ttl(Expiry::At(ms(now + lives)), ms(now), Duration::from_millis(grace));
        let sweeps_at = now + u64::try_from(seconds).unwrap().saturating_sub(1) * 1_000;
        prop_assert!(seconds == 0 || sweeps_at >= now + lives + grace);
        prop_assert!(u64::try_from(seconds).unwrap() + now / 1_000 <= LAST_SECOND || seconds == 0);
    }
}
