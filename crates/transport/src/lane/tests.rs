//! Lanes over links that only pretend.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;

#[derive(Default)]
struct Pretend {
    made: Arc<AtomicUsize>,
    /// Attempts fail as long as this says so.
    refuses: Arc<AtomicBool>,
    takes: Duration,
}

struct Number {
    number: usize,
    alive: AtomicBool,
}

impl Connect for Pretend {
    type Link = Number;

    async fn connect(&self) -> Result<Number> {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.takes).await;
        if self.refuses.load(Ordering::SeqCst) {
            return Err(not_connected("refused".to_owned()));
        }
        Ok(Number { number, alive: AtomicBool::new(true) })
    }
}

impl Link for Number {
    fn is_alive(&self) -> bool {
        self.alive.load(Ordering::SeqCst)
    }
}

fn lane(connector: Pretend) -> Arc<Lane<Pretend>> {
    Lane::new(connector, Duration::from_secs(5))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn number(lane: &Arc<Lane<Pretend>>) -> usize {
    lane.connection(soon()).await.unwrap().link().number
}

#[tokio::test]
async fn many_callers_share_one_attempt_and_one_link() {
    let pretend = Pretend { takes: Duration::from_millis(1), ..Pretend::default() };
    let (made, lane) = (Arc::clone(&pretend.made), lane(pretend));
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let lane = Arc::clone(&lane);
            tokio::spawn(async move { number(&lane).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 0);
    }
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failed_attempt_is_everybodys_error_and_nobodys_later() {
    let pretend = Pretend { refuses: Arc::new(AtomicBool::new(true)), ..Pretend::default() };
    let (refuses, lane) = (Arc::clone(&pretend.refuses), lane(pretend));
    let error = lane.connection(soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
    refuses.store(false, Ordering::SeqCst);
    assert_eq!(number(&lane).await, 1, "the next call makes the next attempt");
}

#[tokio::test]
async fn a_dead_link_is_replaced_before_it_is_used() {
    let lane = lane(Pretend::default());
    let first = lane.connection(soon()).await.unwrap();
    first.link().alive.store(false, Ordering::SeqCst);
    assert_eq!(number(&lane).await, 1);
    assert_eq!(first.link().number, 0, "who held the first one holds it still");
}

#[tokio::test]
async fn an_exchange_that_fails_takes_the_link_with_it_and_one_that_works_does_not() {
    let lane = lane(Pretend::default());
    let connection = lane.connection(soon()).await.unwrap();
    connection.run(soon(), async { Ok(()) }).await.unwrap();
    assert_eq!(number(&lane).await, 0);
    let failed = connection.run(soon(), async { Err::<(), _>(not_connected("broken".to_owned())) }).await;
    assert_eq!(failed.unwrap_err().context(), "broken");
    assert_eq!(number(&lane).await, 1);
}

#[tokio::test]
async fn a_late_failure_of_an_old_link_leaves_the_new_one_alone() {
    let lane = lane(Pretend::default());
    let old = lane.connection(soon()).await.unwrap();
    old.link().alive.store(false, Ordering::SeqCst);
    assert_eq!(number(&lane).await, 1);
    let failed = old.run(soon(), async { Err::<(), _>(not_connected("broken".to_owned())) }).await;
    assert!(failed.is_err());
    assert_eq!(number(&lane).await, 1);
}

#[tokio::test]
async fn a_short_deadline_says_nothing_about_a_link_and_a_long_silence_does() {
    let lane = lane(Pretend::default());
    let connection = lane.connection(soon()).await.unwrap();
    let within = |time| connection.run(Instant::now() + time, std::future::pending::<Result<()>>());
    let error = within(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    assert_eq!(number(&lane).await, 0);
    within(PATIENCE).await.unwrap_err();
    assert_eq!(number(&lane).await, 1);
}

#[tokio::test]
async fn calls_that_are_dropped_over_a_silent_link_do_not_pile_up_for_ever() {
    let lane = lane(Pretend::default());
    let connection = lane.connection(soon()).await.unwrap();
    let dropped = connection.run(soon(), std::future::pending::<Result<()>>());
    assert!(timeout(Duration::from_millis(1), dropped).await.is_err());
    assert_eq!(number(&lane).await, 0);
    // As if it had been silent for longer than it has existed.
    let held = &connection.held;
    assert!(held.silence.lasts(Duration::ZERO) && !held.silence.lasts(LOST));
    let older = Silence { opened: Instant::now().checked_sub(2 * LOST).unwrap(), since: AtomicU64::new(1) };
    assert!(older.lasts(LOST));
    let link = Number { number: 7, alive: AtomicBool::new(true) };
    *lane.state() = State::Ready(Arc::new(Held { link, silence: older }));
    assert_eq!(number(&lane).await, 1);
}

#[tokio::test]
async fn a_deadline_that_has_passed_sends_nothing() {
    let lane = lane(Pretend::default());
    let connection = lane.connection(soon()).await.unwrap();
    let sent = AtomicBool::new(false);
    let exchange = async {
        sent.store(true, Ordering::SeqCst);
        Ok(())
    };
    let error = connection.run(Instant::now(), exchange).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    assert!(!sent.load(Ordering::SeqCst));
}

#[test]
fn an_attempt_whose_runtime_ended_is_made_again() {
    let pretend = Pretend { takes: Duration::from_secs(60), ..Pretend::default() };
    let lane = lane(pretend);
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime().block_on(lane.connection(Instant::now() + Duration::from_millis(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = runtime().block_on(lane.connection(Instant::now() + Duration::from_millis(1))).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
}
