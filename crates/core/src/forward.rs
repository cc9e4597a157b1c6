//! Both traits for `Arc` and `Box`: every method forwarded, none left to its default.
#![deny(clippy::missing_trait_methods)]

use std::sync::Arc;

use async_trait::async_trait;

use crate::async_store::{AsyncScan, AsyncStore};
use crate::call::{Call, Erase, Keys, Read, Write};
use crate::error::Result;
use crate::id::Subject;
use crate::info::{Finding, StoreInfo};
use crate::outcome::Outcome;
use crate::profile::Profile;
use crate::store::{Scan, Store};

macro_rules! forward {
    ($pointer:ident) => {
        impl<S: Store + ?Sized> Store for $pointer<S> {
            fn info(&self) -> &StoreInfo {
                (**self).info()
            }
            fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
                (**self).read(call, reads)
            }
            fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
                (**self).write(call, writes)
            }
            fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
                (**self).erase(call, erases)
            }
            fn ping(&self, call: Call) -> Result<()> {
                (**self).ping(call)
            }
            fn close(&self, call: Call) -> Result<()> {
                (**self).close(call)
            }
            fn diagnose(&self, call: Call) -> Vec<Finding> {
                (**self).diagnose(call)
            }
            fn scan(&self) -> Option<&dyn Scan> {
                (**self).scan()
            }
        }

        #[async_trait]
        impl<S: AsyncStore + ?Sized> AsyncStore for $pointer<S> {
            fn info(&self) -> &StoreInfo {
                (**self).info()
            }
            async fn read(&self, call: Call, reads: &[Read]) -> Vec<Result<Profile>> {
                (**self).read(call, reads).await
            }
            fn at_hand(&self, call: Call, subject: &Subject, keys: &Keys) -> Option<Result<Profile>> {
                (**self).at_hand(call, subject, keys)
            }
            async fn write(&self, call: Call, writes: &[Write]) -> Vec<Vec<Result<Outcome>>> {
                (**self).write(call, writes).await
            }
            async fn erase(&self, call: Call, erases: &[Erase]) -> Vec<Result<bool>> {
                (**self).erase(call, erases).await
            }
            async fn ping(&self, call: Call) -> Result<()> {
                (**self).ping(call).await
            }
            async fn close(&self, call: Call) -> Result<()> {
                (**self).close(call).await
            }
            async fn diagnose(&self, call: Call) -> Vec<Finding> {
                (**self).diagnose(call).await
            }
            fn scan(&self) -> Option<&dyn AsyncScan> {
                (**self).scan()
            }
        }
    };
}

forward!(Arc);
forward!(Box);
