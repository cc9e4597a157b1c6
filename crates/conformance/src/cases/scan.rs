//! Going through all users of a namespace: each of them, whole, under its own id, and nobody else.

use std::collections::{BTreeMap, BTreeSet};

use stickystore_core::{
    AsyncStore as _, AsyncStoreExt as _, Change, Cursor, Effect, Entry, EpochCheck, ErrorKind, MAX_ID_BYTES,
    Namespace, Page, Profile, Subject, UserId, Write,
};

use crate::act;
use crate::context::{CaseResult, Context, Skip, entry, key};
use crate::probe::Probe;
use crate::scene::LONG;
use crate::seen::assert_entries;

/// How long marks last here, in milliseconds.
const MARK: u64 = 600_000;

/// More pages than a scan of these cases can need, also on a server that others use.
const MAX_PAGES: usize = 100_000;

fn skip_without_scan(cx: &Context) -> Result<(), Skip> {
    match cx.store().scan() {
        Some(_) => Ok(()),
        None => Err(Skip::because("the store cannot scan")),
    }
}

/// What a whole scan found, in the order in which it came.
#[derive(Default)]
struct Found {
    users: Vec<(UserId, Profile)>,
    foreign: usize,
}

impl Found {
    fn take(&mut self, page: Page) {
        self.users.extend(page.users);
        self.foreign += page.foreign;
    }

    /// The ids, sorted; panics if one came twice.
    fn ids_once(&self) -> BTreeSet<&str> {
        let ids: BTreeSet<&str> = self.users.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids.len(), self.users.len(), "a user came twice though nobody writes");
        ids
    }
}

async fn page(cx: &Context, store: &Probe, cursor: Option<&Cursor>, limit: usize, millis: u64) -> Page {
    page_of(cx.namespace(), cx, store, cursor, limit, millis).await
}

async fn page_of(
    namespace: &Namespace,
    cx: &Context,
    store: &Probe,
    cursor: Option<&Cursor>,
    limit: usize,
    millis: u64,
) -> Page {
    let page = store.scan_users(cx.at(millis), namespace, cursor, limit).await.expect("scan answers");
    assert!(page.next.is_none() || page.next.as_ref() != cursor, "a cursor that stands still never ends");
    page
}

/// Scans the case's namespace from the start to the end, so many milliseconds after the case began.
async fn scan_at(cx: &Context, limit: usize, millis: u64) -> Found {
    scan_of(cx.namespace(), cx, limit, millis).await
}

/// Scans a namespace from the start to the end.
async fn scan_of(namespace: &Namespace, cx: &Context, limit: usize, millis: u64) -> Found {
    let (mut found, mut cursor) = (Found::default(), None);
    for _ in 0..MAX_PAGES {
        let mut page = page_of(namespace, cx, cx.store(), cursor.as_ref(), limit, millis).await;
        cursor = page.next.take();
        found.take(page);
        if cursor.is_none() {
            return found;
        }
    }
    panic!("the scan does not end");
}

/// Puts this entry for so many users in one call, and gives their ids.
async fn fill(cx: &Context, prefix: &str, count: usize, entry: &Entry) -> Vec<Subject> {
    let users: Vec<Subject> = (0..count).map(|at| cx.user(&format!("{prefix}{at}"))).collect();
    let put = |user: &Subject| {
        let change = Change::Put(key("k"), entry.clone());
        Write::new(user.clone(), EpochCheck::Ignore, vec![change]).expect("one change")
    };
    let writes: Vec<Write> = users.iter().map(put).collect();
    for answers in cx.store().write(cx.call(), &writes).await {
        assert!(answers.into_iter().all(|answer| answer.is_ok()));
    }
    users
}

pub(crate) async fn without_the_ability_is_unsupported(cx: Context) -> CaseResult {
    if cx.store().scan().is_some() {
        return Err(Skip::because("the store can scan"));
    }
    let error = cx.store().scan_users(cx.call(), cx.namespace(), None, 10).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unsupported, Effect::NotApplied));
    assert!(cx.clone_of_store().scan().is_none(), "a clone has the same abilities");
    Ok(())
}

pub(crate) async fn empty_namespace_has_no_users(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    for limit in [1, 100] {
        let found = scan_at(&cx, limit, 0).await;
        assert_eq!((found.users.len(), found.foreign), (0, 0));
    }
    Ok(())
}

