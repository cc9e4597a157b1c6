//! Without the feature `metrics` nothing is counted.

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Services;

impl Services {
    pub(super) fn note(self, _: &str, _: &str, _: &'static str) {}

    pub(super) fn of(self, _: &str, _: &str) -> Option<&'static str> {
        None
    }
}
