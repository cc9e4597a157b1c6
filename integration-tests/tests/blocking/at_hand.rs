//! What is at hand is answered on the caller's own thread.

use std::sync::{Arc, Mutex, mpsc};
use std::thread::ThreadId;

use stickystore_core::{
    AsyncStore, Blocking, Call, Erase, Error, ErrorKind, Keys, Outcome, Profile, Read, Store as _,
    StoreExt as _, StoreInfo, Subject, Write, async_trait,
};

use super::{WAYS, Way, call, current_thread, subject};

/// Has nobody at hand, and notes who looked; or panics. What is read of it never comes.
#[derive(Debug)]
struct Near {
    looked: Arc<Mutex<mpsc::Sender<ThreadId>>>,
    panics: bool,
}

impl Near {
    fn open(panics: bool, way: Way) -> (Blocking<Self>, mpsc::Receiver<ThreadId>) {
        let (sender, looked) = mpsc::channel();
        let sender = Arc::new(Mutex::new(sender));
        let open = move || std::future::ready(Ok(Self { looked: Arc::clone(&sender), panics }));
        (way.open(open).unwrap(), looked)
    }
}

#[async_trait]
impl AsyncStore for Near {
    fn info(&self) -> &StoreInfo {
        const INFO: &StoreInfo = &StoreInfo::new("near");
        INFO
    }

    fn at_hand(&self, _: Call, _: &Subject, _: &Keys) -> Option<Result<Profile, Error>> {
        self.looked.lock().unwrap().send(std::thread::current().id()).unwrap();
        assert!(!self.panics, "it was told to");
        Some(Ok(Profile::default()))
    }

    async fn read(&self, _: Call, _: &[Read]) -> Vec<Result<Profile, Error>> {
        std::future::pending().await
    }

    async fn write(&self, _: Call, _: &[Write]) -> Vec<Vec<Result<Outcome, Error>>> {
        Vec::new()
    }

    async fn erase(&self, _: Call, _: &[Erase]) -> Vec<Result<bool, Error>> {
        Vec::new()
    }

    async fn ping(&self, _: Call) -> Result<(), Error> {
        Ok(())
    }

    async fn close(&self, _: Call) -> Result<(), Error> {
        Ok(())
    }
}

/// Loads from the store when it is dropped, and tells on which thread.
struct LoadsInDrop(Blocking<Near>, mpsc::Sender<ThreadId>);

impl Drop for LoadsInDrop {
    fn drop(&mut self) {
        let loaded = self.0.load(call(), &subject());
        let _ = loaded.map(|_| self.1.send(std::thread::current().id()));
    }
}

#[test]
fn what_is_at_hand_is_answered_on_the_callers_thread_wherever_that_is() {
    thread_local! {
        static LOADS: std::cell::RefCell<Option<LoadsInDrop>> = const { std::cell::RefCell::new(None) };
    }
    for (store, looked) in WAYS.map(|way| Near::open(false, way)) {
        let here = std::thread::current().id();
        assert!(store.load(call(), &subject()).unwrap().is_empty());
        current_thread().block_on(async { store.load(call(), &subject()).unwrap() });
        assert_eq!([looked.recv().unwrap(), looked.recv().unwrap()], [here; 2]);
        let (sender, loaded) = mpsc::channel();
        let ending = LoadsInDrop(store.clone(), sender);
        std::thread::spawn(|| LOADS.with(|slot| drop(slot.replace(Some(ending))))).join().unwrap();
        let there = loaded.recv().unwrap();
        assert!(there != here && looked.recv().unwrap() == there, "the thread that ended");
    }
}

#[test]
fn a_store_that_panics_where_it_looks_what_is_at_hand_is_an_error() {
    for (store, _looked) in WAYS.map(|way| Near::open(true, way)) {
        let error = store.load(call(), &subject()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected);
        store.ping(call()).unwrap();
    }
}