/// Every user comes with all that a read of it gives.
pub(crate) async fn users_come_whole(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    let users = ["ann", "bob", "cat"].map(|id| cx.user(id));
    // What ends, ends late: a server may sweep what is short between the scan and the read.
    let (endless, long, stamped) = (entry("1"), cx.until("2", LONG), crate::stamp::stamped(cx.start(), 3));
    act::put(&cx, &users[0], "a", &endless).await;
    act::put(&cx, &users[0], "b", &long).await;
    act::put(&cx, &users[1], "a", &stamped).await;
    let erasure = cx.erase(&users[2], MARK);
    cx.store().erase_one(cx.call(), erasure).await.unwrap();
    let empty = entry("");
    act::put(&cx, &users[2], "c", &empty).await;
    let held = [
        ("ann", vec![("a", &endless), ("b", &long)]),
        ("bob", vec![("a", &stamped)]),
        ("cat", vec![("c", &empty)]),
    ];
    let found = scan_at(&cx, 100, 0).await;
    assert_eq!(found.ids_once().into_iter().collect::<Vec<_>>(), ["ann", "bob", "cat"]);
    for (id, profile) in &found.users {
        let read = act::load(&cx, &cx.user(id.as_str())).await;
        assert_eq!(*profile, read, "the scan gives of {id} what a read gives, its epoch too");
        let held = held.iter().find(|(user, _)| *user == id.as_str()).map(|(_, entries)| entries.as_slice());
        assert_entries(profile, held.expect("it is one of them"), "the user has these");
    }
    Ok(())
}

pub(crate) async fn pages_give_each_user_once(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    const USERS: usize = 1_025;
    let value = entry("v");
    let users = fill(&cx, "user ", USERS, &value).await;
    let expected: BTreeSet<&str> = users.iter().map(|user| user.user.as_str()).collect();
    // Below, at and over what divides the count; and more than anything holds.
    for limit in [100, 205, 1_024, 1_025, 1_026, usize::MAX] {
        let found = scan_at(&cx, limit, 0).await;
        assert_eq!(found.ids_once(), expected, "pages of {limit}");
        for (_, profile) in &found.users {
            assert_entries(profile, &[("k", &value)], "the user has these");
        }
    }
    Ok(())
}

pub(crate) async fn smallest_pages_give_each_user_once(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    let users = fill(&cx, "user ", 7, &entry("v")).await;
    let expected: BTreeSet<&str> = users.iter().map(|user| user.user.as_str()).collect();
    for limit in [1, 2, 3, 6, 7, 8] {
        assert_eq!(scan_at(&cx, limit, 0).await.ids_once(), expected, "pages of {limit}");
    }
    Ok(())
}

/// Others come, go and change on both sides of the cursor; who stood all the while is met.
pub(crate) async fn untouched_users_are_met_while_others_write(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    const LIMIT: usize = 20;
    const LATECOMERS: usize = 60;
    let value = entry("stays");
    let staying = fill(&cx, "m stays ", 200, &value).await;
    let leaving = fill(&cx, "m leaves ", 200, &entry("leaves")).await;
    let mut leaving = leaving.into_iter();
    let (mut found, mut cursor, mut turn) = (Found::default(), None, 0);
    loop {
        // While the page is read, and so between any two pages too.
        let writes = async {
            for user in leaving.by_ref().take(LIMIT) {
                cx.clone_of_store().remove(cx.call(), &user, key("k")).await.unwrap();
            }
            if turn < LATECOMERS {
                for id in [format!("a {turn}"), format!("m {turn}"), format!("z {turn}")] {
                    act::put(&cx, &cx.user(&id), "k", &entry("new")).await;
                }
                let erased = cx.user(&format!("a {}", turn / 2));
                cx.store().erase_one(cx.call(), cx.erase(&erased, MARK)).await.unwrap();
            }
        };
        let ((), mut page) = futures::join!(writes, page(&cx, cx.store(), cursor.as_ref(), LIMIT, 0));
        cursor = page.next.take();
        found.take(page);
        turn += 1;
        assert!(turn < MAX_PAGES, "the scan does not end");
        if cursor.is_none() {
            break;
        }
    }
    let met: BTreeMap<&str, &Profile> =
        found.users.iter().map(|(id, profile)| (id.as_str(), profile)).collect();
    for user in &staying {
        let profile = met.get(user.user.as_str());
        assert_entries(
            profile.unwrap_or_else(|| panic!("{} was not met", user.user)),
            &[("k", &value)],
            "the user has these",
        );
    }
    Ok(())
}

