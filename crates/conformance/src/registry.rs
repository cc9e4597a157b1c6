//! The list of cases: the one place that names them all, for the suite and for the macro.

use futures::future::BoxFuture;

use crate::cases;
use crate::context::{CaseResult, Context};

/// One named claim about every store.
#[derive(Clone, Copy)]
pub struct Case {
    /// The group, as in CONFORMANCE: a module of `cases`.
    pub group: &'static str,
    /// The claim.
    pub name: &'static str,
    pub(crate) run: fn(Context) -> BoxFuture<'static, CaseResult>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::{}", self.group, self.name)
    }
}

/// Writes the list down twice: as data, and as the tests that [`conformance_tests!`](crate::conformance_tests) makes.
macro_rules! registry {
    ($dollar:tt $($group:ident { $($name:ident,)* })*) => {
        /// Every case, by groups.
        pub static CASES: &[Case] = &[
            $($(Case {
                group: stringify!($group),
                name: stringify!($name),
                run: |cx| Box::pin(cases::$group::$name(cx)),
            },)*)*
        ];

        /// Makes a `#[test]` of every case: a module, and the function in the calling module that gives the
        /// [`Harness`](crate::Harness).
        ///
        /// ```
        /// # fn main() {}
        /// use stickystore_conformance::{Harness, Opened, conformance_tests};
        /// use stickystore_core::memory::MemoryStore;
        ///
        /// fn harness() -> Harness {
        ///     Harness::blocking("memory", || Ok(Opened::blocking(MemoryStore::new())))
        /// }
        ///
        /// conformance_tests!(memory_blocking, harness);
        /// ```
        #[macro_export]
        macro_rules! conformance_tests {
            ($dollar module:ident, $dollar harness:ident) => {
                mod $dollar module {
                    $(mod $group {
                        $(#[test]
                        fn $name() {
                            $crate::test(&super::super::$dollar harness(), stringify!($group), stringify!($name));
                        })*
                    })*
                }
            };
        }
    };
}

registry! {$
    basic {
        absent_user_is_an_empty_profile,
    }
}
