//! One processor for a caller and its server, where there is only one caller: else what is measured is how long a machine
//! takes to wake another processor up, which is several times what the call takes.

/// While this lives, all threads of this process and of the server are on one processor. Nothing where that cannot be.
pub(crate) struct Together {
    #[cfg(target_os = "linux")]
    processes: Vec<u32>,
    /// Where this process might be before, and the server with it.
    #[cfg(target_os = "linux")]
    before: Option<rustix::thread::CpuSet>,
}

#[cfg(target_os = "linux")]
impl Together {
    pub(crate) fn with(server: Option<u32>) -> Self {
        use rustix::thread::{CpuSet, sched_getaffinity};

        let processes: Vec<_> = std::iter::once(std::process::id()).chain(server).collect();
        let before = sched_getaffinity(None).ok();
        let first = |all: CpuSet| (0..CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu));
        if let Some(first) = before.and_then(first) {
            let mut one = CpuSet::new();
            one.set(first);
            put(&processes, &one);
        }
        Self { processes, before }
    }
}

#[cfg(not(target_os = "linux"))]
impl Together {
    pub(crate) fn with(_: Option<u32>) -> Self {
        Self {}
    }
}

#[cfg(target_os = "linux")]
impl Drop for Together {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            put(&self.processes, before);
        }
    }
}

/// All threads of these, also those that began meanwhile.
#[cfg(target_os = "linux")]
fn put(processes: &[u32], on: &rustix::thread::CpuSet) {
    let threads =
        processes.iter().filter_map(|process| std::fs::read_dir(format!("/proc/{process}/task")).ok());
    for thread in threads.flatten().flatten() {
        let number = thread.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(thread) = number.and_then(rustix::process::Pid::from_raw) {
            // A thread that has ended needs no place.
            let _ = rustix::thread::sched_setaffinity(Some(thread), on);
        }
    }
}