pub(crate) async fn ids_come_back_verbatim(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    let long = "é".repeat(MAX_ID_BYTES / 2);
    let nearly = "x".repeat(MAX_ID_BYTES - 1);
    let ids = [
        "a",
        "A",
        "a:b",
        "a:",
        ":a",
        "a|b",
        "a/b",
        "a\\b",
        "a\r\nb",
        "\r\ndelete a\r\n",
        "a\0b",
        "\0",
        " ",
        " a ",
        "\t",
        "\u{7f}",
        "*",
        "a*",
        "?",
        "[a-z]",
        "[^a]",
        "{a}",
        "{}",
        "$set",
        "__proto__",
        "_id",
        ".",
        "..",
        "a.b",
        "%3A",
        "%",
        "'; DROP",
        "\"q\"",
        "{\"a\":1}",
        "0",
        "-1",
        "1e3",
        "true",
        "null",
        "ключ",
        "e\u{301}",
        "\u{e9}",
        "😀",
        "\u{200b}",
        "\u{feff}a",
        "\u{10ffff}",
        &long,
        &nearly,
    ];
    for id in ids {
        act::put(&cx, &cx.user(id), "k", &entry(id)).await;
    }
    for limit in [5, 100] {
        let found = scan_at(&cx, limit, 0).await;
        assert_eq!(found.ids_once(), ids.into_iter().collect::<BTreeSet<_>>());
        for (id, profile) in &found.users {
            let value = profile.get("k").map(|entry| entry.value.as_str());
            assert_eq!(value, Some(entry(id.as_str()).value.as_str()), "the profile is that of {id:?}");
        }
    }
    Ok(())
}

pub(crate) async fn other_namespaces_never_appear(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    let ours = cx.namespace().as_str();
    let (shorter, _) = ours.split_at(ours.len() - 1);
    let mut others: Vec<String> =
        ["0", ":", "/", "/other", "*", " ", "\0", ":ann", "\u{10ffff}", "}", "|", ".", "%"]
            .iter()
            .map(|suffix| format!("{ours}{suffix}"))
            .collect();
    others.extend([shorter.to_owned(), format!("{shorter}*"), format!("{shorter}?"), ours.to_uppercase()]);
    for (turn, other) in others.into_iter().enumerate() {
        let other = Namespace::new(other).expect("it is short");
        for id in ["ann".to_owned(), format!("stranger {turn}"), ":ann".to_owned()] {
            let stranger = Subject::new(other.clone(), UserId::new(id).expect("it is short"));
            act::put(&cx, &stranger, "k", &entry("theirs")).await;
        }
    }
    let mine = entry("mine");
    act::put(&cx, &cx.user("ann"), "k", &mine).await;
    for limit in [1, 1_000] {
        let found = scan_at(&cx, limit, 0).await;
        assert_eq!(found.ids_once().into_iter().collect::<Vec<_>>(), ["ann"], "pages of {limit}");
        assert_entries(&found.users[0].1, &[("k", &mine)], "the user has these");
    }
    Ok(())
}

/// The namespace itself is what a server could take for a pattern.
pub(crate) async fn namespace_that_looks_like_a_pattern_is_literal(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    let ours = cx.namespace();
    let mine = entry("mine");
    let patterns = ["*", "?", "[a-z]", "[^-]", "\\*", "%", "_", ".*", "{a,z}", "$"];
    let inside = |namespace: &str, id: &str| {
        let namespace = Namespace::new(namespace).expect("it is short");
        Subject::new(namespace, UserId::new(id).expect("it is short"))
    };
    for other in ["a", "z", "*a", "axa", "\\a", "", ".a"] {
        act::put(&cx, &inside(&format!("{ours}{other}"), "stranger"), "k", &entry("theirs")).await;
    }
    for pattern in patterns {
        let user = inside(&format!("{ours}{pattern}"), "ann");
        act::put(&cx, &user, "k", &mine).await;
        let found = scan_of(&user.namespace, &cx, 100, 0).await;
        let ids: Vec<&str> = found.users.iter().map(|(id, _)| id.as_str()).collect();
        assert_eq!(ids, ["ann"], "a scan of the namespace that ends with {pattern:?}");
        assert_entries(&found.users[0].1, &[("k", &mine)], "the user has these");
    }
    Ok(())
}

