//! The row of `Insert`.

use stickystore_core::{Expiry, Outcome};

use super::just_expired;
use crate::act::anew;
use crate::context::{CaseResult, Context, entry};
use crate::scene::{LONG, Scene, full, insert};

pub(crate) async fn insert_where_nothing_stands_inserts(cx: Context) -> CaseResult {
    let new = full(&cx, "new");
    Scene::empty(&cx).await.comes_to(insert(&new), Outcome::Inserted, Some(&new)).await;
    Ok(())
}

pub(crate) async fn insert_over_expired_inserts(cx: Context) -> CaseResult {
    let (_, scene) = just_expired(&cx, "old").await;
    let new = full(&cx, "new");
    scene.comes_to(insert(&new), Outcome::Inserted, Some(&new)).await;
    Ok(())
}

pub(crate) async fn insert_over_expired_of_equal_value_inserts(cx: Context) -> CaseResult {
    let (old, scene) = just_expired(&cx, "same").await;
    let new = anew(&old, Expiry::Never);
    scene.comes_to(insert(&new), Outcome::Inserted, Some(&new)).await;
    Ok(())
}

pub(crate) async fn insert_over_live_is_kept(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = Scene::with(&cx, &stands).await;
    scene.leaves_all(insert(&entry("new")), Outcome::Kept(stands)).await;
    Ok(())
}

pub(crate) async fn insert_over_live_in_its_last_millisecond_is_kept(cx: Context) -> CaseResult {
    let (old, scene) = just_expired(&cx, "old").await;
    scene.at(super::END - 1).leaves_all(insert(&entry("new")), Outcome::Kept(old)).await;
    Ok(())
}

pub(crate) async fn insert_over_equal_is_kept(cx: Context) -> CaseResult {
    let stands = full(&cx, "same");
    let scene = Scene::with(&cx, &stands).await;
    scene.leaves_all(insert(&anew(&stands, Expiry::Never)), Outcome::Kept(stands)).await;
    Ok(())
}

pub(crate) async fn insert_again_finds_itself(cx: Context) -> CaseResult {
    let new = full(&cx, "new");
    let scene = Scene::empty(&cx).await;
    scene.comes_to(insert(&new), Outcome::Inserted, Some(&new)).await;
    scene.leaves_all(insert(&new), Outcome::Inserted).await;
    // The revision alone says that it is the same insert: an attempt that was made anew writes nothing either.
    let attempt = cx.until("changed", LONG).with_revision(new.revision);
    scene.leaves_all(insert(&attempt), Outcome::Inserted).await;
    Ok(())
}

pub(crate) async fn insert_again_after_its_end_inserts(cx: Context) -> CaseResult {
    let (old, scene) = just_expired(&cx, "old").await;
    let again = anew(&old, Expiry::Never).with_revision(old.revision);
    scene.comes_to(insert(&again), Outcome::Inserted, Some(&again)).await;
    Ok(())
}

pub(crate) async fn insert_again_over_another_is_kept(cx: Context) -> CaseResult {
    let (new, newer) = (entry("new"), full(&cx, "newer"));
    let scene = Scene::empty(&cx).await;
    scene.comes_to(insert(&new), Outcome::Inserted, Some(&new)).await;
    scene.comes_to(crate::scene::put(&newer), Outcome::Written, Some(&newer)).await;
    scene.leaves_all(insert(&new), Outcome::Kept(newer)).await;
    Ok(())
}

pub(crate) async fn insert_over_damaged_is_corrupt(cx: Context) -> CaseResult {
    Scene::damaged(&cx).await?.is_corrupt(insert(&entry("new"))).await;
    Ok(())
}
