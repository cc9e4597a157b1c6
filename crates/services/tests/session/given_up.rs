//! A commit whose caller gave it up.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use stickystore_core::{
    AsyncStore, Call, Effect, Erase, Error, ErrorKind, Immediate, Namespace, Outcome, Profile, Read, Result,
    StoreInfo, Write, async_trait, memory::MemoryStore,
};
use stickystore_services::Settings;
use stickystore_services::session::AsyncSession;

/// Does its first write and never answers; all after it cannot be sent.
#[derive(Debug)]
struct Silent {
    inner: Immediate<MemoryStore>,
    was_asked: AtomicBool,
}

#[async_trait]
impl AsyncStore for Silent {
    fn info(&self) -> &StoreInfo {
        self.inner.info()
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
        self.inner.read(call, reads).await
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
        if !self.was_asked.swap(true, Ordering::SeqCst) {
            self.inner.write(call, writes).await;
            std::future::pending::<()>().await;
        }
        let closed = || Err(Error::new(ErrorKind::Unavailable, "injected").with_effect(Effect::NotApplied));
        writes.iter().map(|write| write.changes().iter().map(|_| closed()).collect()).collect()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
        self.inner.erase(call, erases).await
    }

    async fn ping(&self, call: Call) -> Result<()> {
        self.inner.ping(call).await
    }

    async fn close(&self, call: Call) -> Result<()> {
        self.inner.close(call).await
    }
}

#[tokio::test]
async fn what_it_had_sent_is_in_doubt_until_a_commit_is_answered() {
    let store = Silent { inner: Immediate::new(MemoryStore::new()), was_asked: AtomicBool::new(false) };
    let settings = Settings::new(Namespace::new("shop").unwrap());
    let session = AsyncSession::begin(store, settings, ["ann"]).await.unwrap();
    session.view().assign("ann", "k", || "v").unwrap();
    let sent = pin!(session.commit()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(sent.is_pending(), "it was sent, and is given up");
    let report = session.commit().await;
    assert_eq!(report.error().unwrap().effect(), Effect::Unknown, "{}", report.to_json());
    session.discard();
}
