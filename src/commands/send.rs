//! `switchboard send`: one message from a script.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;
use switchboard::client::hub::{Delivered, Payload, Request};

use super::hub_access::{HubAccess, WhenLost, failure, part};
use super::{Failure, say};

/// Sends one message to a group, a user or everyone, and waits until the server says what became of it.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  switchboard send --group room 'hello room'
  switchboard send --user alice --json '{\"to\": \"you\"}'
  date | switchboard send --all
  switchboard send --group cam --file frame.jpg

Exit codes: 0 if nobody who was meant lost the message, 1 if somebody did or the server refuses it, 2 if it cannot be sent.")]
pub(super) struct Send {
    /// The message; without it, standard input to its end
    #[arg(value_name = "TEXT", conflicts_with = "file")]
    text: Option<String>,

    #[command(flatten)]
    to: To,

    /// The message is a JSON value
    #[arg(long, conflicts_with = "file", value_parser = BoolishValueParser::new())]
    json: bool,

    /// Send the bytes of this file
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,

    #[command(flatten)]
    access: HubAccess,
}

/// Whom a message is for.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// Send to the members of this group
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,

    /// Send to all connections of this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// Send to everyone
    #[arg(long, value_parser = BoolishValueParser::new())]
    all: bool,
}

impl To {
    /// The address that the hub knows them by.
    fn address(&self) -> String {
        match (&self.group, &self.user) {
            (Some(group), _) => group.clone(),
            (None, Some(user)) => format!("@user/{user}"),
            (None, None) => "@all".into(),
        }
    }
}

impl Send {
    /// Sends, and says on standard output to how many.
    ///
    /// # Errors
    ///
    /// The message cannot be read; the hub cannot be reached or refuses; or somebody lost the message.
    pub(super) fn run(self) -> Result<(), Failure> {
        let payload = self.payload()?;
        let mut hub = self.access.connect(WhenLost::Fail)?;
        let request = Request::Send {
            group: self.to.address(),
            payload,
            no_echo: true,
        };
        let delivered = hub.ask(request).map_err(|error| failure(&error));
        part(hub);
        let Delivered {
            recipients,
            dropped,
        } = delivered?;
        if let Some(recipients) = recipients {
            say(&format!("delivered to {recipients}"));
        }
        match dropped.unwrap_or(0) {
            0 => Ok(()),
            dropped => Err(Failure::Runtime(format!(
                "{dropped} lost it, being too slow"
            ))),
        }
    }

    fn payload(&self) -> Result<Payload, Failure> {
        if let Some(path) = &self.file {
            return fs::read(path)
                .map(Payload::Binary)
                .map_err(|error| Failure::Usage(format!("the file {}: {error}", path.display())));
        }
        let text = match &self.text {
            Some(text) => text.clone(),
            None => {
                let mut text = String::new();
                io::stdin()
                    .lock()
                    .read_to_string(&mut text)
                    .map_err(|error| Failure::Usage(format!("standard input: {error}")))?;
                // The line end that every shell command leaves is not part of what it says.
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                text
            }
        };
        if !self.json {
            return Ok(Payload::Text(text));
        }
        match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
            Ok(_) => Ok(Payload::Json(text)),
            Err(error) => Err(Failure::Usage(format!("the message is not JSON: {error}"))),
        }
    }
}
