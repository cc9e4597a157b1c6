//! Opening a store, and what may go wrong.

use stickystore_core::{Error, ErrorKind, Store as _};
use stickystore_integration_tests::waiting::{Ping, Waiting};

use super::{WAYS, call, current_thread, multi_thread, stores};

#[test]
fn opening_and_dropping_inside_a_task_works() {
    for runtime in [multi_thread(), current_thread()] {
        runtime.block_on(async {
            for store in stores() {
                store.ping(call()).unwrap();
                drop(store);
            }
        });
    }
}

#[test]
fn what_opening_answers_comes_back() {
    let refused = || async { Err::<Waiting, _>(Error::new(ErrorKind::Denied, "wrong password")) };
    for way in WAYS {
        assert_eq!(way.open(refused).unwrap_err().kind(), ErrorKind::Denied);
        let error = current_thread().block_on(async { way.open(refused) }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
    }
}

#[test]
fn opening_that_panics_is_an_error() {
    #[expect(unreachable_code, reason = "the type of what is never opened")]
    let panics = || async {
        panic!("opening panics");
        Waiting::open(Ping::Answers)
    };
    for way in WAYS {
        assert_eq!(way.open(panics).unwrap_err().kind(), ErrorKind::Unexpected);
    }
}
