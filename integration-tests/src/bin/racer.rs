//! One process of a race: `racer <url> <namespace>`, orders on its input. What it does is in the library's `racing`.

fn main() {
    stickystore_integration_tests::racing::child();
}
