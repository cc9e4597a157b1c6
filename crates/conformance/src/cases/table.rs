//! Every cell of the outcome tables: the answer, what stands afterwards, and that nothing around it moved.
//!
//! One file for each kind of change, then the epoch check, then the order in which a change is judged.

mod epoch;
mod insert;
mod order;
mod put;
mod remove;
mod replace;

pub(crate) use epoch::*;
pub(crate) use insert::*;
pub(crate) use order::*;
pub(crate) use put::*;
pub(crate) use remove::*;
pub(crate) use replace::*;

use crate::context::Context;
use crate::scene::{Scene, full};

use stickystore_core::{Entry, Expiry};

/// When the expired entries of these cases end, in milliseconds after the case began: late enough that no server has
/// swept them by its own clock while the case runs.
const END: u64 = 600_000;

/// An entry that ends at [`END`], and the scene at that very millisecond.
async fn just_expired(cx: &Context, value: &str) -> (Entry, Scene) {
    let mut old = full(cx, value);
    old.expiry = Expiry::At(cx.time(END));
    let scene = Scene::with(cx, &old).await.at(END);
    (old, scene)
}
