//! The row of `Replace`.

use stickystore_core::{Expiry, Outcome};

use super::just_expired;
use crate::act::anew;
use crate::context::{CaseResult, Context, entry};
use crate::scene::{LONG, Scene, full, put, replace};

pub(crate) async fn replace_where_nothing_stands_is_gone(cx: Context) -> CaseResult {
    let scene = Scene::empty(&cx).await;
    scene.leaves_all(replace(&entry("read"), &entry("new")), Outcome::Gone).await;
    Ok(())
}

pub(crate) async fn replace_of_expired_is_gone(cx: Context) -> CaseResult {
    let (old, scene) = just_expired(&cx, "old").await;
    scene.leaves_all(replace(&old, &entry("new")), Outcome::Gone).await;
    // Nor by its equal, nor as a retry of the write that made it, nor by whoever read something else.
    scene.leaves_all(replace(&old, &anew(&old, Expiry::Never)), Outcome::Gone).await;
    let again = anew(&old, Expiry::Never).with_revision(old.revision);
    scene.leaves_all(replace(&entry("read"), &again), Outcome::Gone).await;
    scene.leaves_all(replace(&entry("read"), &entry("new")), Outcome::Gone).await;
    Ok(())
}

pub(crate) async fn replace_of_the_named_replaces(cx: Context) -> CaseResult {
    let (stands, new) = (full(&cx, "stands"), entry("new"));
    let scene = Scene::with(&cx, &stands).await;
    scene.comes_to(replace(&stands, &new), Outcome::Replaced, Some(&new)).await;
    let newer = full(&cx, "newer");
    scene.comes_to(replace(&new, &newer), Outcome::Replaced, Some(&newer)).await;
    Ok(())
}

pub(crate) async fn replace_in_the_last_millisecond_replaces(cx: Context) -> CaseResult {
    let (old, scene) = just_expired(&cx, "old").await;
    let new = entry("new");
    scene.at(super::END - 1).comes_to(replace(&old, &new), Outcome::Replaced, Some(&new)).await;
    Ok(())
}

pub(crate) async fn replace_of_another_is_kept(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = Scene::with(&cx, &stands).await;
    scene.leaves_all(replace(&entry("read"), &entry("new")), Outcome::Kept(stands)).await;
    Ok(())
}

pub(crate) async fn replace_of_another_of_equal_value_is_kept(cx: Context) -> CaseResult {
    // The writer read the very value that stands: only the revision tells that it was written since.
    let stands = full(&cx, "same");
    let scene = Scene::with(&cx, &stands).await;
    scene.leaves_all(replace(&entry("same"), &entry("new")), Outcome::Kept(stands)).await;
    Ok(())
}

pub(crate) async fn replace_of_another_by_equal_is_kept(cx: Context) -> CaseResult {
    // `Unchanged` is only said to whoever named what stands.
    let stands = full(&cx, "same");
    let scene = Scene::with(&cx, &stands).await;
    scene.leaves_all(replace(&entry("read"), &anew(&stands, Expiry::Never)), Outcome::Kept(stands)).await;
    Ok(())
}

pub(crate) async fn replace_again_finds_itself(cx: Context) -> CaseResult {
    let (stands, new) = (entry("stands"), full(&cx, "new"));
    let scene = Scene::with(&cx, &stands).await;
    scene.comes_to(replace(&stands, &new), Outcome::Replaced, Some(&new)).await;
    scene.leaves_all(replace(&stands, &new), Outcome::Replaced).await;
    let attempt = cx.until("changed", LONG).with_revision(new.revision);
    scene.leaves_all(replace(&stands, &attempt), Outcome::Replaced).await;
    Ok(())
}

pub(crate) async fn replace_again_over_another_is_kept(cx: Context) -> CaseResult {
    let (stands, new, newer) = (entry("stands"), entry("new"), full(&cx, "newer"));
    let scene = Scene::with(&cx, &stands).await;
    scene.comes_to(replace(&stands, &new), Outcome::Replaced, Some(&new)).await;
    scene.comes_to(put(&newer), Outcome::Written, Some(&newer)).await;
    scene.leaves_all(replace(&stands, &new), Outcome::Kept(newer)).await;
    Ok(())
}

pub(crate) async fn replace_by_equal_is_unchanged(cx: Context) -> CaseResult {
    // Revision, expiry, history and unknown members stay, whatever the equal one would bring.
    let stands = full(&cx, "same");
    let scene = Scene::with(&cx, &stands).await;
    for expiry in [Expiry::Never, Expiry::At(cx.time(1)), Expiry::At(cx.time(1_000 * LONG))] {
        scene.leaves_all(replace(&stands, &anew(&stands, expiry)), Outcome::Unchanged).await;
    }
    Ok(())
}

pub(crate) async fn replace_by_another_text_of_one_meaning_replaces(cx: Context) -> CaseResult {
    let mut stands = crate::act::text(r#"{"a":1,"b":2}"#);
    let scene = Scene::with(&cx, &stands).await;
    for same in [r#"{"b":2,"a":1}"#, r#"{"b":2, "a":1}"#, r#"{"b":2, "a":1.0}"#, r#"{"b":2, "\u0061":1.0}"#] {
        let new = crate::act::text(same);
        scene.comes_to(replace(&stands, &new), Outcome::Replaced, Some(&new)).await;
        stands = new;
    }
    Ok(())
}

pub(crate) async fn replace_of_damaged_is_corrupt(cx: Context) -> CaseResult {
    Scene::damaged(&cx).await?.is_corrupt(replace(&entry("read"), &entry("new"))).await;
    Ok(())
}
