//! Redis servers on demand.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Failing, Folder, Missing, Port, Process};

const PROGRAM: &str = "redis-server";

/// How often another port is tried when somebody else took the free one first.
const ATTEMPTS: usize = 10;

/// A Redis server of one's own.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    port: Port,
    options: Vec<String>,
    folder: Folder,
}

impl Redis {
    /// A server with nothing persistent and these options besides, as `["--maxmemory", "10mb"]`.
    ///
    /// # Errors
    /// If there is no Redis here and none is required.
    pub fn start(options: &[&str]) -> Result<Self, Missing> {
        if Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status().is_err() {
            return Err(Missing::of("redis", PROGRAM));
        }
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { process: None, port: Port::free(), options, folder: Folder::new("redis") };
        for _ in 0..ATTEMPTS {
            if server.run() {
                return Ok(server);
            }
            server.port = Port::free();
        }
        panic!("no Redis after {ATTEMPTS} attempts: {}", server.log());
    }

    /// The port of plain connections.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The URL of plain connections.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port())
    }

    /// Where its Unix socket is.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// What it answers to a command, as `redis-cli` prints it.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn command(&self, words: &[&str]) -> String {
        let port = self.port().to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again on its port.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self) {
        assert!(self.run(), "Redis starts again: {}", self.log());
    }

    /// Stops it in its tracks: the kernel still accepts connections for it.
    pub fn pause(&self) {
        self.process.as_ref().unwrap().pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.as_ref().unwrap().resume();
    }

    fn run(&mut self) -> bool {
        let log = self.folder.path().join("log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new(PROGRAM);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.args(["--enable-debug-command", "yes"]);
        command.arg("--port").arg(self.port().to_string());
        command.arg("--dir").arg(self.folder.path());
        command.arg("--unixsocket").arg(self.socket());
        command.arg("--logfile").arg(&log);
        command.args(&self.options).stdout(Stdio::null()).stderr(Stdio::null());
        let is_ready =
            || fs::read_to_string(&log).is_ok_and(|log| log.contains("Ready to accept connections"));
        self.process = Process::start(command, is_ready).unwrap();
        self.process.is_some()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Failing for Redis {
    fn die(&mut self) {
        self.kill();
    }

    fn live_again(&mut self) {
        self.start_again();
    }

    fn pause(&self) {
        Redis::pause(self);
    }

    fn resume(&self) {
        Redis::resume(self);
    }
}

/// A Redis that tests share: theirs alone, or the one that `STICKYSTORE_REDIS_URL` names.
#[derive(Debug)]
pub struct Shared {
    url: String,
    /// Kept for as long as somebody uses it.
    _server: Option<Redis>,
}

impl Shared {
    /// The one of this process; it ends with its last user.
    ///
    /// # Errors
    /// If there is no Redis here and none is required.
    pub fn get() -> Result<Arc<Self>, Missing> {
        static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
        // A test that failed to start one leaves it as it was.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let running = match std::env::var("STICKYSTORE_REDIS_URL") {
            Ok(url) => Self { url, _server: None },
            Err(_) => {
                let server = Redis::start(&[])?;
                Self { url: server.url(), _server: Some(server) }
            }
        };
        let running = Arc::new(running);
        *shared = Arc::downgrade(&running);
        Ok(running)
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}
