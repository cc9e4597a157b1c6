//! What a verb answers to the shell: its exit code, and its words on stdout and stderr.

use std::error::Error;
use std::fmt;
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
            eprintln!("stickystore: {error}");
            let mut source = error.source();
            while let Some(below) = source {
                eprintln!("  because: {below}");
                source = below.source();
            }
            ExitCode::from(code(&*error))
        }
    }
}

fn code(error: &(dyn Error + 'static)) -> u8 {
    use ErrorKind::{Config, Invalid, TooLarge, Unsupported};
    match error.downcast_ref::<stickystore_core::Error>().map(stickystore_core::Error::kind) {
        Some(Invalid | TooLarge | Unsupported | Config) | None => 2,
        Some(_) => 3,
    }
}

/// Prints what was found. Whoever reads it may stop reading, as `head` does.
pub(crate) fn say(text: &str) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        said => said,
    }
}

/// What is in this file, or on stdin if it is `-`.
pub(crate) fn read_input(file: &str) -> Result<String, Box<dyn Error>> {
    let mut text = String::new();
    if file == "-" {
        std::io::stdin()
            .lock()
            .read_to_string(&mut text)
            .map_err(|error| Wrong(format!("stdin: {error}")))?;
    } else {
        text = std::fs::read_to_string(file).map_err(|error| Wrong(format!("{file}: {error}")))?;
    }
    Ok(text)
}
