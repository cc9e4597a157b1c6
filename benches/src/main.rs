//! What stickystore's stores cost beside the bare drivers, interleaved in one run. `cargo xtask bench` starts servers of its
//! own and runs this; by hand: `cargo run --release --manifest-path benches/Cargo.toml -- --backend redis --url redis://..`.
//!
//! Rows go to standard output as they are measured, whole as JSON with `--json FILE`, and as plots with `--plots FOLDER`.

use std::path::PathBuf;
use std::process::ExitCode;

mod measure;
mod plot;
mod rows;
#[cfg(feature = "redis")]
mod with_redis;
mod words;

use measure::Effort;
use rows::Row;

struct Options {
    backend: String,
    url: String,
    effort: Effort,
    added_ms: f64,
    json: Option<PathBuf>,
    plots: Option<PathBuf>,
    only: Option<String>,
    who: Option<String>,
    server: Option<u32>,
    callers: Vec<usize>,
    in_flight: Vec<usize>,
    users: usize,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("{wrong}");
            return ExitCode::from(2);
        }
    };
    println!("{}", Row::HEADINGS);
    let rows = match options.backend.as_str() {
        #[cfg(feature = "redis")]
        "redis" => with_redis::rows(&options).await,
        other => {
            eprintln!("the backend {other:?} is not in this build: add its feature");
            return ExitCode::from(2);
        }
    };
    let written = options.json.map_or(Ok(()), |path| std::fs::write(path, rows::json(&rows)));
    let drawn = written.and_then(|()| options.plots.map_or(Ok(()), |folder| plot::draw(&folder, &rows)));
    match drawn {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        backend: "redis".to_owned(),
        url: String::new(),
        effort: Effort::full(),
        added_ms: 0.0,
        json: None,
        plots: None,
        only: None,
        who: None,
        server: None,
        callers: vec![1, 16, 64, 256],
        in_flight: vec![stickystore_layers::coalesce::Bounds::default().in_flight],
        users: 1_000,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--short" {
            options.effort = Effort::short();
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
            "--only" => options.only = Some(text),
            "--added-ms" => options.added_ms = text.parse().map_err(|_| wrong("milliseconds"))?,
            "--users" => options.users = text.parse().map_err(|_| wrong("a number"))?,
            "--callers" => options.callers = numbers(&text).ok_or_else(|| wrong("numbers as 1,16"))?,
            "--in-flight" => options.in_flight = numbers(&text).ok_or_else(|| wrong("numbers as 2,4"))?,
            _ => return Err(format!("{word} is unknown")),
        }
    }
    if options.url.is_empty() {
        return Err("--url says where the server is; `cargo xtask bench` starts one".to_owned());
    }
    Ok(options)
}

fn numbers(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(|number| number.parse().ok().filter(|number| *number > 0)).collect()
}
