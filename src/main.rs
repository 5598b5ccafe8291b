//! The binary: command line, logger, exit codes. What the commands do is below `commands`.
//!
//! | Exit code | When |
//! |---|---|
//! | 0 | the command did what it was asked for; a server was drained after SIGTERM or SIGINT |
//! | 1 | the command could not be carried out: port taken, out of descriptors; a server was ended by a second signal |
//! | 2 | the command line, the environment or the settings are wrong |
//!
//! Whatever is wrong is said in one line on standard error.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

use std::io::{self, Write};
use std::process::ExitCode;

mod commands;
mod log_queue;

use commands::{CommandLine, Failure};

fn main() -> ExitCode {
    let command_line = match CommandLine::parse(std::env::args_os()) {
        Ok(command_line) => command_line,
        Err(error) if !error.use_stderr() => {
            // The help or the version; a reader who has gone away does not need it any more.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => return fail(&Failure::Usage(commands::one_line(&error))),
    };
    log_queue::start(command_line.log_level());
    command_line.warn();
    let result = command_line.run();
    log::logger().flush();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => fail(&failure),
    }
}

/// Says what is wrong and chooses the exit code.
fn fail(failure: &Failure) -> ExitCode {
    let (text, code) = match failure {
        Failure::Usage(text) => (text, 2),
        Failure::Runtime(text) => (text, 1),
    };
    // Not `eprintln`, which panics if standard error is closed: the exit code is still worth having.
    let _ = writeln!(io::stderr(), "switchboard: {text}");
    ExitCode::from(code)
}
