//! Connections: making one, knowing whether it is alive, and sending commands over it by a deadline.

use std::sync::Arc;
use std::time::Instant;

use stickystore_core::{Effect, Result};
use stickystore_transport::{Connect, Detach, Pace, Pipe, Secret, Stream, Target};

use crate::config::Config;
use crate::error;
use crate::wire::{Asked, Commands, Reply};

/// One connection at a time, made when it is needed and made anew when it died.
pub(crate) type Lane = stickystore_transport::Lane<Connector>;

/// Sends the commands together and awaits all answers. Nothing is ever sent twice.
///
/// # Errors
/// By its effect it says whether anything can have been sent.
pub(crate) async fn send(lane: &Arc<Lane>, commands: Commands, deadline: Instant) -> Result<Vec<Reply>> {
    let connection = lane.connection(deadline).await?;
    connection.run(deadline, connection.link().send(commands)).await
}

/// How connections are made.
#[derive(Clone)]
pub(crate) struct Connector {
    target: Target,
    user: Option<String>,
    password: Option<Secret>,
    database: i64,
}

impl Connector {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let target = Target::new(&config.address, &config.tls)?;
        let Config { user, password, database, .. } = config.clone();
        Ok(Self { target, user, password, database })
    }

    /// Logs in, and sees that the server takes commands from us, before a write depends on it.
    async fn set_up(&self, link: &Link) -> Result<()> {
        let greet = async |user| link.send(self.greeting(user)).await.map_err(error::setting_up);
        let mut answers = greet(self.user.as_deref()).await?;
        let is_older = |answer: &Reply| answer.refusal().is_some_and(error::knows_no_users);
        if self.user.is_some() && answers.first().is_some_and(is_older) {
            answers = greet(None).await?;
        }
        let mut answers = answers.iter();
        let mut refusal = || answers.next().and_then(Reply::refusal);
        if self.password.is_some()
            && let Some(refusal) = refusal()
        {
            return Err(error::login_refused(refusal));
        }
        if self.database != 0
            && let Some(refusal) = refusal()
        {
            return Err(error::database_refused(refusal));
        }
        match answers.next_back().ok_or_else(error::odd_answer)?.refusal() {
            // Who may not ping may still write.
            Some(refusal) if refusal.code() != "NOPERM" => Err(error::refused(refusal)),
            _ => Ok(()),
        }
    }

    /// What is said first.
    fn greeting(&self, user: Option<&str>) -> Commands {
        let mut commands = Commands::default();
        if let Some(password) = &self.password {
            let password = password.reveal();
            match user {
                Some(user) => commands.push(&["AUTH", user, password]),
                None => commands.push(&["AUTH", password]),
            }
        }
        if self.database != 0 {
            commands.push(&["SELECT", &self.database.to_string()]);
        }
        // Servers before 7.2 do not know it.
        let (name, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        commands.push(&["CLIENT", "SETINFO", "LIB-NAME", name]);
        commands.push(&["CLIENT", "SETINFO", "LIB-VER", version]);
        commands.push(&["PING"]);
        commands
    }
}

impl Connect for Connector {
    type Link = Link;

    async fn connect(&self) -> Result<Link> {
        let link = Link::over(self.target.connect().await?);
        self.set_up(&link).await.map_err(|error| error.with_effect(Effect::NotApplied))?;
        Ok(link)
    }
}

/// One connection.
pub(crate) struct Link(Pipe<Asked>);

impl Link {
    fn over(stream: Stream) -> Self {
        Self(Pipe::over(stream, Pace::AllAtOnce))
    }

    async fn send(&self, commands: Commands) -> Result<Vec<Reply>> {
        let (parts, asked) = commands.ask();
        let answers = self.0.ask(parts, asked).await?;
        if answers.iter().filter_map(Reply::first_refusal).any(error::has_moved_on) {
            // Whoever comes next shall look where the server is now.
            self.0.retire();
        }
        Ok(answers)
    }
}

impl stickystore_transport::Link for Link {
    fn is_alive(&self) -> bool {
        self.0.is_alive()
    }
}

impl Detach for Link {
    type Question = Asked;

    fn pipe(&self) -> &Pipe<Asked> {
        &self.0
    }

    async fn detach(self) -> Result<Self> {
        self.0.own().await.map(Self)
    }
}
