//! The row of `Put`.

use stickystore_core::{Expiry, Outcome};

use super::just_expired;
use crate::act::anew;
use crate::context::{CaseResult, Context, entry};
use crate::scene::{LONG, Scene, full, put};

pub(crate) async fn put_where_nothing_stands_writes(cx: Context) -> CaseResult {
    let new = full(&cx, "new");
    Scene::empty(&cx).await.comes_to(put(&new), Outcome::Written, Some(&new)).await;
    Ok(())
}

pub(crate) async fn put_over_expired_writes(cx: Context) -> CaseResult {
    let (_, scene) = just_expired(&cx, "old").await;
    let new = full(&cx, "new");
    scene.comes_to(put(&new), Outcome::Written, Some(&new)).await;
    Ok(())
}

pub(crate) async fn put_over_live_writes(cx: Context) -> CaseResult {
    // What had a history, unknown members and an expiry is replaced whole by what has none.
    let new = entry("new");
    let scene = Scene::with(&cx, &full(&cx, "stands")).await;
    scene.comes_to(put(&new), Outcome::Written, Some(&new)).await;
    Ok(())
}

pub(crate) async fn put_over_equal_writes_revision_and_expiry(cx: Context) -> CaseResult {
    let stands = cx.until("same", LONG);
    let scene = Scene::with(&cx, &stands).await;
    for expiry in [Expiry::Never, Expiry::At(cx.time(2 * LONG)), Expiry::At(cx.time(LONG / 2))] {
        let new = anew(&stands, expiry);
        scene.comes_to(put(&new), Outcome::Written, Some(&new)).await;
    }
    Ok(())
}

pub(crate) async fn put_again_writes(cx: Context) -> CaseResult {
    let new = full(&cx, "new");
    let scene = Scene::empty(&cx).await;
    scene.comes_to(put(&new), Outcome::Written, Some(&new)).await;
    scene.comes_to(put(&new), Outcome::Written, Some(&new)).await;
    Ok(())
}

pub(crate) async fn put_over_damaged_writes(cx: Context) -> CaseResult {
    let new = full(&cx, "new");
    Scene::damaged(&cx).await?.comes_to(put(&new), Outcome::Written, Some(&new)).await;
    Ok(())
}
