//! `switchboard tail`: what is said in groups, as lines.

use std::io::{self, Write};

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::Serialize;
use serde_json::value::RawValue;
use switchboard::client::hub::{HubClient, HubEvent, HubMessage, Request};
use switchboard::proto::CloseCode;

use super::Failure;
use super::hub_access::{HubAccess, WhenLost, failure, part};
use super::interrupt::on_interrupt;
use super::terminal::{note, one_line, time};

/// Follows groups and writes a line for each message, until Ctrl+C.
///
/// A connection that breaks is made again. What may be missing is said on standard error.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  switchboard tail room
  switchboard tail --json --history chat.rust chat.c | jq .data
  switchboard tail --count 1 deployed && echo done

Exit codes: 0 after Ctrl+C or --count, 1 if the server refuses or stays away, 2 if the flags are wrong.")]
pub(super) struct Tail {
    /// Groups to follow; without any, what is sent to everyone or to this user
    #[arg(value_name = "GROUP")]
    groups: Vec<String>,

    /// Begin with what the server remembers
    #[arg(long, value_parser = BoolishValueParser::new())]
    history: bool,

    /// Write JSON objects
    #[arg(long, value_parser = BoolishValueParser::new())]
    json: bool,

    /// Stop after so many messages
    #[arg(long, value_name = "COUNT")]
    count: Option<u64>,

    #[command(flatten)]
    access: HubAccess,
}

/// A message as a line of JSON.
#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    group: Option<&'a str>,
    from: Option<&'a str>,
    #[serde(rename = "dataType")]
    data_type: &'static str,
    data: Box<RawValue>,
}

impl Tail {
    /// Follows until it is interrupted.
    ///
    /// # Errors
    ///
    /// The hub cannot be reached, refuses a group or is lost for good.
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut hub = self.access.connect(WhenLost::ComeBack)?;
        for group in &self.groups {
            let join = Request::Join {
                group: group.clone(),
                presence: false,
                history: self.history,
            };
            hub.ask(join).map_err(|error| {
                Failure::Runtime(format!("cannot follow {group:?}: {}", failure(&error)))
            })?;
        }
        let sender = hub.sender();
        // If the client is gone, so is the command.
        on_interrupt(move || _ = sender.close(CloseCode::NORMAL, ""))
            .map_err(|error| Failure::Runtime(error.to_string()))?;
        self.follow(&mut hub)?;
        part(hub);
        Ok(())
    }

    fn follow(&self, hub: &mut HubClient) -> Result<(), Failure> {
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut is_connected = true;
        while left > 0 {
            let event = hub.next_event(None).map_err(|error| failure(&error))?;
            match event {
                None | Some(HubEvent::Closed(_)) => break,
                Some(HubEvent::Message(message)) => {
                    left -= 1;
                    if self.write(&message).is_err() {
                        // Nobody reads on; that is how pipes end.
                        break;
                    }
                }
                Some(HubEvent::Gap { group, dropped }) => {
                    let group = group.unwrap_or_default();
                    note(&format!(
                        "{dropped} messages of {group:?} were dropped here: this client is too slow"
                    ));
                }
                Some(HubEvent::Lost(reason, _)) => {
                    is_connected = false;
                    note(&format!("disconnected: {reason}"));
                }
                Some(HubEvent::Connected { is_recovered, .. }) if !is_connected => {
                    is_connected = true;
                    note(if is_recovered {
                        "connected again, nothing is missing"
                    } else {
                        "connected again; what was said meanwhile is missing"
                    });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn write(&self, message: &HubMessage) -> io::Result<()> {
        let line = if self.json {
            json_line(message)?
        } else {
            plain_line(message)
        };
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{line}")?;
        stdout.flush()
    }
}

fn plain_line(message: &HubMessage) -> String {
    let group = message.group.as_deref().unwrap_or("-");
    let from = message.from_user.as_deref().unwrap_or("-");
    let text = message.payload.to_string();
    format!(
        "{} {} {}: {}",
        time(),
        one_line(group),
        one_line(from),
        one_line(&text)
    )
}

fn json_line(message: &HubMessage) -> io::Result<String> {
    let line = JsonLine {
        time: time(),
        group: message.group.as_deref(),
        from: message.from_user.as_deref(),
        data_type: message.payload.data_type(),
        data: RawValue::from_string(message.payload.to_json())?,
    };
    Ok(serde_json::to_string(&line)?)
}
