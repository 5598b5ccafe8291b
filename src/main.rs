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
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use log::{LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

mod commands;

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
    set_logger(command_line.log_level());
    commands::warn_of_unknown_variables();
    match command_line.run() {
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

/// Sends the log to standard error, from `level` up.
fn set_logger(level: LevelFilter) {
    let logger = SimpleLogger::new().with_level(level).with_utc_timestamps();
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(EnduringLogger(logger)))
        .expect("no logger was set before this one");
}

/// A logger that outlives standard error (LG-04): `SimpleLogger` panics on a closed pipe, which would take an event
/// loop and its connections with it.
struct EnduringLogger(SimpleLogger);

impl Log for EnduringLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        // The line is lost; there is nobody left to tell.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| self.0.log(record)));
    }

    fn flush(&self) {
        self.0.flush();
    }
}
