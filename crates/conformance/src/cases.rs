//! The cases, a module for each group of the contract. Which of them run is in `registry`.

pub(crate) mod basic;
pub(crate) mod damage;
pub(crate) mod expiry;
pub(crate) mod identifiers;
pub(crate) mod table;
pub(crate) mod values;
