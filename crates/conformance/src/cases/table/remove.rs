//! The rows of `Remove` and `RemoveIf`.

use stickystore_core::Outcome;

use super::{END, just_expired};
use crate::context::{CaseResult, Context, entry};
use crate::scene::{Scene, full, remove, remove_if};

pub(crate) async fn remove_where_nothing_stands_was_absent(cx: Context) -> CaseResult {
    Scene::empty(&cx).await.leaves_all(remove(), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn remove_of_expired_was_absent(cx: Context) -> CaseResult {
    let (_, scene) = just_expired(&cx, "old").await;
    scene.leaves_all(remove(), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn remove_of_live_removes(cx: Context) -> CaseResult {
    let scene = Scene::with(&cx, &full(&cx, "stands")).await;
    scene.comes_to(remove(), Outcome::Removed, None).await;
    scene.leaves_all(remove(), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn remove_in_the_last_millisecond_removes(cx: Context) -> CaseResult {
    let (_, scene) = just_expired(&cx, "old").await;
    scene.at(END - 1).comes_to(remove(), Outcome::Removed, None).await;
    Ok(())
}

pub(crate) async fn remove_of_damaged_removes(cx: Context) -> CaseResult {
    let scene = Scene::damaged(&cx).await?;
    scene.comes_to(remove(), Outcome::Removed, None).await;
    scene.leaves_all(remove(), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn remove_if_where_nothing_stands_was_absent(cx: Context) -> CaseResult {
    Scene::empty(&cx).await.leaves_all(remove_if(&entry("read")), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn remove_if_of_expired_was_absent(cx: Context) -> CaseResult {
    let (old, scene) = just_expired(&cx, "old").await;
    scene.leaves_all(remove_if(&old), Outcome::WasAbsent).await;
    scene.leaves_all(remove_if(&entry("read")), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn remove_if_of_the_named_removes(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = Scene::with(&cx, &stands).await;
    scene.comes_to(remove_if(&stands), Outcome::Removed, None).await;
    scene.leaves_all(remove_if(&stands), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn remove_if_of_another_is_kept(cx: Context) -> CaseResult {
    let stands = full(&cx, "same");
    let scene = Scene::with(&cx, &stands).await;
    scene.leaves_all(remove_if(&entry("read")), Outcome::Kept(stands.clone())).await;
    scene.leaves_all(remove_if(&entry("same")), Outcome::Kept(stands)).await;
    Ok(())
}

pub(crate) async fn remove_if_of_damaged_is_corrupt(cx: Context) -> CaseResult {
    Scene::damaged(&cx).await?.is_corrupt(remove_if(&entry("read"))).await;
    Ok(())
}
