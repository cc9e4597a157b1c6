//! What a run is told: backend, server, what is measured and how far.

use std::path::PathBuf;

use crate::measure::Effort;
use crate::operation::Operation;

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Async,
    Blocking,
    OpenLoop,
    /// Only where allocations are counted.
    Memory,
}

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) backend: String,
    pub(crate) url: String,
    pub(crate) effort: Effort,
    pub(crate) added_ms: f64,
    pub(crate) json: Option<PathBuf>,
    pub(crate) plots: Option<PathBuf>,
    pub(crate) parts: Vec<Part>,
    pub(crate) only: Vec<String>,
    pub(crate) who: Option<String>,
    pub(crate) server: Option<u32>,
    pub(crate) callers: Vec<usize>,
    /// Nothing: as many as suit the store.
    pub(crate) in_flight: Option<Vec<usize>>,
    pub(crate) users: usize,
}

const PARTS: [(&str, Part); 4] = [
    ("async", Part::Async),
    ("blocking", Part::Blocking),
    ("open-loop", Part::OpenLoop),
    ("memory", Part::Memory),
];

impl Options {
    /// Reads the words of a command line.
    pub(crate) fn from_words(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            backend: "redis".to_owned(),
            url: String::new(),
            effort: Effort::full(),
            added_ms: 0.0,
            json: None,
            plots: None,
            parts: PARTS.map(|(_, part)| part).into(),
            only: Vec::new(),
            who: None,
            server: None,
            callers: vec![1, 16, 64, 256],
            in_flight: None,
            users: 1_000,
        };
        while let Some(word) = words.next() {
            if word == "--short" {
                options.effort = Effort::short();
                options.callers = vec![1, 64, 256];
                continue;
            }
            let text = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let wrong = |what: &str| format!("{word} needs {what}, not {text:?}");
            match word.as_str() {
                "--backend" => options.backend = text,
                "--url" => options.url = text,
                "--json" => options.json = Some(text.into()),
                "--plots" => options.plots = Some(text.into()),
                "--who" => options.who = Some(text),
                "--server-pid" => options.server = Some(text.parse().map_err(|_| wrong("a number"))?),
                "--parts" => {
                    options.parts =
                        parts(&text).ok_or_else(|| wrong("some of async,blocking,open-loop,memory"))?
                }
                "--only" => options.only = operations(&text)?,
                "--added-ms" => options.added_ms = text.parse().map_err(|_| wrong("milliseconds"))?,
                "--rounds" => options.effort.rounds = number(&text).ok_or_else(|| wrong("a number"))?,
                "--users" => options.users = number(&text).ok_or_else(|| wrong("a number"))?,
                "--callers" => options.callers = numbers(&text).ok_or_else(|| wrong("numbers as 1,16"))?,
                "--in-flight" => {
                    options.in_flight = Some(numbers(&text).ok_or_else(|| wrong("numbers as 2,4"))?)
                }
                _ => return Err(format!("{word} is unknown")),
            }
        }
        if options.url.is_empty() {
            return Err("--url says where the server is; `cargo xtask bench` starts one".to_owned());
        }
        Ok(options)
    }

    /// Whether this operation is to be measured.
    pub(crate) fn is_asked(&self, operation: Operation) -> bool {
        self.only.is_empty() || self.only.contains(&operation.to_string())
    }
}

/// Operations by what rows call them, with commas between.
fn operations(text: &str) -> Result<Vec<String>, String> {
    let known: Vec<_> = Operation::ALL.iter().map(ToString::to_string).collect();
    let asked: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
    match asked.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(format!("there is no operation {name:?}; there are: {}", known.join(", "))),
        None => Ok(asked),
    }
}

fn parts(text: &str) -> Option<Vec<Part>> {
    let part = |asked: &str| PARTS.iter().find(|(name, _)| *name == asked).map(|(_, part)| *part);
    text.split(',').map(part).collect()
}

fn number(text: &str) -> Option<usize> {
    text.parse().ok().filter(|number| *number > 0)
}

fn numbers(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(number).collect()
}
