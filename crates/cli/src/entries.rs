//! `assign`, `put`, `remove`, `erase`, `export`: a user's entries, one by one and all together.

use std::error::Error;

use stickystore::{How, Value};
use stickystore_core::json::ObjectWriter;

use crate::answer::{Answer, one_line, read_input, say};
use crate::opening::{RetiredOptions, StoreOptions};

#[derive(clap::Args)]
pub(crate) struct AssignOptions {
    #[command(flatten)]
    named: Named,
    /// What to keep if there is nothing yet: text; - reads JSON from stdin
    value: String,
    #[command(flatten)]
    store: StoreOptions,
    #[command(flatten)]
    retired: RetiredOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct PutOptions {
    #[command(flatten)]
    named: Named,
    /// What to put there: text; - reads JSON from stdin
    value: String,
    #[command(flatten)]
    store: StoreOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct RemoveOptions {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    store: StoreOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(crate) struct UserOptions {
    /// The user's id
    user: String,
    #[command(flatten)]
    store: StoreOptions,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Named {
    /// The user's id
    user: String,
    /// The experiment, campaign or feature
    key: String,
}

/// Keeps the value unless the user has one, and prints what is kept.
pub(crate) fn assign(options: &AssignOptions) -> Result<Answer, Box<dyn Error>> {
    let value = value(&options.value)?;
    let sticky = options.retired.of(options.store.open()?);
    let assigned = sticky.assign(&options.named.user, &options.named.key, || value)?;
    let how = match assigned.how {
        How::New => "new",
        How::Existing => "existing",
    };
    if options.json {
        let mut object = ObjectWriter::new();
        object.raw("value", assigned.entry.value.as_str());
        object.string("how", how);
        say(&(object.finish() + "\n"))?;
    } else {
        say(&format!("{} ({how})\n", shown(&assigned.entry.value)))?;
    }
    Ok(Answer::Yes)
}

/// Puts the value there, whatever stood there.
pub(crate) fn put(options: &PutOptions) -> Result<Answer, Box<dyn Error>> {
    let value = value(&options.value)?;
    let entry = options.store.open()?.put(&options.named.user, &options.named.key, value)?;
    if options.json {
        let mut object = ObjectWriter::new();
        object.raw("value", entry.value.as_str());
        object.string("revision", &entry.revision.to_string());
        say(&(object.finish() + "\n"))?;
    } else {
        say(&format!("{} (put)\n", shown(&entry.value)))?;
    }
    Ok(Answer::Yes)
}

/// Takes away what stands there; no if that is nothing.
pub(crate) fn remove(options: &RemoveOptions) -> Result<Answer, Box<dyn Error>> {
    let removed = options.store.open()?.remove(&options.named.user, &options.named.key)?;
    say(&match (options.json, removed) {
        (true, _) => format!("{{\"removed\":{removed}}}\n"),
        (false, true) => "removed\n".to_owned(),
        (false, false) => "there was nothing\n".to_owned(),
    })?;
    Ok(removed.into())
}

/// Erases all that the user has; no if that is nothing.
pub(crate) fn erase(options: &UserOptions) -> Result<Answer, Box<dyn Error>> {
    let erasure = options.store.open()?.erase(&options.user)?;
    if options.json {
        let mut object = ObjectWriter::new();
        object.raw("stood", if erasure.stood { "true" } else { "false" });
        object.string("epoch", &erasure.epoch.to_string());
        object.number("mark_until_ms", erasure.mark_until.get());
        if let Some(why) = &erasure.may_return {
            object.string("may_return", why);
        }
        say(&(object.finish() + "\n"))?;
    } else {
        let mut text = if erasure.stood { "erased\n".to_owned() } else { "there was nothing\n".to_owned() };
        if let Some(why) = &erasure.may_return {
            text += &format!("note: {why}\n");
        }
        say(&text)?;
    }
    Ok(erasure.stood.into())
}

/// Prints all that is kept of the user; no if that is nothing.
pub(crate) fn export(options: &UserOptions) -> Result<Answer, Box<dyn Error>> {
    let sticky = options.store.open()?;
    let profile = sticky.load(&options.user)?;
    if options.json {
        say(&(sticky.export(&options.user)? + "\n"))?;
        return Ok((!profile.is_empty()).into());
    }
    let mut text = String::new();
    for (key, entry) in profile.entries() {
        let end = match entry.expiry {
            stickystore_core::Expiry::At(end) => format!("  until {end} ms"),
            _ => String::new(),
        };
        text += &format!("{}  {}{end}\n", one_line(key.as_str()), one_line(entry.value.as_str()));
    }
    for damaged in profile.damaged() {
        text += &format!("{}  DAMAGED: it {}\n", one_line(damaged.key.as_str()), damaged.damage);
    }
    say(if text.is_empty() { "nothing is kept of this user\n" } else { &text })?;
    Ok((!profile.is_empty()).into())
}

/// The value that an argument says.
fn value(argument: &str) -> Result<Value, Box<dyn Error>> {
    if argument == "-" { Ok(Value::new(read_input("-")?)?) } else { Ok(Value::string(argument)) }
}

/// A value as a person reads it: what a string says, else JSON.
fn shown(value: &Value) -> String {
    one_line(&value.as_string().unwrap_or_else(|| value.as_str().into()))
}
