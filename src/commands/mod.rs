//! The commands of the binary, and how their flags are found on the command line and in the environment.
//!
//! Every flag has an environment variable: that of `--max-message` is `SWITCHBOARD_MAX_MESSAGE`. The flag wins over
//! the variable, the variable over the default, and an empty variable counts as unset, so that a line such as
//! `SWITCHBOARD_LISTEN=${LISTEN}` in somebody's service file does no harm. Flags without a value are switched on by
//! `true`, `yes`, `on` or `1`; lists are separated by commas.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, Write};

use clap::{Arg, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use log::LevelFilter;

mod access_keys;
mod bench;
mod completions;
mod compression;
mod connect;
#[cfg(feature = "tls")]
mod encryption;
mod history;
mod hub_access;
mod interrupt;
mod kick;
mod limits;
mod man;
mod place;
mod quantity;
mod send;
mod serve;
mod tail;
mod terminal;
mod token;
#[cfg(feature = "tls")]
mod trust;
mod who;

use access_keys::AccessKeys;
use bench::Bench;
use completions::Completions;
use connect::Connect;
use kick::Kick;
use man::Man;
use send::Send;
use serve::Serve;
use tail::Tail;
use token::Token;
use who::Who;

/// A WebSocket message server: broadcast, direct and group messages in one small binary.
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(
    name = "switchboard",
    version,
    subcommand_required = true,
    override_usage = "switchboard [COMMAND]",
    max_term_width = 100,
    after_help = EXIT_CODES
)]
pub(crate) struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    action: Action,

    /// Whether a secret stands on the command line, where others can read it.
    #[arg(skip)]
    shows_secret: bool,
}

/// What scripts go by; the commands add what is theirs.
const EXIT_CODES: &str = "\
Exit codes: 0 if it was done, 1 if it could not be done, 2 if the command line, the environment or the settings are wrong. \
Whatever is wrong is one line on standard error.";

/// What the binary can do.
#[derive(Debug, Subcommand)]
enum Action {
    Serve(Box<Serve>),
    Connect(Box<Connect>),
    Send(Box<Send>),
    Tail(Box<Tail>),
    Who(Box<Who>),
    Kick(Box<Kick>),
    Token(Box<Token>),
    Bench(Box<Bench>),
    Completions(Completions),
    Man(Man),
}

impl Action {
    /// Whether the environment can say anything to it. What others write into files when a shell starts has no flags.
    fn has_settings(&self) -> bool {
        !matches!(self, Self::Completions(_) | Self::Man(_))
    }
}

/// Why a command ended before its time; the text is one line for a person.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The command line, the environment or the settings are wrong.
    Usage(String),
    /// They are right, but it cannot be done here and now.
    Runtime(String),
}

impl CommandLine {
    /// Reads a command line, the program's name first, and for the flags that it lacks the environment.
    ///
    /// # Errors
    ///
    /// What is wrong with either; or the help or the version, if that was asked for.
    pub(crate) fn parse(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        if arguments.len() <= 1 {
            arguments = vec!["switchboard".into(), "serve".into()];
        }
        let matches = Self::definition().try_get_matches_from(arguments)?;
        Ok(Self {
            shows_secret: AccessKeys::are_on_display(&matches),
            ..Self::from_arg_matches(&matches)?
        })
    }

    /// All commands with all flags and their variables: what is parsed, shown as help, completed and printed as manual.
    fn definition() -> Command {
        Self::command().mut_subcommands(|command| command.mut_args(with_variable))
    }

    /// Warns of what is better done in another way.
    pub(crate) fn warn(&self) {
        if self.shows_secret {
            log::warn!(
                "other users of this machine can read the access key on the command line: \
                 give it with --access-key-file, or as SWITCHBOARD_ACCESS_KEY in the environment"
            );
        }
        if self.action.has_settings() {
            warn_of_unknown_variables();
        }
    }

    /// How much is to be logged.
    pub(crate) fn log_level(&self) -> LevelFilter {
        match &self.action {
            Action::Serve(serve) => serve.log_level(),
            _ => LevelFilter::Warn,
        }
    }

    /// Carries the command out; returns when it is done.
    ///
    /// # Errors
    ///
    /// Why it could not be done.
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Serve(serve) => serve.run(),
            Action::Connect(connect) => connect.run(),
            Action::Send(send) => send.run(),
            Action::Tail(tail) => tail.run(),
            Action::Completions(completions) => completions.run(Self::definition()),
            Action::Man(man) => man.run(Self::definition()),
            Action::Who(who) => who.run(),
            Action::Kick(kick) => kick.run(),
            Action::Token(token) => token.run(),
            Action::Bench(bench) => bench.run(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Usage(text) | Self::Runtime(text)) = self;
        f.write_str(text)
    }
}

/// Says the result of a command on standard output.
fn say(line: &str) {
    // Whoever has closed it does not want to know, which is no failure of the command.
    let _ = writeln!(io::stdout(), "{line}");
}

