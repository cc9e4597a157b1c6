//! The program `torture`: its arguments, and what it prints.

use std::process::ExitCode;
use std::time::Duration;

use super::backend::Backend;
use super::child::child;
use super::plants::{PLANTS, SOUND};
use super::process::CHILD;
use super::run::{Plan, Until, run};
use crate::server::Missing;

/// How it is called.
const USAGE: &str = "usage: torture [--backend <name>] [--nodes <n>] [--seconds <n> | --acts <n>] [--seed <n>] [--layers] [--plant <name>] [--json]";

/// How long a run takes unless it is told.
const SECONDS: u64 = 60;

/// Runs the program: 0 if nothing was lost, 1 if something was, 2 for wrong arguments, 3 if the server is not there, 4 if too
/// little happened to judge by, 5 if the run itself could not go on.
pub fn command() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [first, order] = arguments.as_slice()
        && first == CHILD
    {
        child(order);
        return ExitCode::SUCCESS;
    }
    let (plan, is_json) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(wrong) => {
            eprintln!("{wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let program = std::env::current_exe().unwrap();
    let verdict = match run(&program.display().to_string(), &plan) {
        Ok(verdict) => verdict,
        Err(Missing(why)) => {
            eprintln!("{why}; `cargo xtask test --install` brings it");
            return ExitCode::from(3);
        }
    };
    if is_json {
        println!("{}", verdict.to_json());
    } else {
        print!("{verdict}");
    }
    if let Some(objection) = verdict.objection() {
        eprintln!("{objection}\nkept in {}", verdict.kept.display());
    }
    ExitCode::from(verdict.end().exit_code())
}

fn parse(arguments: &[String]) -> Result<(Plan, bool), String> {
    let seed = super::clock::now() % 1_000_000;
    let mut plan = Plan {
        backend: Backend::Redis,
        nodes: 1,
        seed,
        until: Until::Time(Duration::from_secs(SECONDS)),
        plant: None,
        is_layered: false,
    };
    let mut is_json = false;
    // `--name=value` is `--name value`.
    let words = arguments.iter().flat_map(|argument| argument.split('='));
    let words: Vec<_> = words.map(str::to_owned).collect();
    let mut rest = words.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
        let number = |text: &String| {
            text.parse::<u64>().map_err(|_| format!("{argument} needs a number, and {text:?} is none"))
        };
        match argument.as_str() {
            "--backend" => {
                let name = value()?;
                let names: Vec<_> = Backend::ALL.iter().map(|(name, _)| *name).collect();
                plan.backend = Backend::named(name)
                    .ok_or_else(|| format!("no backend {name:?}; there are {}", names.join(", ")))?;
            }
            "--seconds" => plan.until = Until::Time(Duration::from_secs(number(value()?)?)),
            "--acts" => plan.until = Until::Acts(number(value()?)?),
            "--seed" => plan.seed = number(value()?)?,
            "--nodes" => {
                let nodes = number(value()?)?;
                plan.nodes = u8::try_from(nodes).map_err(|_| format!("{nodes} are too many nodes"))?;
            }
            "--plant" => {
                let name = value()?;
                plan.plant = PLANTS.into_iter().chain([SOUND]).find(|known| known == name);
                if plan.plant.is_none() {
                    return Err(format!("no plant {name:?}; there are {}", PLANTS.join(", ")));
                }
            }
            "--json" => is_json = true,
            "--layers" => plan.is_layered = true,
            _ => return Err(format!("no option {argument:?}")),
        }
    }
    if !plan.backend.has_nodes(plan.nodes) {
        return Err("--nodes is 1, or 3 for mongodb and cassandra".to_owned());
    }
    Ok((plan, is_json))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Plan, bool), String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_said_is_planned() {
        let (plan, is_json) =
            parsed("--backend=mongodb --nodes 3 --seconds 5 --seed=7 --layers --json").unwrap();
        assert_eq!((plan.backend, plan.nodes, plan.seed, is_json), (Backend::MongoDb, 3, 7, true));
        assert!(plan.is_layered);
        assert!(matches!(plan.until, Until::Time(time) if time == Duration::from_secs(5)));
    }

    #[test]
    fn what_is_wrong_is_named_with_what_there_is() {
        for (line, says) in [
            ("--backend mysql", "no backend \"mysql\"; there are memory, embedded"),
            ("--backend redis --nodes 3", "--nodes is 1, or 3 for mongodb and cassandra"),
            ("--seconds soon", "--seconds needs a number, and \"soon\" is none"),
            ("--seed", "--seed needs a value"),
            ("--plant tree", "no plant \"tree\"; there are whole-profile"),
            ("--fast", "no option \"--fast\""),
        ] {
            let wrong = parsed(line).unwrap_err();
            assert!(wrong.starts_with(says), "{line}: {wrong}");
        }
    }
}
