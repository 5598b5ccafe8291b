//! Where a command finds the access key.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::{ArgMatches, Args, parser::ValueSource};
use switchboard::endpoints::AccessKey;

use super::Failure;

/// The secrets that servers share with those who sign tokens.
#[derive(Clone, Debug, Args)]
pub(super) struct AccessKeys {
    /// Secret that tokens are signed with, repeatable; other users of this machine can read it here, so prefer a file
    #[arg(long, value_name = "SECRET")]
    access_key: Vec<AccessKey>,

    /// File with such a secret, white space around it ignored
    #[arg(long, value_name = "PATH")]
    access_key_file: Option<PathBuf>,
}

impl AccessKeys {
    /// All access keys: those of the command line and the one of the file.
    ///
    /// # Errors
    ///
    /// The file cannot be read or has no secret in it.
    pub(super) fn all(&self) -> Result<Vec<AccessKey>, Failure> {
        let mut keys = self.access_key.clone();
        if let Some(path) = &self.access_key_file {
            let failure = |error: &dyn Error| {
                Failure::Usage(format!("the access key file {}: {error}", path.display()))
            };
            let secret = fs::read_to_string(path).map_err(|error| failure(&error))?;
            keys.push(secret.trim().parse().map_err(|error| failure(&error))?);
        }
        if keys.iter().any(AccessKey::is_short) {
            log::warn!("an access key is shorter than 32 bytes, so it might be guessed");
        }
        Ok(keys)
    }

    /// The one to sign with: that of the file before those of the command line and the environment.
    ///
    /// # Errors
    ///
    /// There is none; or as [`AccessKeys::all`].
    pub(super) fn signing(&self) -> Result<AccessKey, Failure> {
        self.all()?.pop().ok_or_else(|| {
            Failure::Usage(
                "there is no access key: give it with --access-key-file, or as SWITCHBOARD_ACCESS_KEY in the environment"
                    .into(),
            )
        })
    }

    /// Whether there is one, as far as flags and environment say.
    pub(super) fn are_given(&self) -> bool {
        !self.access_key.is_empty() || self.access_key_file.is_some()
    }

    /// Whether the command line itself has a secret, where others can read it.
    pub(super) fn are_on_display(matches: &ArgMatches) -> bool {
        matches.subcommand().is_some_and(|(_, matches)| {
            matches.try_contains_id("access_key").is_ok()
                && matches.value_source("access_key") == Some(ValueSource::CommandLine)
        })
    }
}
