//! What a verb answers to the shell: its exit code, and its words on stdout and stderr.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use stickystore_core::ErrorKind;

/// What a verb found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All is well.
    Yes,
    /// The answer is no: something flipped, was kept, is not there, was found.
    No,
}

/// What the documentation says of exit codes.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 all is well; 1 the answer is no; 2 the arguments or the input are \
    wrong; 3 the store failed.";

impl From<bool> for Answer {
    fn from(is_yes: bool) -> Self {
        if is_yes { Self::Yes } else { Self::No }
    }
}

/// Something wrong with what was given.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Wrong {}

/// Ends the process's work with what was found.
pub(crate) fn exit(answer: Result<Answer, Box<dyn Error>>) -> ExitCode {
    match answer {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            complain(&error.to_string());
            let mut source = error.source();
            while let Some(below) = source {
                ask(&format!("  because: {}\n", one_line(&below.to_string())));
                source = below.source();
            }
            ExitCode::from(code(&*error))
        }
    }
}

fn code(error: &(dyn Error + 'static)) -> u8 {
    let mut next = Some(error);
    while let Some(error) = next {
        let ours = error.downcast_ref::<stickystore_core::Error>();
        if ours.is_some_and(|error| !is_input(error.kind())) {
            return 3;
        }
        next = error.source();
    }
    2
}

/// Whether an error of this kind is about what was given, and not the store's failure.
pub(crate) fn is_input(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Invalid | ErrorKind::TooLarge | ErrorKind::Unsupported | ErrorKind::Config)
}

/// Says on stderr what is wrong.
pub(crate) fn complain(text: &str) {
    ask(&format!("stickystore: {}\n", one_line(text)));
}

/// Writes to stderr. Where nobody can read that, the exit code still says it.
pub(crate) fn ask(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

/// Without anything that a terminal would act on.
pub(crate) fn one_line(text: &str) -> String {
    // Besides control characters: what ends a line or turns the direction of the text.
    let acts = |c: char| {
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
    };
    let shown = |c: char| if acts(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

/// Prints what was found. Whoever reads it may stop reading, as `head` does.
pub(crate) fn say(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}

/// How much of an input is taken for one profile, record or value: more than any store keeps of a user's entry.
pub(crate) const MAX_INPUT: u64 = 16 << 20;

/// What is in this file, or on stdin if it is `-`.
pub(crate) fn read_input(file: &str) -> Result<String, Box<dyn Error>> {
    let name = if file == "-" { "stdin" } else { file };
    let wrong = |error: std::io::Error| Wrong(format!("{name}: {error}"));
    let input: Box<dyn std::io::Read> =
        if file == "-" { Box::new(std::io::stdin()) } else { Box::new(File::open(file).map_err(wrong)?) };
    let mut text = String::new();
    input.take(MAX_INPUT + 1).read_to_string(&mut text).map_err(wrong)?;
    if text.len() as u64 > MAX_INPUT {
        return Err(Wrong(format!("{name}: has more than {MAX_INPUT} bytes")).into());
    }
    Ok(text)
}