/// Writes the only result of a command to standard output.
///
/// # Errors
///
/// It cannot be written, and nobody has closed it on purpose.
fn write_out(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Runtime(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Warns of variables with our prefix that are not ours: somebody's slip of the pen, most likely.
///
/// It is not an error because Kubernetes sets variables such as `SWITCHBOARD_SERVICE_HOST` in every container of a
/// namespace that has a service of our name.
fn warn_of_unknown_variables() {
    let command_line = CommandLine::command();
    let known: Vec<String> = command_line
        .get_subcommands()
        .flat_map(Command::get_arguments)
        .filter_map(variable_name)
        .collect();
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with(VARIABLE_PREFIX) && !known.iter().any(|known| *known == name) {
            log::warn!("the environment variable {name:?} is not a setting and has no effect");
        }
    }
}

/// A complaint of the parser as one line: what is wrong and how to mend it, without the usage.
pub(crate) fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let complaint = text.split("\n\nUsage:").next().unwrap_or_default();
    let complaint = complaint
        .split("\n\nFor more information")
        .next()
        .unwrap_or_default();
    let words: Vec<&str> = complaint
        .trim_start_matches("error:")
        .split_whitespace()
        .collect();
    // Somebody's escape sequences are not for the terminal of whoever reads this.
    words
        .join(" ")
        .replace(" tip: ", "; tip: ")
        .replace(char::is_control, "?")
}

/// What the environment variables of all flags begin with.
const VARIABLE_PREFIX: &str = "SWITCHBOARD_";

/// Gives a flag its environment variable, unless that is set and empty.
fn with_variable(arg: Arg) -> Arg {
    let Some(name) = variable_name(&arg) else {
        return arg;
    };
    if env::var_os(&name).is_some_and(|value| value.is_empty()) {
        return arg;
    }
    // Values stay out of the help: one day there will be secrets among them.
    arg.env(name).hide_env_values(true)
}

/// The environment variable of a flag; `None` for what has no long name.
fn variable_name(arg: &Arg) -> Option<String> {
    let flag = arg.get_long()?;
    Some(format!(
        "{VARIABLE_PREFIX}{}",
        flag.to_uppercase().replace('-', "_")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(arguments: &[&str]) -> String {
        let arguments = ["switchboard"].iter().chain(arguments).map(OsString::from);
        one_line(&CommandLine::parse(arguments).unwrap_err())
    }

    #[test]
    fn the_definition_of_the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_complaint_is_one_line_that_names_the_flag() {
        assert_eq!(
            complaint(&["serve", "--max-message", "much"]),
            "invalid value 'much' for '--max-message <SIZE>': \
             not a size: give a number of bytes, or one with KiB, MiB or GiB"
        );
    }

    #[test]
    fn a_complaint_keeps_the_tip() {
        let line = complaint(&["serve", "--max-mesage", "1KiB"]);
        assert!(
            line.contains("unexpected argument '--max-mesage' found"),
            "{line}"
        );
        assert!(line.contains("'--max-message'"), "{line}");
        assert!(!line.contains("Usage"), "{line}");
    }

    #[test]
    fn a_complaint_repeats_no_line_breaks_and_no_escape_sequences() {
        let line = complaint(&["serve", "--listen", "a\n\u{1b}[31mb"]);
        assert!(!line.contains(char::is_control), "{line:?}");
    }

    #[test]
    fn every_flag_has_a_variable_named_after_it() {
        let command_line = CommandLine::command();
        let serve = command_line.find_subcommand("serve").unwrap();
        let names: Vec<_> = serve.get_arguments().filter_map(variable_name).collect();
        assert_eq!(names.len(), serve.get_arguments().count());
        assert!(
            names
                .iter()
                .any(|name| name == "SWITCHBOARD_MAX_GROUP_NAME")
        );
    }

    /// The words of a line as a shell has them: quoted ones whole, up to where another program or a file comes in.
    fn words(line: &str) -> Vec<OsString> {
        let mut words = Vec::new();
        let mut rest = line.trim();
        while !rest.is_empty() && !rest.starts_with(['|', '&', '>', '<', ';']) {
            let (word, behind) = match rest.strip_prefix('\'') {
                Some(quoted) => quoted.split_once('\'').expect("the other quote"),
                None => rest.split_once(' ').unwrap_or((rest, "")),
            };
            words.push(word.into());
            rest = behind.trim_start();
        }
        words
    }

    #[test]
    fn every_command_has_examples_and_they_are_right() {
        let command_line = CommandLine::command();
        for command in command_line.get_subcommands() {
            let name = command.get_name();
            let notes = command.get_after_help();
            let notes = notes.unwrap_or_else(|| panic!("{name}")).to_string();
            let begins: Vec<_> = notes.match_indices("switchboard ").collect();
            let of_this = format!("switchboard {name}");
            assert!(
                notes.contains("Examples:\n") && notes.contains(&of_this),
                "{name}"
            );
            for (begin, _) in begins {
                let line = notes[begin..].lines().next().unwrap();
                if let Err(error) = CommandLine::parse(words(line)) {
                    panic!("{line}: {error}");
                }
            }
        }
    }
}
