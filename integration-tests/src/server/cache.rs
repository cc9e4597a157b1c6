//! Where what tests download stays, so that it is downloaded once. `xtask` includes this file too: it needs nothing else.

use std::path::PathBuf;

/// The folder that keeps downloads: `$STICKYSTORE_CACHE`, else `$XDG_CACHE_HOME/stickystore`, else
/// `~/.cache/stickystore`.
pub fn folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let own = set("STICKYSTORE_CACHE");
    let shared = || set("XDG_CACHE_HOME").map(|cache| cache.join("stickystore"));
    let home = || set("HOME").unwrap_or_default().join(".cache").join("stickystore");
    own.or_else(shared).unwrap_or_else(home)
}
