//! `switchboard completions`: what a shell needs to complete our commands and flags.

use clap::{Args, Command};
use clap_complete::Shell;

use super::{Failure, write_out};

/// Writes a completion script for a shell.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = "\
Examples:
  switchboard completions bash > ~/.local/share/bash-completion/completions/switchboard
  switchboard completions zsh > ~/.zfunc/_switchboard
  switchboard completions fish > ~/.config/fish/completions/switchboard.fish")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Writes the script to standard output.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(super) fn run(self, mut definition: Command) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut definition, "switchboard", &mut script);
        write_out(&script)
    }
}
