//! The table of the epoch check, and which changes ask it.

use stickystore_core::AsyncStoreExt as _;
use stickystore_core::{Change, Entry, Epoch, EpochCheck, Expiry, Outcome};

use super::{END, just_expired};
use crate::act::{self, anew};
use crate::context::{CaseResult, Context, entry, key};
use crate::scene::{LONG, Scene, full, insert, put, remove, remove_if, replace};
use crate::seen::assert_answer;

/// In a scene, an insert and a put create: the check passes.
async fn passes(scene: &Scene) {
    let (new, newer) = (entry("new"), entry("newer"));
    scene.comes_to(insert(&new), Outcome::Inserted, Some(&new)).await;
    scene.comes_to(put(&newer), Outcome::Written, Some(&newer)).await;
}

/// In a scene where nothing stands, an insert and a put are answered `Erased`: the check fails.
async fn is_erased(scene: &Scene) {
    scene.leaves_all(insert(&entry("new")), Outcome::Erased).await;
    scene.leaves_all(put(&entry("new")), Outcome::Erased).await;
}

/// A scene with this entry and a live mark, for a writer who knows of another erasure.
async fn refused(cx: &Context, stands: &Entry) -> Scene {
    Scene::erase_before(cx, LONG).await;
    Scene::with(cx, stands).await.knowing(EpochCheck::Is(Some(Epoch::random())))
}

pub(crate) async fn no_check_passes_without_a_mark(cx: Context) -> CaseResult {
    passes(&Scene::empty(&cx).await.knowing(EpochCheck::Ignore)).await;
    Ok(())
}

pub(crate) async fn no_check_passes_under_a_mark(cx: Context) -> CaseResult {
    Scene::erase_before(&cx, LONG).await;
    passes(&Scene::empty(&cx).await.knowing(EpochCheck::Ignore)).await;
    Ok(())
}

pub(crate) async fn blind_check_passes_without_a_mark(cx: Context) -> CaseResult {
    passes(&Scene::empty(&cx).await.knowing(EpochCheck::Is(None))).await;
    Ok(())
}

pub(crate) async fn blind_check_under_a_mark_is_erased(cx: Context) -> CaseResult {
    Scene::erase_before(&cx, LONG).await;
    is_erased(&Scene::empty(&cx).await.knowing(EpochCheck::Is(None))).await;
    Ok(())
}

pub(crate) async fn blind_check_in_the_marks_last_millisecond_is_erased(cx: Context) -> CaseResult {
    Scene::erase_before(&cx, END).await;
    is_erased(&Scene::empty(&cx).await.at(END - 1).knowing(EpochCheck::Is(None))).await;
    Ok(())
}

pub(crate) async fn blind_check_passes_once_the_mark_ended(cx: Context) -> CaseResult {
    Scene::erase_before(&cx, END).await;
    passes(&Scene::empty(&cx).await.at(END).knowing(EpochCheck::Is(None))).await;
    Ok(())
}

pub(crate) async fn check_of_the_marks_epoch_passes(cx: Context) -> CaseResult {
    let epoch = Scene::erase_before(&cx, END).await;
    passes(&Scene::empty(&cx).await.at(END - 1).knowing(EpochCheck::Is(Some(epoch)))).await;
    Ok(())
}

pub(crate) async fn check_of_another_epoch_is_erased(cx: Context) -> CaseResult {
    let first = Scene::erase_before(&cx, LONG).await;
    Scene::erase_before(&cx, LONG).await;
    is_erased(&Scene::empty(&cx).await.knowing(EpochCheck::Is(Some(first)))).await;
    Ok(())
}

pub(crate) async fn check_of_an_ended_mark_is_erased(cx: Context) -> CaseResult {
    let epoch = Scene::erase_before(&cx, END).await;
    is_erased(&Scene::empty(&cx).await.at(END).knowing(EpochCheck::Is(Some(epoch)))).await;
    Ok(())
}

