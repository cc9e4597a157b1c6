//! Memcached servers on demand, and a way behind the store's back.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::{Failing, Folder, Missing, Port, Process};

const PROGRAM: &str = "memcached";

/// How often another port is tried when somebody else took the free one first.
const ATTEMPTS: usize = 10;

/// How long a server may take to answer what is asked behind the store's back.
const ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// A Memcached server of one's own.
#[derive(Debug)]
pub struct Memcached {
    process: Option<Process>,
    port: Port,
    options: Vec<String>,
    environment: Vec<(String, String)>,
    folder: Folder,
}

impl Memcached {
    /// A server with these options, as `["-m", "64"]`.
    ///
    /// # Errors
    /// If there is no Memcached here and none is required.
    pub fn start(options: &[&str]) -> Result<Self, Missing> {
        Self::start_in(Folder::new("memcached"), options, &[])
    }

    /// The same in a folder that has files for it already, and with these variables.
    ///
    /// # Errors
    /// If there is no Memcached here and none is required.
    pub fn start_in(folder: Folder, options: &[&str], environment: &[(&str, &str)]) -> Result<Self, Missing> {
        if Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status().is_err() {
            return Err(Missing::of("memcached", PROGRAM));
        }
        let owned = |text: &&str| (*text).to_owned();
        let environment = environment.iter().map(|(name, text)| (owned(name), owned(text))).collect();
        let options = options.iter().map(owned).collect();
        let mut server = Self { process: None, port: Port::free(), options, environment, folder };
        for _ in 0..ATTEMPTS {
            if server.run() {
                return Ok(server);
            }
            server.port = Port::free();
        }
        panic!("no Memcached after {ATTEMPTS} attempts: {}", server.log());
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The URL of plain connections.
    pub fn url(&self) -> String {
        format!("memcache://127.0.0.1:{}", self.port())
    }

    /// Where its Unix socket is, if `-s` names one.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
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
        assert!(self.run(), "Memcached starts again: {}", self.log());
    }

    /// Stops it in its tracks: the kernel still accepts connections for it.
    pub fn pause(&self) {
        self.process.as_ref().unwrap().pause();
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.process.as_ref().unwrap().resume();
    }

    /// A connection behind the store's back.
    pub fn behind(&self) -> Behind {
        Behind::connect(&self.url())
    }

    fn run(&mut self) -> bool {
        // It writes its ports there once it listens to them.
        let ports = self.folder.path().join("ports");
        let _ = fs::remove_file(&ports);
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let socket = self.socket();
        let mut command = Command::new(PROGRAM);
        command.args(["-u", "root", "-U", "0"]);
        if self.options.iter().any(|option| option == "-s") {
            command.current_dir(self.folder.path());
        } else {
            command.args(["-l", "127.0.0.1", "-p"]).arg(self.port().to_string());
        }
        command.env("MEMCACHED_PORT_FILENAME", &ports).args(&self.options);
        command.envs(self.environment.iter().map(|(name, text)| (name, text)));
        command.stdout(Stdio::null()).stderr(log);
        let is_ready = || ports.exists() || UnixStream::connect(&socket).is_ok();
        self.process = Process::start(command, is_ready).unwrap();
        self.process.is_some()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Failing for Memcached {
    fn die(&mut self) {
        self.kill();
    }

    fn live_again(&mut self) {
        self.start_again();
    }

    fn pause(&self) {
        Memcached::pause(self);
    }

    fn resume(&self) {
        Memcached::resume(self);
    }
}

/// A connection behind the store's back: plain text, one command at a time.
#[derive(Debug)]
pub struct Behind(BufReader<TcpStream>);

impl Behind {
    /// A connection to the server of this URL, which has no login.
    pub fn connect(url: &str) -> Self {
        let place = url.strip_prefix("memcache://").unwrap().split('?').next().unwrap();
        let stream = TcpStream::connect(place).unwrap();
        stream.set_read_timeout(Some(ANSWERS_WITHIN)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// Sends a line and gives the first line of the answer.
    pub fn line(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).unwrap();
        self.read_line()
    }

    /// What stands under a key.
    pub fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        let head = self.line(&format!("mg {key} v"));
        let bytes: usize = head.strip_prefix("VA ")?.trim().parse().unwrap();
        let mut value = vec![0; bytes + 2];
        self.0.read_exact(&mut value).unwrap();
        value.truncate(bytes);
        Some(value)
    }

    /// Puts something under a key, for ever.
    pub fn set(&mut self, key: &str, value: &[u8]) {
        let head = format!("ms {key} {}\r\n", value.len());
        self.0.get_mut().write_all(&[head.as_bytes(), value, b"\r\n"].concat()).unwrap();
        assert_eq!(self.read_line(), "HD");
    }

    /// For how many seconds an item stays yet; -1 is for ever, nothing is that it is not there.
    pub fn lasts(&mut self, key: &str) -> Option<i64> {
        self.line(&format!("mg {key} t")).strip_prefix("HD t").map(|seconds| seconds.parse().unwrap())
    }

    /// The server's counters.
    pub fn stats(&mut self) -> HashMap<String, String> {
        let mut line = self.line("stats");
        let mut stats = HashMap::new();
        while line != "END" {
            let (name, text) = line.strip_prefix("STAT ").unwrap().split_once(' ').unwrap();
            stats.insert(name.to_owned(), text.to_owned());
            line = self.read_line();
        }
        stats
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

/// A Memcached that tests share: theirs alone, or the one that `STICKYSTORE_MEMCACHED_URL` names.
#[derive(Debug)]
pub struct Shared {
    url: String,
    /// Kept for as long as somebody uses it.
    _server: Option<Memcached>,
}

impl Shared {
    /// The one of this process; it ends with its last user.
    ///
    /// # Errors
    /// If there is no Memcached here and none is required.
    pub fn get() -> Result<Arc<Self>, Missing> {
        static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
        // A test that failed to start one leaves it as it was.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let running = match std::env::var("STICKYSTORE_MEMCACHED_URL") {
            Ok(url) => Self { url, _server: None },
            Err(_) => {
                // The suite's users have to stay.
                let server = Memcached::start(&["-m", "512"])?;
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
