//! MongoDB on demand: a replica set of one member, or of three, or a server without one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};

use super::{Failing, Folder, Missing, Port, Process, STARTS_WITHIN, cache};

/// Where `cargo xtask test --install` puts the server, in the folder of downloads.
const PINNED: &str = "mongodb-6.0.5/mongod";

/// The version that it has; one on the path is taken if it is as new.
const PINNED_VERSION: [u32; 3] = [6, 0, 5];

/// How often other ports are tried when somebody else took the free ones first.
const ATTEMPTS: usize = 10;

/// How long the members wait for a primary before they elect another one.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(1000);

/// How often the members ask each other.
const HEARTBEAT: Duration = Duration::from_millis(200);

/// How long a question behind everybody's back may take.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A MongoDB of one's own.
#[derive(Debug)]
pub struct MongoDb {
    program: PathBuf,
    members: Vec<Member>,
    options: Vec<String>,
    is_set: bool,
}

#[derive(Debug)]
struct Member {
    process: Option<Process>,
    port: Port,
    folder: Folder,
}

impl MongoDb {
    /// A replica set of one member, with these options besides, as `["--auth"]`.
    ///
    /// # Errors
    /// If there is no MongoDB here and none is required.
    pub fn start(options: &[&str]) -> Result<Self, Missing> {
        Self::replica_set(1, options)
    }

    /// A replica set of so many members.
    ///
    /// # Errors
    /// If there is no MongoDB here and none is required.
    pub fn replica_set(members: usize, options: &[&str]) -> Result<Self, Missing> {
        let set = Self::run_all(members, options, true)?;
        let config = doc! {
            "_id": "set",
            "members": set.members.iter().zip(0..).map(|(member, id)| doc! { "_id": id, "host": member.host() }).collect::<Vec<_>>(),
            "settings": {
                "electionTimeoutMillis": millis(ELECTION_TIMEOUT),
                "heartbeatIntervalMillis": millis(HEARTBEAT),
                // A member that was away takes over only if it is elected.
                "catchUpTimeoutMillis": -1,
            },
        };
        ask(set.port(), doc! { "replSetInitiate": config }).unwrap();
        set.wait_for("a primary", || set.primary().is_some());
        for member in &set.members {
            set.wait_for("every member", || member.is_of_use());
        }
        Ok(set)
    }

    /// A server that is in no replica set.
    ///
    /// # Errors
    /// If there is no MongoDB here and none is required.
    pub fn standalone(options: &[&str]) -> Result<Self, Missing> {
        Self::run_all(1, options, false)
    }

    fn run_all(count: usize, options: &[&str], is_set: bool) -> Result<Self, Missing> {
        let Some(program) = program() else {
            return Err(Missing::of("mongodb", "mongod"));
        };
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { program, members: Vec::new(), options, is_set };
        for _ in 0..count {
            server.members.push(Member { process: None, port: Port::free(), folder: Folder::new("mongodb") });
            let new = server.members.len() - 1;
            let runs = (0..ATTEMPTS).any(|_| {
                let runs = server.run(new);
                if !runs {
                    server.members[new].port = Port::free();
                }
                runs
            });
            assert!(runs, "no MongoDB after {ATTEMPTS} attempts: {}", server.members[new].log());
        }
        Ok(server)
    }

    /// The port of the first member.
    pub fn port(&self) -> u16 {
        self.port_of(0)
    }

    /// The port of this member.
    pub fn port_of(&self, member: usize) -> u16 {
        self.members[member].port.number()
    }

    /// The folder of the first member.
    pub fn folder(&self) -> &Path {
        self.members[0].folder.path()
    }

