//! What went in comes out: values are JSON text, byte for byte.

use stickystore_core::AsyncStoreExt as _;
use stickystore_core::{
    Change, Effect, Entry, EpochCheck, ErrorKind, Expiry, Outcome, Subject, UnixMillis, Unknown, Value,
    ValueHash, Was, Write,
};

use crate::act::{change, get, load, put, put_all, text};
use crate::context::{CaseResult, Context, Skip, entry, key};
use crate::scene::full;
use crate::seen::{assert_answer, assert_entry, assert_profile};

/// A declared limit beyond this is not tried: making such a value costs more than it shows.
const TRIED_LIMIT: usize = 64 << 20;

/// How many entries a user has that is still loaded whole.
const MANY: usize = 1_000;

/// A size that entries of long-lived users have.
const LARGE: usize = 100 << 10;

pub(crate) async fn empty_values_are_not_absent(cx: Context) -> CaseResult {
    come_back(&cx, &["\"\"", "{}", "[]", "null", "[null]", "{\"\":\"\"}", "\" \""]).await;
    Ok(())
}

pub(crate) async fn false_zero_and_null_survive(cx: Context) -> CaseResult {
    let members =
        "{\"a\":false,\"b\":0,\"c\":null,\"d\":\"\",\"e\":[],\"f\":{},\"g\":-0,\"h\":[null,0,false]}";
    come_back(&cx, &["false", "0", "-0", "0.0", "-0.0", "true", members]).await;
    Ok(())
}

pub(crate) async fn quotes_and_escapes_survive(cx: Context) -> CaseResult {
    come_back(
        &cx,
        &[
            r#""\"""#,
            r#""\\""#,
            r#""\/""#,
            r#""/""#,
            r#""\b\f\n\r\t""#,
            r#""\u0000""#,
            r#""\u0041""#,
            r#""A""#,
            r#""\u00e9\u00E9""#,
            r#""'; DROP TABLE entries; --""#,
            r#""$set""#,
            r#"{"$set":{"a.b":"$$ROOT"}}"#,
            r#"{"_id":1,"__proto__":null}"#,
            r#""\r\ndelete y\r\n""#,
            r#""%s %25 %00""#,
            r#""1 AAECAwQFBgc 0 null""#,
        ],
    )
    .await;
    Ok(())
}

