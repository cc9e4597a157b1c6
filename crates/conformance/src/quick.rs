//! Claims about what lives only for a moment: they hold while no server may have swept it, however busy the machine is.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;

use crate::context::Context;

/// Shows a claim about what is written to live so many milliseconds.
///
/// The injected clock stands still while a server's own goes on, so that a server may have swept it when that life and the
/// store's grace have passed since. A failure that came later says nothing: the claim is looked at once more, until the
/// machine was quick enough. The case's own limit ends a machine that never is.
pub(crate) async fn in_time<'a>(cx: &Context, life: u64, claim: impl Fn() -> BoxFuture<'a, ()>) {
    let kept = Duration::from_millis(life).saturating_add(cx.grace().unwrap_or_default());
    loop {
        let began = Instant::now();
        match AssertUnwindSafe(claim()).catch_unwind().await {
            Ok(()) => return,
            Err(failure) if began.elapsed() < kept => resume_unwind(failure),
            Err(_) => {}
        }
    }
}
