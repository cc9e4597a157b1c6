//! Stores that one caller can have for its own.

use std::pin::Pin;

use crate::async_store::AsyncStore;
use crate::error::Result;
use crate::id::Subject;

/// A store that is on its way.
pub type Detaching<S> = Pin<Box<dyn Future<Output = Result<S>> + Send>>;

/// A store that one caller at a time can have for its own, over connections of its own, on which the caller's thread waits:
/// nothing has to be handed over, and nobody woken. [`Blocking::with_own`](crate::Blocking::with_own) keeps some of them.
pub trait Detach: AsyncStore + Sized {
    /// Another handle of the same server, connected. It is polled on the runtime of this one; what it gives needs none:
    /// [`read`](AsyncStore::read), [`write`](AsyncStore::write) and [`erase`](AsyncStore::erase) of one user each are answered when they
    /// are first polled, on any thread, inside a runtime or outside, and keep that thread until then; 100 ms after their deadline
    /// at the latest. Nothing else is asked of it, and no two calls at a time.
    ///
    /// It ends by itself, whether or not the server answers.
    fn detach(&self) -> Detaching<Self>;

    /// Whether the next call for this user can be made over it, as far as can be told without asking the server: one whose
    /// connection has ended in the meantime must not be taken for a living one.
    fn is_ready(&self, subject: &Subject) -> bool;
}
