//! Keeps the panics of cases off the screen: in a run on broken stores they are verdicts.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How the threads that run cases are called.
pub(super) const THREAD: &str = "broken-store";

/// While one of these lives, what panics in a case is not printed. Those of other threads are.
pub(super) struct Hush;

static HUSHED: AtomicUsize = AtomicUsize::new(0);

impl Hush {
    pub(super) fn new() -> Self {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                let thread = std::thread::current();
                let is_case = thread.name().is_some_and(|name| name == THREAD || name.starts_with("tokio-"));
                if !(is_case && HUSHED.load(Ordering::SeqCst) > 0) {
                    before(panic);
                }
            }));
        });
        HUSHED.fetch_add(1, Ordering::SeqCst);
        Self
    }
}

impl Drop for Hush {
    fn drop(&mut self) {
        HUSHED.fetch_sub(1, Ordering::SeqCst);
    }
}
