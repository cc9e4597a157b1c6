//! An assignment is stored per (namespace, user, key), and nothing else moves.

use stickystore_core::AsyncStoreExt as _;

use crate::context::{CaseResult, Context};

pub(crate) async fn absent_user_is_an_empty_profile(cx: Context) -> CaseResult {
    let profile = cx.store().load(cx.call(), &cx.user("nobody")).await.unwrap();
    assert!(profile.is_empty());
    assert_eq!(profile.epoch(), None);
    Ok(())
}
