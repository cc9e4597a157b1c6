//! The cases, a module for each group of the contract. Which of them run is in `registry`.

pub(crate) mod at_hand;
pub(crate) mod basic;
pub(crate) mod batch;
pub(crate) mod concurrency;
pub(crate) mod damage;
pub(crate) mod erasure;
pub(crate) mod expiry;
pub(crate) mod identifiers;
pub(crate) mod lifecycle;
pub(crate) mod model;
pub(crate) mod namespaces;
pub(crate) mod scan;
pub(crate) mod table;
pub(crate) mod values;
