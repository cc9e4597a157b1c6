//! Changes of items, and how long they last.

use stickystore_core::{Entry, Epoch, Mark, Namespace, Revision, Subject, UserId, Value};

use super::*;

const NOW: u64 = 1_700_000_000_000;
const DAY: u64 = 86_400_000;
const ROOM: Room = Room { entry_bytes: 100, item_bytes: 300 };

fn ms(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn times(server: Option<u64>) -> Times {
    Times { now: ms(NOW), server: server.map(ms), grace: Duration::from_secs(60) }
}

fn key(key: &str) -> Key {
    Key::new(key).unwrap()
}

fn subject() -> Subject {
    Subject::new(Namespace::new("n").unwrap(), UserId::new("u").unwrap())
}

fn entry(bytes: usize, ends: u64) -> Entry {
    let expiry = if ends == 0 { Expiry::Never } else { Expiry::At(ms(ends)) };
    Entry::new(Value::string(&"x".repeat(bytes - 2)), expiry)
}

fn put(name: &str, entry: &Entry) -> Change {
    Change::Put(key(name), entry.clone())
}

fn changes(changes: Vec<Change>) -> Write {
    Write::new(subject(), EpochCheck::Ignore, changes).unwrap()
}

fn apply<'a>(item: Item<'a>, writes: &[Write], times: Times) -> Edit<'a, Outcome> {
    write(Found::Item(item), &writes.iter().collect::<Vec<_>>(), times, ROOM)
}

/// An item with these entries, each of 10 bytes and with this end.
fn item(entries: &[(&str, u64)]) -> Item<'static> {
    let changes = changes(entries.iter().map(|(name, ends)| put(name, &entry(10, *ends))).collect());
    let times = Times { now: ms(1), server: None, grace: Duration::ZERO };
    let room = Room { entry_bytes: 100, item_bytes: usize::MAX };
    write(Found::Item(Item::default()), &[&changes], times, room).item.unwrap()
}

fn kinds<T: std::fmt::Debug>(edit: &Edit<'_, T>) -> Vec<Result<(), ErrorKind>> {
    edit.answers.iter().map(|answer| answer.result.as_ref().map(|_| ()).map_err(Error::kind)).collect()
}

#[test]
fn what_does_not_fit_is_too_large_and_the_rest_is_written() {
    let first = ["a", "c", "d"].map(|name| put(name, &entry(100, 0)));
    let second = vec![put("b", &entry(101, 0)), Change::Remove(key("a")), put("e", &entry(90, 0))];
    let edit = apply(Item::default(), &[changes(first.to_vec()), changes(second)], times(None));
    let (good, large) = (Ok(()), Err(ErrorKind::TooLarge));
    assert_eq!(kinds(&edit), [good, good, large, large, good, good]);
    let item = edit.item.unwrap();
    assert_eq!(item.slots.keys().collect::<Vec<_>>(), [key("c"), key("e")]);
    assert!(layout::encode(&item, &subject()).len() <= ROOM.item_bytes);
}

