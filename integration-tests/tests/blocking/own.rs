//! Callers who have stores of their own: on their own threads, as many as may, and never worse off than without.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use stickystore_core::{
    AsyncStore, Blocking, Call, Detach, Detaching, EpochCheck, Erase, Error, ErrorKind, Outcome, Profile,
    Read, Store as _, StoreExt as _, StoreInfo, Subject, Write, async_trait,
};
use stickystore_integration_tests::words::{entry, key};

use super::{WAYS, Way, call, current_thread, subject};

/// What a store of one's own does when it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Answers,
    Panics,
    WaitsForOthers,
    /// It answers once so many are there.
    Meets(usize),
}

/// What all of them share.
#[derive(Debug, Default)]
struct World {
    /// How many were asked for, whether or not they were made.
    asked: AtomicUsize,
    /// How many are there.
    alive: AtomicUsize,
    seen: Mutex<Seen>,
    change: Condvar,
}

#[derive(Debug, Default)]
struct Seen {
    /// Nobody can have one.
    refuses: bool,
    /// Those that are there are of no use any more.
    ended: bool,
    does: Option<Does>,
    meet: usize,
    most: usize,
}

/// A store of all, or one caller's own.
#[derive(Debug)]
struct One {
    world: Arc<World>,
    is_own: bool,
}

