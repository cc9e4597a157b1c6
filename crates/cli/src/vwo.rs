//! `get` and `set`: VWO's User Storage Service, in the JSON of its SDKs.

use std::error::Error;

use stickystore_services::vwo::Dialect;

use crate::answer::{Answer, one_line, read_input, say};
use crate::opening::{RetiredOptions, StoreOptions};
use crate::optimizely::tell;

#[derive(clap::Args)]
pub(crate) struct GetOptions {
    /// The user's id
    user: String,
    /// The campaign's key
    campaign: String,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    retired: RetiredOptions,
    /// In which SDK's spelling the JSON is
    #[arg(long, value_enum, default_value_t = Spelling::Node)]
    spelling: Spelling,
    /// Print the record as the SDK gets it
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct SetOptions {
    /// A file with the record as an SDK sets it, in any spelling; - reads stdin
    #[arg(default_value = "-")]
    file: String,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    retired: RetiredOptions,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// How an SDK spells a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Spelling {
    /// userId, goalIdentifier; Java and PHP too
    Node,
    /// userId, goalIdentifiers
    Python,
    /// user_id, goal_identifier
    Ruby,
    /// UserId, GoalIdentifier
    Dotnet,
    /// UserID, GoalIdentifier
    Go,
}

impl From<Spelling> for Dialect {
    fn from(spelling: Spelling) -> Self {
        match spelling {
            Spelling::Node => Self::Node,
            Spelling::Python => Self::Python,
            Spelling::Ruby => Self::Ruby,
            Spelling::Dotnet => Self::DotNet,
            Spelling::Go => Self::Go,
        }
    }
}

/// Prints the record; no if there is none.
pub(crate) fn get(options: &GetOptions) -> Result<Answer, Box<dyn Error>> {
    let record = options.retired.of(options.store.open()?).vwo().get(&options.user, &options.campaign)?;
    say(&match (&record, options.json) {
        (Some(record), true) => record.to_json(options.spelling.into()) + "\n",
        (None, true) => "null\n".to_owned(),
        (Some(record), false) => {
            let goals: Vec<_> = record.goals().map(one_line).collect();
            let goals =
                if goals.is_empty() { String::new() } else { format!("  goals {}", goals.join(", ")) };
            format!("{}{goals}\n", one_line(record.variation_name()))
        }
        (None, false) => "nothing is kept of this user and campaign\n".to_owned(),
    })?;
    Ok(record.is_some().into())
}

/// Sets the record and prints what became of it; no if another variation was kept.
pub(crate) fn set(options: &SetOptions) -> Result<Answer, Box<dyn Error>> {
    let record = read_input(&options.file)?;
    let report = options.retired.of(options.store.open()?).vwo().set_json(&record)?;
    tell(&report, options.json)
}
