//! Without the feature `redis` no server is read.

use std::convert::Infallible;
use std::error::Error;

use super::Page;
use crate::answer::Wrong;

/// There is none.
pub(in super::super) struct Strings(Infallible);

impl Strings {
    pub(super) fn open(_: &str, _: Option<&str>) -> Result<Self, Box<dyn Error>> {
        Err(Wrong("reading a Redis server needs the command built with the feature \"redis\"".to_owned())
            .into())
    }

    pub(super) fn next_page(&mut self, _: usize) -> Result<Option<Page>, Box<dyn Error>> {
        match self.0 {}
    }
}