impl Drop for One {
    fn drop(&mut self) {
        if self.is_own {
            self.world.alive.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl World {
    fn open(self: &Arc<Self>, way: Way, most: usize) -> Blocking<One> {
        let world = Arc::clone(self);
        let open = move || std::future::ready(Ok(One { world: Arc::clone(&world), is_own: false }));
        way.open(open).unwrap().with_own(NonZeroUsize::new(most).unwrap())
    }

    fn set(&self, set: impl FnOnce(&mut Seen)) {
        set(&mut self.seen.lock().unwrap());
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

/// The world of a call, by who answers it: its user is then there.
const BY_OWN: ErrorKind = ErrorKind::Denied;

impl One {
    /// Who answers says so by an error of its kind, and the thread by its name.
    async fn answer(&self, call: Call) -> Error {
        if !self.is_own {
            // It needs the runtime that it lives on.
            tokio::time::sleep(Duration::from_millis(1)).await;
            return Error::new(ErrorKind::Unavailable, "by all callers' store");
        }
        let does = self.world.seen.lock().unwrap().does.unwrap_or(Does::Answers);
        assert_ne!(does, Does::Panics, "it was told to");
        match does {
            Does::Answers | Does::Panics => {}
            Does::WaitsForOthers => std::future::pending().await,
            Does::Meets(expected) => {
                let mut seen = self.world.seen.lock().unwrap();
                seen.meet += 1;
                seen.most = seen.most.max(seen.meet);
                self.world.change.notify_all();
                let waits = |seen: &mut Seen| seen.most < expected;
                let mut seen =
                    self.world.change.wait_timeout_while(seen, call.remaining() / 2, waits).unwrap().0;
                seen.meet -= 1;
            }
        }
        Error::new(BY_OWN, format!("{:?}", std::thread::current().id()))
    }
}

#[async_trait]
impl AsyncStore for One {
    fn info(&self) -> &StoreInfo {
        const INFO: &StoreInfo = &StoreInfo::new("one");
        INFO
    }

    async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile, Error>> {
        vec![Err(self.answer(call).await); reads.len()]
    }

    async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome, Error>>> {
        let error = self.answer(call).await;
        writes.iter().map(|write| vec![Err(error.clone()); write.changes().len()]).collect()
    }

    async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool, Error>> {
        vec![Err(self.answer(call).await); erases.len()]
    }

    async fn ping(&self, _: Call) -> Result<(), Error> {
        assert!(!self.is_own, "nothing else is asked of it");
        Ok(())
    }

    async fn close(&self, _: Call) -> Result<(), Error> {
        assert!(!self.is_own, "nothing else is asked of it");
        Ok(())
    }
}

impl Detach for One {
    fn detach(&self) -> Detaching<Self> {
        let world = Arc::clone(&self.world);
        Box::pin(async move {
            // It needs the runtime.
            tokio::time::sleep(Duration::from_millis(1)).await;
            world.asked.fetch_add(1, Ordering::SeqCst);
            if world.seen.lock().unwrap().refuses {
                return Err(Error::new(ErrorKind::Unavailable, "nobody can have one"));
            }
            world.alive.fetch_add(1, Ordering::SeqCst);
            Ok(Self { world, is_own: true })
        })
    }

    fn is_ready(&self, _: &Subject) -> bool {
        !self.world.seen.lock().unwrap().ended
    }
}

fn loads(store: &Blocking<One>) -> Error {
    store.load(call(), &subject()).unwrap_err()
}

/// Loads until a caller's own store answers.
fn loads_by_own(store: &Blocking<One>) -> Error {
    let bound = Instant::now() + Duration::from_secs(30);
    loop {
        let told = loads(store);
        if told.kind() == BY_OWN || Instant::now() > bound {
            return told;
        }
    }
}

fn here() -> String {
    format!("{:?}", std::thread::current().id())
}

#[test]
fn a_caller_waits_on_its_own_thread_wherever_that_is() {
    for way in WAYS {
        let store = Arc::new(World::default()).open(way, 1);
        assert_eq!(loads(&store).kind(), ErrorKind::Unavailable, "the first call waits for no connection");
        assert_eq!(loads_by_own(&store).context(), here(), "{way:?}");
        let in_task = current_thread().block_on(async { loads(&store) });
        assert_eq!((in_task.kind(), in_task.context()), (BY_OWN, &*here()));
        let written = store.insert(call(), &subject(), EpochCheck::Ignore, key("k"), entry("v"));
        assert_eq!(written.unwrap_err().kind(), BY_OWN);
        let erased = store.erase_one(call(), Erase::new(subject(), call().now));
        assert_eq!(erased.unwrap_err().kind(), BY_OWN);
        store.ping(call()).unwrap();
    }
}

#[test]
fn what_is_of_many_users_goes_with_the_others() {
    let store = Arc::new(World::default()).open(Way::Driven, 1);
    loads_by_own(&store);
    let two = [(); 2].map(|()| Read::all(subject()));
    let told = store.read(call(), &two);
    assert!(told.iter().all(|told| told.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)));
}

#[test]
fn there_are_as_many_as_may_be_and_the_others_go_together() {
    let (world, most) = (Arc::new(World::default()), 2);
    let store = world.open(Way::DrivenOn(2), most);
    world.set(|seen| seen.does = Some(Does::Meets(most)));
    let (by_own, by_all) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let counts = if loads(&store).kind() == BY_OWN { &by_own } else { &by_all };
                    counts.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!((world.alive(), world.asked.load(Ordering::SeqCst)), (most, most));
    assert_eq!(world.seen.lock().unwrap().most, most, "two at the same time");
    assert!(by_own.into_inner() > 0 && by_all.into_inner() > 0);
}

#[test]
fn one_that_is_not_ready_ends_and_its_caller_goes_with_the_others() {
    let world = Arc::new(World::default());
    let store = world.open(Way::Driven, 1);
    loads_by_own(&store);
    world.set(|seen| seen.ended = true);
    assert_eq!(loads(&store).kind(), ErrorKind::Unavailable);
    assert_eq!(world.alive(), 0);
    world.set(|seen| seen.ended = false);
    // After a while there is another.
    assert_eq!(loads_by_own(&store).kind(), BY_OWN);
}

#[test]
fn one_that_panics_or_waits_for_others_ends_with_that_call() {
    for does in [Does::Panics, Does::WaitsForOthers] {
        let world = Arc::new(World::default());
        let store = world.open(Way::Driven, 1);
        loads_by_own(&store);
        world.set(|seen| seen.does = Some(does));
        assert_eq!(loads(&store).kind(), ErrorKind::Unexpected, "{does:?}");
        assert_eq!(world.alive(), 0);
        assert_eq!(loads(&store).kind(), ErrorKind::Unavailable, "with the others");
    }
}

#[test]
fn where_none_can_be_made_callers_go_together_and_few_are_asked_for() {
    let world = Arc::new(World::default());
    let store = world.open(Way::Driven, 1);
    world.set(|seen| seen.refuses = true);
    let began = Instant::now();
    while world.asked.load(Ordering::SeqCst) < 1 {
        assert_eq!(loads(&store).kind(), ErrorKind::Unavailable);
    }
    (0..100).for_each(|_| assert_eq!(loads(&store).kind(), ErrorKind::Unavailable));
    let most = 1 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!(world.asked.load(Ordering::SeqCst) <= most);
}

#[test]
fn closed_or_dropped_nobody_has_one_any_more() {
    let world = Arc::new(World::default());
    let store = world.open(Way::Driven, 2);
    loads_by_own(&store);
    let clone = store.clone();
    drop(store);
    assert_eq!(loads(&clone).kind(), BY_OWN);
    clone.close(call()).unwrap();
    assert_eq!((world.alive(), loads(&clone).kind()), (0, ErrorKind::Unavailable));
    let dropped = world.open(Way::Driven, 2);
    loads_by_own(&dropped);
    drop(dropped);
    assert_eq!(world.alive(), 0);
}

#[test]
fn a_drop_of_a_thread_local_while_its_thread_ends() {
    struct Loads(Blocking<One>, mpsc::Sender<(Error, ThreadId)>);
    impl Drop for Loads {
        fn drop(&mut self) {
            let _ = self.1.send((loads(&self.0), std::thread::current().id()));
        }
    }
    thread_local! {
        static LOADS: std::cell::RefCell<Option<Loads>> = const { std::cell::RefCell::new(None) };
    }
    let store = Arc::new(World::default()).open(Way::Driven, 1);
    loads_by_own(&store);
    let (sender, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        LOADS.with(|slot| drop(slot.replace(Some(Loads(store, sender)))));
        std::thread::current().id()
    });
    let (told, there) = told.recv().unwrap();
    assert_eq!((told.kind(), there), (BY_OWN, thread.join().unwrap()));
}