    /// The URL of all members.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.members.iter().map(Member::host).collect();
        let set = if self.is_set { "?replicaSet=set" } else { "" };
        format!("mongodb://{}/{set}", hosts.join(","))
    }

    /// Which member takes writes now.
    pub fn primary(&self) -> Option<usize> {
        let is_primary =
            |member: &Member| member.hello().is_some_and(|hello| is(&hello, "isWritablePrimary"));
        self.members.iter().position(is_primary)
    }

    /// The same, as soon as there is one.
    ///
    /// # Panics
    /// If there is none in the time of a start.
    pub fn wait_for_primary(&self) -> usize {
        let mut primary = None;
        self.wait_for("a primary", || {
            primary = self.primary();
            primary.is_some()
        });
        primary.unwrap()
    }

    /// Ends this member at once, as `kill -9` does.
    pub fn kill(&mut self, member: usize) {
        self.members[member].process = None;
    }

    /// Starts this member again on its port, and waits until it is of use: alone it has to take writes.
    ///
    /// # Panics
    /// If it does not start.
    pub fn start_again(&mut self, member: usize) {
        assert!(self.run(member), "MongoDB starts again: {}", self.members[member].log());
        let is_alone = self.members.len() == 1;
        self.wait_for("the member", || {
            if is_alone { self.primary().is_some() } else { self.members[member].is_of_use() }
        });
    }

    /// Stops this member in its tracks: the kernel still accepts connections for it.
    pub fn pause(&self, member: usize) {
        self.members[member].process.as_ref().unwrap().pause();
    }

    /// Lets this member go on.
    pub fn resume(&self, member: usize) {
        self.members[member].process.as_ref().unwrap().resume();
    }

    /// Runs a command of the database `admin` on the first member.
    ///
    /// # Panics
    /// If the server refuses it.
    pub fn admin(&self, command: Document) -> Document {
        ask(self.port(), command).unwrap()
    }

    fn run(&mut self, i: usize) -> bool {
        let member = &mut self.members[i];
        let data = member.folder.path().join("data");
        fs::create_dir_all(&data).unwrap();
        let log = member.folder.path().join("log");
        let _ = fs::remove_file(&log);
        let mut command = Command::new(&self.program);
        command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]);
        command.arg("--port").arg(member.port.number().to_string());
        command.arg("--dbpath").arg(data);
        command.arg("--logpath").arg(&log);
        // Expired documents go within a second, not within a minute.
        command.args(["--setParameter", "ttlMonitorSleepSecs=1"]);
        command.args(["--setParameter", "enableTestCommands=1"]);
        command.args(["--setParameter", "diagnosticDataCollectionEnabled=false"]);
        if self.is_set {
            command.args(["--replSet", "set", "--oplogSize", "64"]);
        }
        command.args(&self.options).stdout(Stdio::null()).stderr(Stdio::null());
        let is_ready = || fs::read_to_string(&log).is_ok_and(|log| log.contains("Waiting for connections"));
        member.process = Process::start(command, is_ready).unwrap();
        member.process.is_some()
    }

    fn wait_for(&self, what: &str, mut is_there: impl FnMut() -> bool) {
        let until = Instant::now() + STARTS_WITHIN;
        while !is_there() {
            let logs = || self.members.iter().map(Member::log).collect::<Vec<_>>().join("\n");
            assert!(Instant::now() < until, "{what} within {STARTS_WITHIN:?}: {}", logs());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Failing for MongoDb {
    fn die(&mut self) {
        self.kill(0);
    }

    fn live_again(&mut self) {
        self.start_again(0);
    }

    fn pause(&self) {
        MongoDb::pause(self, 0);
    }

    fn resume(&self) {
        MongoDb::resume(self, 0);
    }
}

impl Member {
    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port.number())
    }

    fn hello(&self) -> Option<Document> {
        self.process.as_ref()?;
        ask(self.port.number(), doc! { "hello": 1 }).ok()
    }

    /// Whether it follows or leads.
    fn is_of_use(&self) -> bool {
        self.hello().is_some_and(|hello| is(&hello, "isWritablePrimary") || is(&hello, "secondary"))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn is(hello: &Document, what: &str) -> bool {
    hello.get_bool(what).unwrap_or_default()
}

/// A command for this member alone, from a thread of its own: whoever asks may be on a runtime.
fn ask(port: u16, command: Document) -> mongodb::error::Result<Document> {
    let asking = async move {
        let within = ANSWERS_WITHIN.as_millis();
        let url = format!(
            "mongodb://127.0.0.1:{port}/?directConnection=true&serverSelectionTimeoutMS={within}&connectTimeoutMS={within}"
        );
        let client = mongodb::Client::with_uri_str(url).await?;
        let answer = client.database("admin").run_command(command).await;
        client.shutdown().immediate(true).await;
        answer
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || runtime().block_on(asking)).join().unwrap()
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap()
}

/// The server's program: the one on the path if it is as new as the pinned one.
fn program() -> Option<PathBuf> {
    let pinned = cache::folder().join(PINNED);
    let own = PathBuf::from("mongod");
    if version(&own).is_some_and(|version| version >= PINNED_VERSION) {
        return Some(own);
    }
    version(&pinned).map(|_| pinned)
}

fn version(program: &Path) -> Option<[u32; 3]> {
    let answer = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let text = text.lines().find_map(|line| line.strip_prefix("db version v"))?;
    let mut parts = text.split(['.', '-']).map_while(|part| part.parse().ok());
    Some([parts.next()?, parts.next()?, parts.next()?])
}

/// Makes a replica set of a server that was started for one and is in none yet, as a container may be.
fn found(url: &str) {
    let url = url.to_owned();
    let founding = async move {
        let client = mongodb::Client::with_uri_str(url).await?;
        let admin = client.database("admin");
        let until = Instant::now() + STARTS_WITHIN;
        let mut hello = admin.run_command(doc! { "hello": 1 }).await?;
        if is(&hello, "isreplicaset") {
            admin.run_command(doc! { "replSetInitiate": {} }).await?;
        }
        while !is(&hello, "isWritablePrimary") && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
            hello = admin.run_command(doc! { "hello": 1 }).await?;
        }
        mongodb::error::Result::Ok(())
    };
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // What cannot be reached, or needs no help, the tests will tell.
    let _ = std::thread::spawn(move || runtime().block_on(founding)).join().unwrap();
}

/// A replica set that tests share: theirs alone, or the one that `STICKYSTORE_MONGODB_URL` names.
#[derive(Debug)]
pub struct Shared {
    url: String,
    /// Kept for as long as somebody uses it.
    _server: Option<MongoDb>,
}

impl Shared {
    /// The one of this process, with what `prepare` made of it when it was new; it ends with its last user.
    ///
    /// # Errors
    /// If there is no MongoDB here and none is required.
    pub fn get(prepare: impl FnOnce(&str)) -> Result<Arc<Self>, Missing> {
        static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
        // A test that failed to start one leaves it as it was.
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return Ok(running);
        }
        let running = match std::env::var("STICKYSTORE_MONGODB_URL") {
            Ok(url) => {
                found(&url);
                Self { url, _server: None }
            }
            Err(_) => {
                let server = MongoDb::start(&[])?;
                Self { url: server.url(), _server: Some(server) }
            }
        };
        prepare(&running.url);
        let running = Arc::new(running);
        *shared = Arc::downgrade(&running);
        Ok(running)
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }
}