pub(crate) async fn check_of_an_epoch_that_never_was_is_erased(cx: Context) -> CaseResult {
    let scene = Scene::empty(&cx).await;
    is_erased(&scene.knowing(EpochCheck::Is(Some(Epoch::random())))).await;
    Ok(())
}

pub(crate) async fn put_over_live_with_failed_epoch_is_erased(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = refused(&cx, &stands).await;
    scene.leaves_all(put(&entry("new")), Outcome::Erased).await;
    scene.leaves_all(put(&anew(&stands, Expiry::Never)), Outcome::Erased).await;
    scene.leaves_all(put(&stands), Outcome::Erased).await;
    Ok(())
}

pub(crate) async fn insert_over_live_with_failed_epoch_is_kept(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = refused(&cx, &stands).await;
    scene.leaves_all(insert(&entry("new")), Outcome::Kept(stands)).await;
    Ok(())
}

pub(crate) async fn insert_again_with_failed_epoch_finds_itself(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = refused(&cx, &stands).await;
    scene.leaves_all(insert(&stands), Outcome::Inserted).await;
    Ok(())
}

pub(crate) async fn insert_and_put_over_expired_with_failed_epoch_are_erased(cx: Context) -> CaseResult {
    let (_, scene) = just_expired(&cx, "old").await;
    is_erased(&scene.knowing(EpochCheck::Is(Some(Epoch::random())))).await;
    Ok(())
}

pub(crate) async fn replace_ignores_the_epoch(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = refused(&cx, &stands).await;
    let new = entry("new");
    scene.leaves_all(replace(&stands, &anew(&stands, Expiry::Never)), Outcome::Unchanged).await;
    scene.leaves_all(replace(&entry("read"), &new), Outcome::Kept(stands.clone())).await;
    scene.comes_to(replace(&stands, &new), Outcome::Replaced, Some(&new)).await;
    scene.leaves_all(replace(&stands, &new), Outcome::Replaced).await;
    Ok(())
}

pub(crate) async fn replace_where_nothing_stands_is_gone_whatever_the_epoch(cx: Context) -> CaseResult {
    Scene::erase_before(&cx, LONG).await;
    let scene = Scene::empty(&cx).await.knowing(EpochCheck::Is(None));
    scene.leaves_all(replace(&entry("read"), &entry("new")), Outcome::Gone).await;
    Ok(())
}

pub(crate) async fn remove_ignores_the_epoch(cx: Context) -> CaseResult {
    let scene = refused(&cx, &full(&cx, "stands")).await;
    scene.comes_to(remove(), Outcome::Removed, None).await;
    scene.leaves_all(remove(), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn remove_if_ignores_the_epoch(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = refused(&cx, &stands).await;
    scene.leaves_all(remove_if(&entry("read")), Outcome::Kept(stands.clone())).await;
    scene.comes_to(remove_if(&stands), Outcome::Removed, None).await;
    scene.leaves_all(remove_if(&stands), Outcome::WasAbsent).await;
    Ok(())
}

pub(crate) async fn removing_the_last_entry_leaves_the_mark(cx: Context) -> CaseResult {
    let user = cx.user("user");
    let erase = cx.erase(&user, LONG);
    cx.store().erase_one(cx.call(), erase.clone()).await.unwrap();
    let stands = entry("stands");
    let changes = [Change::Remove(key("only")), Change::RemoveIf(key("only"), stands.revision)];
    for removal in changes {
        act::put(&cx, &user, "only", &stands).await;
        assert_eq!(act::change(&cx, &user, removal).await, Outcome::Removed);
        let epoch = act::load(&cx, &user).await.epoch();
        assert_eq!(epoch, Some(erase.epoch), "the mark stands without entries");
        let blind = EpochCheck::Is(None);
        let answer = cx.store().insert(cx.call(), &user, blind, key("only"), entry("late")).await;
        assert_answer(&answer, &Outcome::Erased, "a blind insert under the mark");
    }
    Ok(())
}
