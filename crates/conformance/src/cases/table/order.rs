//! The order in which a change is judged: its own expiry, then what is not ours, then the epoch, then the table.

use futures::FutureExt as _;
use stickystore_core::AsyncStoreExt as _;
use stickystore_core::{Change, EpochCheck, Outcome, Revision};

use super::END;
use crate::act::anew;
use crate::context::{CaseResult, Context, Skip, entry, key};
use crate::quick::in_time;
use crate::scene::{KEY, Scene, every_change, full, insert, put, replace};

/// A writer whose check fails: it knows of an erasure that is not there.
fn refused() -> EpochCheck {
    EpochCheck::Is(Some(stickystore_core::Epoch::random()))
}

/// The changes that bring an entry, with one that ends as the scene begins.
fn ended(cx: &Context, read: Revision) -> impl Iterator<Item = Change> {
    let changes = every_change(read, &cx.until("late", END));
    changes.into_iter().filter(|change| change.entry().is_some())
}

async fn does_nothing(scene: &Scene, changes: impl Iterator<Item = Change>) {
    for change in changes {
        scene.leaves_all(change, Outcome::Expired).await;
    }
}

pub(crate) async fn expired_change_does_nothing(cx: Context) -> CaseResult {
    let stands = full(&cx, "stands");
    let scene = Scene::with(&cx, &stands).await.at(END);
    does_nothing(&scene, ended(&cx, stands.revision)).await;
    does_nothing(&scene.at(2 * END), ended(&cx, stands.revision)).await;
    Ok(())
}

pub(crate) async fn expired_change_does_nothing_where_nothing_stands(cx: Context) -> CaseResult {
    does_nothing(&Scene::empty(&cx).await.at(END), ended(&cx, Revision::random())).await;
    Ok(())
}

pub(crate) async fn expired_retry_is_expired(cx: Context) -> CaseResult {
    // The entry stands under a longer life; the retry that would find itself has ended all the same.
    let stands = full(&cx, "stands");
    let scene = Scene::with(&cx, &stands).await.at(END);
    let late = cx.until("stands", END).with_revision(stands.revision);
    for change in [insert(&late), replace(&entry("read"), &late), put(&late)] {
        scene.leaves_all(change, Outcome::Expired).await;
    }
    Ok(())
}

pub(crate) async fn expired_equal_is_expired(cx: Context) -> CaseResult {
    let stands = full(&cx, "late");
    let scene = Scene::with(&cx, &stands).await.at(END);
    does_nothing(&scene, ended(&cx, stands.revision)).await;
    Ok(())
}

pub(crate) async fn change_with_a_millisecond_left_is_done(cx: Context) -> CaseResult {
    in_time(&cx, 1, || {
        async {
            let scene = Scene::empty(&cx).await.at(END - 1);
            // What is left of an earlier look.
            cx.store().remove(cx.at(END - 1), scene.user(), key(KEY)).await.unwrap();
            let [first, second, third] = ["1", "2", "3"].map(|value| cx.until(value, END));
            scene.comes_to(insert(&first), Outcome::Inserted, Some(&first)).await;
            scene.comes_to(replace(&first, &second), Outcome::Replaced, Some(&second)).await;
            scene.comes_to(put(&third), Outcome::Written, Some(&third)).await;
        }
        .boxed()
    })
    .await;
    Ok(())
}

pub(crate) async fn expired_comes_before_the_epoch(cx: Context) -> CaseResult {
    let scene = Scene::empty(&cx).await.at(END).knowing(refused());
    does_nothing(&scene, ended(&cx, Revision::random())).await;
    Ok(())
}

pub(crate) async fn expired_comes_before_damage(cx: Context) -> CaseResult {
    let scene = Scene::damaged(&cx).await?.at(END).knowing(refused());
    does_nothing(&scene, ended(&cx, Revision::random())).await;
    Ok(())
}

pub(crate) async fn epoch_comes_before_damage(cx: Context) -> CaseResult {
    let scene = Scene::damaged(&cx).await?.knowing(refused());
    scene.leaves_all(insert(&entry("new")), Outcome::Erased).await;
    scene.leaves_all(put(&entry("new")), Outcome::Erased).await;
    scene.is_corrupt(replace(&entry("read"), &entry("new"))).await;
    Ok(())
}

pub(crate) async fn foreign_comes_before_the_epoch(cx: Context) -> CaseResult {
    let (plant, scene) = (cx.plant()?, Scene::empty(&cx).await.knowing(refused()));
    plant.foreign_user(scene.user()).await;
    for change in every_change(Revision::random(), &entry("new")) {
        scene.is_corrupt(change).await;
    }
    Ok::<(), Skip>(())
}

pub(crate) async fn expired_comes_before_foreign(cx: Context) -> CaseResult {
    let (plant, scene) = (cx.plant()?, Scene::empty(&cx).await.at(END).knowing(refused()));
    plant.foreign_user(scene.user()).await;
    does_nothing(&scene, ended(&cx, Revision::random())).await;
    Ok(())
}

pub(crate) async fn change_is_judged_by_its_own_now(cx: Context) -> CaseResult {
    // The very same change: late for one caller, in time for another whose clock is behind.
    let stands = full(&cx, "stands");
    let new = cx.until("new", END);
    Scene::with(&cx, &stands).await.at(END).leaves_all(put(&new), Outcome::Expired).await;
    in_time(&cx, 1, || {
        async {
            let again = anew(&new, new.expiry);
            let scene = Scene::with(&cx, &stands).await.at(END - 1);
            scene.comes_to(put(&again), Outcome::Written, Some(&again)).await;
        }
        .boxed()
    })
    .await;
    Ok(())
}