pub(crate) async fn users_without_live_entries_never_appear(cx: Context) -> CaseResult {
    /// Far enough that no server sweeps it, by its own clock, while the case runs.
    const ENDS: u64 = 600_000;
    skip_without_scan(&cx)?;
    let users = ["ends", "half", "marked", "removed", "stays"].map(|id| cx.user(id));
    let [ends, half, marked, removed, stays] = &users;
    let (short, v) = (cx.until("short", ENDS), entry("v"));
    act::put(&cx, ends, "k", &short).await;
    act::put(&cx, half, "k", &short).await;
    act::put(&cx, half, "l", &v).await;
    act::put(&cx, marked, "k", &v).await;
    cx.store().erase_one(cx.call(), cx.erase(marked, MARK)).await.unwrap();
    act::put(&cx, removed, "k", &v).await;
    cx.store().remove(cx.call(), removed, key("k")).await.unwrap();
    act::put(&cx, stays, "k", &v).await;
    for limit in [1, 2, 100] {
        let ids = |found: &Found| found.ids_once().into_iter().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(ids(&scan_at(&cx, limit, ENDS - 1).await), ["ends", "half", "stays"], "pages of {limit}");
        let found = scan_at(&cx, limit, ENDS).await;
        assert_eq!(ids(&found), ["half", "stays"], "pages of {limit}");
        for (_, profile) in &found.users {
            assert_eq!(profile.len(), 1, "what expired is hidden from scans too");
        }
        assert_eq!(found.foreign, 0, "a mark is not foreign");
    }
    Ok(())
}

pub(crate) async fn damaged_users_appear(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    let plant = cx.plant()?;
    let (mixed, only, foreign) = (cx.user("mixed"), cx.user("only"), cx.user("foreign"));
    act::put(&cx, &mixed, "a", &entry("v")).await;
    plant.damaged_entry(&mixed, &key("k")).await;
    plant.damaged_entry(&only, &key("k")).await;
    plant.foreign_user(&foreign).await;
    for limit in [1, 100] {
        let found = scan_at(&cx, limit, 0).await;
        assert_eq!(found.ids_once().into_iter().collect::<Vec<_>>(), ["mixed", "only"]);
        for (id, profile) in &found.users {
            assert_eq!(profile.damaged().len(), 1, "of {id}");
            assert_eq!(profile.damaged()[0].key, key("k"), "of {id}");
            assert_eq!(profile.len(), usize::from(id.as_str() == "mixed"), "of {id}");
        }
        assert_eq!(found.foreign, 1, "what is not ours is counted, pages of {limit}");
    }
    Ok(())
}

/// A scan that was left in the middle goes on later from its cursor's text, on any handle.
pub(crate) async fn cursor_kept_as_text_goes_on(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    let users = fill(&cx, "user\n: ", 40, &entry("v")).await;
    let expected: BTreeSet<&str> = users.iter().map(|user| user.user.as_str()).collect();
    let (mut found, mut kept, mut turn) = (Found::default(), None::<String>, 0);
    loop {
        let cursor = kept.take().map(Cursor::new);
        // Read twice: a cursor is not used up, and holds nothing that the first reading took away.
        let first = page(&cx, cx.handle(turn), cursor.as_ref(), 3, 0).await;
        let again = page(&cx, cx.handle(turn + 1), cursor.as_ref(), 3, 0).await;
        let ids = |page: &Page| page.users.iter().map(|(id, _)| id.clone()).collect::<BTreeSet<_>>();
        assert_eq!(ids(&first), ids(&again), "the same page from the same cursor");
        kept = first.next.as_ref().map(|next| next.as_str().to_owned());
        found.take(first);
        turn += 1;
        assert!(turn < MAX_PAGES, "the scan does not end");
        if kept.is_none() {
            break;
        }
    }
    assert_eq!(found.ids_once(), expected);
    Ok(())
}

/// Two scans at once do not move each other's place.
pub(crate) async fn scans_do_not_disturb_each_other(cx: Context) -> CaseResult {
    skip_without_scan(&cx)?;
    let users = fill(&cx, "user ", 60, &entry("v")).await;
    let expected: BTreeSet<&str> = users.iter().map(|user| user.user.as_str()).collect();
    let (small, large) = futures::join!(scan_at(&cx, 4, 0), scan_at(&cx, 7, 0));
    assert_eq!(small.ids_once(), expected);
    assert_eq!(large.ids_once(), expected);
    Ok(())
}