pub(crate) async fn unicode_survives_as_it_was_written(cx: Context) -> CaseResult {
    // Bare and escaped are two texts of one string; so are composed and decomposed.
    let escaped = [r#""\u00e9""#, r#""\ud83d\ude00""#, r#""\uD83D\uDE00""#, r#""\ufeff""#, r#""\uffff""#];
    let bare = ["\"\u{e9}\"", "\"e\u{301}\"", "\"\u{1f600}\"", "\"\u{feff}\"", "\"\u{ffff}\""];
    let odd = ["\"\u{2028}\u{2029}\u{7f}\u{85}\"", "\"\u{10ffff}\"", "\"\u{202e}\u{5e9}\"", "{\"\u{e9}\":1}"];
    come_back(&cx, &[&escaped[..], &bare, &odd].concat()).await;
    Ok(())
}

pub(crate) async fn lone_surrogates_survive_as_text(cx: Context) -> CaseResult {
    // JavaScript writes them; no string type here can hold them.
    come_back(&cx, &[r#""\ud800""#, r#""\udc00""#, r#""\ude00\ud83d""#, r#"{"a":["\ud800x"]}"#]).await;
    Ok(())
}

pub(crate) async fn numbers_survive_to_the_last_digit(cx: Context) -> CaseResult {
    come_back(
        &cx,
        &[
            "9007199254740991",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
            "1.7976931348623157e308",
            "5e-324",
            "1e400",
            "-1e400",
            "1e-400",
            "0.1",
            "0.10",
            "1.0",
            "1",
            "1E2",
            "1e+2",
            "100",
            "0.30000000000000004",
            "3.14159265358979323846264338327950288",
            "[1.0,1,10e-1]",
        ],
    )
    .await;
    Ok(())
}

pub(crate) async fn spaces_order_and_duplicates_survive(cx: Context) -> CaseResult {
    come_back(
        &cx,
        &[
            "{ \"a\" : 1 , \"b\" : [ 1 , 2 ] }",
            "{\"a\":1,\"b\":[1,2]}",
            "{\"b\":[1,2],\"a\":1}",
            "{\"a\":1,\"a\":2}",
            "{\"a\":2,\"a\":1}",
            "{\r\n\t\"a\":\t1\r\n}",
            "[\n]",
            "{\"10\":1,\"9\":2,\"a\":3,\"1\":4}",
        ],
    )
    .await;
    Ok(())
}

pub(crate) async fn deep_values_survive(cx: Context) -> CaseResult {
    let nested = |depth: usize| format!("{}1{}", "[{\"a\":".repeat(depth), "}]".repeat(depth));
    // Documents end at 100 levels and parsers at 128; a value is text and knows no such end.
    let depths = [1, 16, 51, 65, 1_000].map(nested);
    come_back(&cx, &depths.each_ref().map(String::as_str)).await;
    Ok(())
}

pub(crate) async fn large_entry_survives(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let limit = cx.info().limits.entry_bytes;
    let mut entries = Vec::new();
    for (at, pattern) in [("a", "x"), ("b", "{\\\"a\\\":\\n\u{e9}\u{1f600}}"), ("c", "0123456789")] {
        entries.push((at, Entry::new(sized(pattern, LARGE.min(limit)), Expiry::Never)));
    }
    put_all(&cx, &user, &entries).await;
    assert_profile(&load(&cx, &user).await, &entries, "load");
    for (at, entry) in &entries {
        assert_entry(get(&cx, &user, at).await.as_ref(), Some(entry), "get");
    }
    Ok(())
}

pub(crate) async fn value_at_the_limit_is_kept(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let largest = Entry::new(sized("x", limit(&cx)?), Expiry::Never);
    assert_eq!(change(&cx, &user, Change::Insert(key("a"), largest.clone())).await, Outcome::Inserted);
    assert_entry(get(&cx, &user, "a").await.as_ref(), Some(&largest), "what was inserted");
    Ok(())
}

pub(crate) async fn limit_counts_bytes(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let limit = limit(&cx)?;
    let value = Value::string(&"\u{e9}".repeat(limit / 2));
    assert!(value.len_bytes() > limit && value.as_str().chars().count() < limit, "the case's own sum");
    is_too_large(&cx, &user, Change::Put(key("a"), Entry::new(value, Expiry::Never))).await;
    assert!(load(&cx, &user).await.is_empty(), "nothing was written");
    Ok(())
}

pub(crate) async fn too_large_changes_nothing(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let over = Entry::new(sized("x", limit(&cx)? + 1), Expiry::Never);
    is_too_large(&cx, &user, Change::Insert(key("a"), over.clone())).await;
    assert!(load(&cx, &user).await.is_empty(), "nothing was written for a user who was absent");

    let stands = [("a", full(&cx, "stands")), ("b", full(&cx, "beside"))];
    put_all(&cx, &user, &stands).await;
    is_too_large(&cx, &user, Change::Put(key("a"), over.clone())).await;
    is_too_large(&cx, &user, Change::Replace(key("a"), stands[0].1.revision, over.clone())).await;
    is_too_large(&cx, &user, Change::Put(key("c"), over)).await;
    assert_profile(&load(&cx, &user).await, &stands, "what stood stays");
    Ok(())
}

pub(crate) async fn what_a_newer_version_wrote_counts_too(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let half = sized("x", limit(&cx)? / 2 + 1);
    let unknown =
        Unknown::new(vec![("newer".into(), half.clone())]).expect("the case names an unknown member");
    let over = Entry::new(half, Expiry::Never).with_unknown(unknown);
    is_too_large(&cx, &user, Change::Put(key("a"), over)).await;
    assert_profile(&load(&cx, &user).await, &[], "a put that was refused wrote nothing");
    Ok(())
}

pub(crate) async fn too_large_stops_no_other_change(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let (old, new) = (full(&cx, "old"), full(&cx, "new"));
    put_all(&cx, &user, &["a", "b", "c", "d"].map(|at| (at, old.clone()))).await;
    let over = Entry::new(sized("x", limit(&cx)? + 1), Expiry::Never);
    let changes = vec![
        Change::Put(key("a"), new.clone()),
        Change::Put(key("b"), over),
        Change::Remove(key("c")),
        Change::Insert(key("e"), new.clone()),
    ];
    let write = Write::new(user.clone(), EpochCheck::Ignore, changes).unwrap();
    let answers = cx.store().write_one(cx.call(), write).await;
    assert_answer(&answers[0], &Outcome::Written, "before the one that is too large");
    assert_eq!(answers[1].as_ref().unwrap_err().kind(), ErrorKind::TooLarge);
    assert_answer(&answers[2], &Outcome::Removed, "after the one that is too large");
    assert_answer(&answers[3], &Outcome::Inserted, "after the one that is too large");
    let wanted = [("a", new.clone()), ("b", old.clone()), ("d", old), ("e", new)];
    assert_profile(&load(&cx, &user).await, &wanted, "each change by itself");
    Ok(())
}

pub(crate) async fn user_of_a_thousand_entries_loads_whole(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let keys: Vec<_> = (0..MANY).map(|n| format!("experiment-{n}")).collect();
    let entries: Vec<_> = keys.iter().map(|at| (at.as_str(), entry(at))).collect();
    put_all(&cx, &user, &entries).await;
    assert_profile(&load(&cx, &user).await, &entries, "load");
    // One that changes among so many leaves the rest.
    let changed = full(&cx, "changed");
    put(&cx, &user, &keys[MANY / 2], &changed).await;
    let mut wanted = entries;
    wanted[MANY / 2].1 = changed;
    assert_profile(&load(&cx, &user).await, &wanted, "load after one of them changed");
    Ok(())
}

pub(crate) async fn was_survives(cx: Context) -> CaseResult {
    let at = |n: u64| UnixMillis::new(n).unwrap();
    let was = |times: &[u64]| {
        let parts = times.iter().enumerate().map(|(n, time)| (ValueHash::of(&n.to_string()), at(*time)));
        Was::new(parts.collect())
    };
    let last = UnixMillis::MAX.get();
    // As many as there can be, out of order, the same time twice, and the ends of time.
    let histories = [was(&[]), was(&[5]), was(&[1, 0, last, 3, 3, last - 1, 4_294_967_296, 7])];
    let entries = histories.map(|was| entry("red").with_was(was));
    entries_come_back(&cx, &entries).await;
    Ok(())
}

pub(crate) async fn unknown_members_survive(cx: Context) -> CaseResult {
    let unknown = |members: &[(&str, &str)]| {
        let members = members.iter().map(|(name, text)| ((*name).into(), Value::new(*text).unwrap()));
        entry("red").with_unknown(Unknown::new(members.collect()).expect("the case names unknown members"))
    };
    let entries = [
        unknown(&[("newer", "true")]),
        // In their order, to the last digit and byte.
        unknown(&[("z", "1e400"), ("a", "18446744073709551616.10"), ("m", "{\"b\": [ ], \"a\": null}")]),
        unknown(&[
            ("", "0"),
            ("a.b", "1"),
            ("$set", "2"),
            ("__proto__", "3"),
            ("\u{e9}\"\\\n", "\"\\ud800\""),
        ]),
        unknown(&[("rev", "1"), ("val", "2"), ("exp", "3"), ("_id", "4"), ("V", "5"), ("Value", "6")]),
    ];
    entries_come_back(&cx, &entries).await;
    Ok(())
}

/// Asserts that these texts come back byte for byte.
async fn come_back(cx: &Context, texts: &[&str]) {
    let entries: Vec<_> = texts.iter().map(|json| text(json)).collect();
    entries_come_back(cx, &entries).await;
}

/// Asserts that these entries come back whole: by every way of writing, from every read, and in the answers that
/// give what stands.
async fn entries_come_back(cx: &Context, entries: &[Entry]) {
    let keys: Vec<_> = (0..entries.len()).map(|n| n.to_string()).collect();
    let wanted: Vec<_> = keys.iter().map(String::as_str).zip(entries.iter().cloned()).collect();
    let before = entry("before");
    for way in ["put", "insert", "replace"] {
        let user = cx.user(way);
        if way == "replace" {
            let stands: Vec<_> = keys.iter().map(|at| (at.as_str(), before.clone())).collect();
            put_all(cx, &user, &stands).await;
        }
        let changes = wanted.iter().map(|(at, entry)| match way {
            "put" => Change::Put(key(at), entry.clone()),
            "insert" => Change::Insert(key(at), entry.clone()),
            _ => Change::Replace(key(at), before.revision, entry.clone()),
        });
        let write = Write::new(user.clone(), EpochCheck::Is(None), changes.collect()).unwrap();
        for (answer, (_, entry)) in cx.store().write_one(cx.call(), write).await.iter().zip(&wanted) {
            let applied = answer.as_ref().is_ok_and(Outcome::is_applied);
            assert!(applied, "{way} of {:?} is applied: {answer:?}", entry.value.as_str());
        }
        assert_profile(&load(cx, &user).await, &wanted, &format!("load after {way}"));
        for (at, entry) in &wanted {
            let found = get(cx, &user, at).await;
            assert_entry(found.as_ref(), Some(entry), &format!("get after {way}"));
            let answer = Ok(change(cx, &user, Change::Insert(key(at), before.clone())).await);
            assert_answer(&answer, &Outcome::Kept(entry.clone()), &format!("what is kept after {way}"));
        }
        assert_profile(&load(cx, &user).await, &wanted, &format!("load after {way} and refused inserts"));
    }
    // Equal is the same text: each is replaced by the next, however alike they are.
    let user = cx.user("next");
    put(cx, &user, "a", &before).await;
    let mut stands = &before;
    for entry in entries {
        let next = Change::Replace(key("a"), stands.revision, entry.clone());
        let wanted = if entry.value == stands.value { Outcome::Unchanged } else { Outcome::Replaced };
        let what = format!("{:?} in the place of {:?}", entry.value.as_str(), stands.value.as_str());
        assert_answer(&Ok(change(cx, &user, next).await), &wanted, &what);
        if wanted == Outcome::Replaced {
            stands = entry;
        }
        assert_entry(get(cx, &user, "a").await.as_ref(), Some(stands), &what);
    }
}

async fn is_too_large(cx: &Context, user: &Subject, change: Change) {
    let shown = format!("{change:?}");
    let answer = cx.store().change(cx.call(), user, EpochCheck::Ignore, change).await;
    let error = answer.expect_err("a value over the declared limit is refused");
    let seen = (error.kind(), error.effect());
    assert_eq!(seen, (ErrorKind::TooLarge, Effect::NotApplied), "{shown}: {error}");
}

/// The store's limit; skips where it is so large that nobody would meet it.
fn limit(cx: &Context) -> Result<usize, Skip> {
    let limit = cx.info().limits.entry_bytes;
    if limit > TRIED_LIMIT {
        return Err(Skip::because(format!("declared: entries of up to {limit} bytes, too many to try")));
    }
    Ok(limit)
}

/// A JSON string of exactly so many bytes, of this content over and over.
fn sized(content: &str, bytes: usize) -> Value {
    let content_bytes = bytes - "\"\"".len();
    let whole = content.repeat(content_bytes / content.len());
    let value = Value::new(format!("\"{whole}{}\"", "x".repeat(content_bytes - whole.len())));
    let value = value.expect("the content is that of a JSON string");
    assert_eq!(value.len_bytes(), bytes, "the case's own sum");
    value
}
