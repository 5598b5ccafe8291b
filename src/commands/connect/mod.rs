//! `switchboard connect`: a conversation with a server, line by line.

mod composer;
mod console;
mod hub_talk;
mod raw_talk;
mod screen;

use clap::Args;
use clap::builder::BoolishValueParser;
use switchboard::client::Ending;
use switchboard::client::hub::{HubClient, HubError};
use switchboard::proto::CloseCode;

use self::console::{Console, Memory};
use self::hub_talk::HubTalk;
use self::raw_talk::RawTalk;
use super::Failure;
use super::hub_access::{Terms, WhenLost, failure, named};
use super::place;

/// Talks with a server: lines go out, messages come in.
///
/// On a terminal lines can be edited, and /help lists what else they can be. In a pipe all lines are sent, and the
/// connection is closed when the server has said what became of them.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  switchboard connect ws://127.0.0.1:8080/ws --as alice --group room
  echo hello | switchboard connect ws://127.0.0.1:8080/ws --group room
  switchboard connect --raw wss://example.com/socket --header 'Origin: https://example.com'

Exit codes: 0 if the connection was closed properly, by Ctrl+C, the end of the input or the server (with 1000); 1 if the \
server refuses, ends it otherwise or stays away, or a line of a pipe did not reach somebody; 2 if the flags or the input \
are wrong.")]
pub(super) struct Connect {
    /// Address of the server; a token may be part of it
    #[arg(value_name = "URL")]
    url: String,

    /// Name to be known by, where no token says it
    #[arg(
        long = "as",
        visible_alias = "user",
        value_name = "NAME",
        conflicts_with = "raw"
    )]
    name: Option<String>,

    /// Group to join, repeatable; lines go to the last one, and to everyone if there is none
    #[arg(
        long,
        value_name = "GROUP",
        value_delimiter = ',',
        conflicts_with = "raw"
    )]
    group: Vec<String>,

    /// Speak no protocol on top of WebSocket: each line is a text message, whatever the server makes of it
    #[arg(long, value_parser = BoolishValueParser::new())]
    raw: bool,

    /// Subprotocol to offer, repeatable, the preferred one first
    #[arg(long, value_name = "NAME", value_delimiter = ',', requires = "raw")]
    subprotocol: Vec<String>,

    /// Field of the request besides those of the handshake, repeatable
    #[arg(long, value_name = "NAME: VALUE", requires = "raw", value_parser = parse_field)]
    header: Vec<(String, String)>,

    /// Keep what is typed here for this conversation only
    #[arg(long, value_parser = BoolishValueParser::new())]
    no_history: bool,

    #[command(flatten)]
    terms: Terms,
}

impl Connect {
    /// Talks until one side has enough.
    ///
    /// # Errors
    ///
    /// The flags or the input cannot be used, or the server refuses, ends the connection or stays away.
    pub(super) fn run(self) -> Result<(), Failure> {
        let url = place::endpoint(&self.url)?;
        let memory = if self.no_history {
            Memory::None
        } else {
            Memory::File
        };
        let name = self.name.as_deref();
        if self.raw {
            let mut config = self.terms.client_config(&url, None)?;
            config.subprotocols = self.subprotocol;
            config.fields.extend(self.header);
            return RawTalk::begin(&url, &config, memory)?.run();
        }
        let config = self.terms.hub_config(&url, name, WhenLost::ComeBack)?;
        let hub = HubClient::connect_url(named(url.clone(), name), config);
        let hub = hub.map_err(|error| match error {
            HubError::NotAHub => Failure::Runtime(format!("{error}; try --raw")),
            error => failure(&error),
        })?;
        HubTalk::begin(url, hub, &self.group, memory)?.run()
    }
}

/// What it comes to if the server closes the connection.
fn ended_by_server<T>(console: &Console<T>, ending: &Ending) -> Result<(), Failure> {
    let text = format!("closed by the server: {ending}");
    if ending.code == Some(CloseCode::NORMAL) {
        console.screen.note(&text);
        return Ok(());
    }
    Err(Failure::Runtime(text))
}

/// Reads `Name: value`.
fn parse_field(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((name, value)) if !name.trim().is_empty() => {
            Ok((name.trim().into(), value.trim().into()))
        }
        _ => Err("a field is written as 'Name: value'".into()),
    }
}