#[test]
fn an_item_that_is_too_large_as_it_stands_is_not_sent_again() {
    let large =
        item(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"].map(|name| (name, 0)));
    assert!(layout::encode(&large, &subject()).len() > ROOM.item_bytes);
    let edit = apply(
        large.clone(),
        &[changes(vec![Change::Remove(key("a")), Change::Remove(key("z"))])],
        times(None),
    );
    assert_eq!(kinds(&edit), [Err(ErrorKind::TooLarge), Ok(())]);
    assert!(edit.item.is_none());
    let most = changes(["a", "b", "c", "d", "e", "f"].map(|name| Change::Remove(key(name))).to_vec());
    assert!(apply(large, &[most], times(None)).item.is_some());
}

#[test]
fn what_ended_makes_room_but_only_by_both_clocks() {
    let ended = NOW - DAY;
    let full = || item(&["a", "b", "c", "d", "e", "f"].map(|name| (name, ended)));
    let write = [changes(vec![put("g", &entry(60, 0))])];
    assert_eq!(kinds(&apply(full(), &write, times(Some(NOW)))), [Ok(())]);
    for server in [None, Some(ended + 60_000)] {
        assert_eq!(kinds(&apply(full(), &write, times(server))), [Err(ErrorKind::TooLarge)]);
    }
}

#[test]
fn an_answer_that_changes_nothing_needs_no_write_unless_it_follows_one() {
    let insert = |name: &str| Change::Insert(key(name), entry(10, 0));
    let edit =
        apply(item(&[("a", 0)]), &[changes(vec![insert("a")]), changes(vec![insert("a")])], times(None));
    assert!(edit.item.is_none() && edit.answers.iter().all(|answer| !answer.needs_write));
    let writes = [changes(vec![insert("b"), insert("a")]), changes(vec![insert("b"), insert("a")])];
    let edit = apply(item(&[("a", 0)]), &writes, times(None));
    let needs: Vec<_> = edit.answers.iter().map(|answer| answer.needs_write).collect();
    assert_eq!(needs, [true, false, true, false]);
}

#[test]
fn erases_take_everything_and_leave_the_last_mark() {
    let mark = |byte, until| Mark::new(Epoch::from_bytes([byte; 8]), ms(until));
    let erase_of =
        |mark: Mark| Erase::new(subject(), ms(NOW)).with_epoch(mark.epoch).with_mark_until(mark.until);
    let (first, second) = (mark(1, NOW + 9), mark(2, NOW + 5));
    let found = Found::Item(item(&[("a", 0)]));
    let erases = [erase_of(first), erase_of(second), erase_of(mark(3, NOW))];
    let edit = erase(&found, &erases.iter().collect::<Vec<_>>(), ms(NOW));
    let answers: Vec<_> = edit.answers.iter().map(|answer| answer.result.clone().ok()).collect();
    assert_eq!(answers, [Some(true), Some(false), None]);
    assert_eq!(edit.item.unwrap(), Item { mark: Some(mark(2, NOW + 9)), ..Item::default() });
    let again = Found::Item(Item { mark: Some(first), ..item(&[("a", 0)]) });
    let edit = erase(&again, &[&erase_of(first)], ms(NOW));
    assert!(edit.item.is_none() && edit.answers[0].result.clone().unwrap(), "a retry removes nothing newer");
}

#[test]
fn erasing_another_users_item_leaves_it() {
    let erase_one = Erase::new(subject(), ms(NOW));
    let edit = erase(&Found::Others, &[&erase_one], ms(NOW));
    assert_eq!(edit.answers[0].result.clone().unwrap_err().kind(), ErrorKind::Corrupt);
    assert!(edit.item.is_none());
    assert!(erase(&Found::Foreign, &[&erase_one], ms(NOW)).item.is_some());
}

#[test]
fn an_item_lasts_as_long_as_the_latest_of_what_it_holds_and_the_grace() {
    let lasts = |item: &Item<'_>| lasts(item, times(None));
    assert_eq!(lasts(&item(&[("a", NOW + 1)])), 62, "a millisecond is a second");
    assert_eq!(lasts(&item(&[("a", NOW + 1_500), ("b", NOW + 500)])), 63);
    assert_eq!(lasts(&item(&[("a", NOW + 500), ("b", 0)])), FOR_EVER);
    assert_eq!(lasts(&item(&[("a", NOW - DAY)])), 61, "also what has ended keeps its grace");
    assert_eq!(lasts(&Item::default()), 61);
    let mark = Some(Mark::new(Epoch::from_bytes([0; 8]), ms(NOW + 900_000)));
    assert_eq!(lasts(&Item { mark, ..item(&[("a", NOW + 1)]) }), 961);
    let strays = [(key("?"), vec![&b"x"[..]])].into();
    assert_eq!(lasts(&Item { strays, ..item(&[("a", NOW + 1)]) }), FOR_EVER);
}

#[test]
fn the_clock_that_is_behind_counts() {
    let lasts = |server| lasts(&item(&[("a", NOW + 1_000)]), times(Some(server)));
    assert_eq!(lasts(NOW), 62);
    assert_eq!(lasts(NOW + DAY), 62, "a server ahead does not shorten");
    assert_eq!(lasts(NOW - 10_000), 72, "nor does a caller ahead");
}

#[test]
fn over_thirty_days_it_is_a_date_by_the_servers_clock() {
    let in_days = |days: u64, server| lasts(&item(&[("a", NOW + days * DAY)]), times(server));
    let (date, day) = (u32::try_from(NOW / 1_000).unwrap(), 86_400);
    assert_eq!(in_days(29, Some(NOW)), 29 * day + 61);
    assert_eq!(in_days(30, Some(NOW)), date + 30 * day + 62);
    assert_eq!(in_days(400, Some(NOW + 5_000)), date + 5 + 400 * day + 62);
    assert_eq!(in_days(400, None), FOR_EVER, "whose clock it would be is not known");
    assert_eq!(in_days(36_500, Some(NOW)), FOR_EVER, "past the server's last date");
    let last = item(&[("a", UnixMillis::MAX.get())]);
    assert_eq!(lasts(&last, times(Some(1))), FOR_EVER);
}

#[test]
fn a_damaged_entry_is_reported_and_goes_when_it_is_named() {
    let text = b"stickystore 1 n u\na rubbish\nb 1 AAECAwQFBgc 0 nul\n%41 x\n";
    let Found::Item(item) = layout::decode(text, &subject()) else { panic!() };
    let profile = profile(&Found::Item(item.clone()), &Keys::All, ms(NOW)).unwrap();
    let damaged: Vec<_> = profile.damaged().iter().map(|damaged| damaged.key.as_str()).collect();
    assert_eq!(damaged, ["a", "b", "%41"]);
    let insert = changes(["a", "b", "%41"].map(|name| Change::Insert(key(name), entry(9, 0))).to_vec());
    let edit = apply(item.clone(), &[insert], times(None));
    assert_eq!(kinds(&edit), [Err(ErrorKind::Corrupt); 3]);
    assert!(edit.item.is_none());
    let mend = changes(vec![put("a", &entry(9, 0)), Change::Remove(key("b")), put("%41", &entry(9, 0))]);
    let edit = apply(item, &[mend], times(None));
    let mended = edit.item.unwrap();
    assert!(mended.strays.is_empty() && mended.slots.iter().count() == 2);
}

#[test]
fn a_revision_stays_the_writers_own() {
    let own = entry(10, 0).with_revision(Revision::from_bytes([7; 8]));
    let edit = apply(Item::default(), &[changes(vec![put("a", &own)])], times(None));
    let item = Found::Item(edit.item.unwrap());
    assert_eq!(profile(&item, &Keys::All, ms(NOW)).unwrap().get("a"), Some(&own));
}
