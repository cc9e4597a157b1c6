//! What random operations are compared with: a reference written by hand from the contract's tables.
//!
//! It shares the model's types with the core, and none of its judgement: a mistake in the function that stores
//! call has to show here.

mod operations;
mod reference;
mod replay;

pub(crate) use operations::steps;
pub(crate) use replay::replay;
