//! `switchboard who`: who is there, by name.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use clap::builder::BoolishValueParser;
use serde::Serialize;
use switchboard::client::hub::{HubClient, HubEvent, Presence, Request};
use switchboard::proto::CloseCode;

use super::Failure;
use super::hub_access::{HubAccess, WhenLost, failure, part};
use super::interrupt::on_interrupt;
use super::terminal::{note, one_line, time};

/// Lists the users who are in a group, or who are there at all, one per line.
///
/// Who has no name is not on the list. To ask for a group is to be in it: whoever asks with --as is on the list, too.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  switchboard who
  switchboard who room
  switchboard who --follow --json room | jq -r 'select(.is == \"joined\").user'

Exit codes: 0 if the list is complete or after Ctrl+C, 1 if the server refuses or stays away, 2 if the flags are wrong.")]
pub(super) struct Who {
    /// Group to look into; without it, everyone who is connected
    #[arg(value_name = "GROUP")]
    group: Option<String>,

    /// Go on with who comes (+) and who goes (-), until Ctrl+C
    #[arg(long, value_parser = BoolishValueParser::new())]
    follow: bool,

    /// Write JSON objects
    #[arg(long, value_parser = BoolishValueParser::new())]
    json: bool,

    #[command(flatten)]
    access: HubAccess,
}

/// What is said of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Is {
    There,
    Joined,
    Left,
}

/// A user as a line of JSON.
#[derive(Serialize)]
struct JsonLine<'a> {
    time: String,
    user: &'a str,
    is: Is,
}

impl Who {
    /// Lists, and follows if that is asked for.
    ///
    /// # Errors
    ///
    /// The hub cannot be reached, refuses, or is lost for good.
    pub(super) fn run(self) -> Result<(), Failure> {
        let when_lost = match self.follow {
            true => WhenLost::ComeBack,
            false => WhenLost::Fail,
        };
        let mut hub = self.access.connect(when_lost)?;
        let group = self.group.as_deref().unwrap_or("@all");
        let watch = Request::Join {
            group: group.into(),
            presence: true,
            history: false,
        };
        hub.ask(watch).map_err(|error| {
            Failure::Runtime(format!("cannot look into {group:?}: {}", failure(&error)))
        })?;
        let sender = hub.sender();
        // If the client is gone, so is the command.
        on_interrupt(move || _ = sender.close(CloseCode::NORMAL, ""))
            .map_err(|error| Failure::Runtime(error.to_string()))?;
        self.watch(&mut hub, group)?;
        part(hub);
        Ok(())
    }

    fn watch(&self, hub: &mut HubClient, group: &str) -> Result<(), Failure> {
        let mut roster = Roster::default();
        let mut is_connected = true;
        loop {
            match hub.next_event(None).map_err(|error| failure(&error))? {
                None | Some(HubEvent::Closed(_)) => return Ok(()),
                Some(HubEvent::Presence(presence)) if presence.group == group => {
                    let is_list_complete = presence.is_initial && !presence.has_more;
                    let news = roster.apply(presence);
                    // Nobody reads on if it cannot be written; that is how pipes end.
                    if self.write(&news).is_err() || is_list_complete && !self.follow {
                        return Ok(());
                    }
                }
                Some(HubEvent::Lost(reason, _)) => {
                    is_connected = false;
                    note(&format!("disconnected: {reason}"));
                }
                Some(HubEvent::Connected { .. }) if !is_connected => {
                    is_connected = true;
                    note("connected again");
                }
                Some(_) => {}
            }
        }
    }

    fn write(&self, news: &[(String, Is)]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        for (user, is) in news {
            let line = if self.json {
                let time = time();
                serde_json::to_string(&JsonLine {
                    time,
                    user,
                    is: *is,
                })?
            } else {
                let user = one_line(user);
                match (self.follow, is) {
                    (false, _) => user,
                    (true, Is::There) => format!("{} = {user}", time()),
                    (true, Is::Joined) => format!("{} + {user}", time()),
                    (true, Is::Left) => format!("{} - {user}", time()),
                }
            };
            writeln!(stdout, "{line}")?;
        }
        stdout.flush()
    }
}

/// Who is there, as far as it was told.
#[derive(Debug, Default)]
struct Roster {
    users: BTreeSet<String>,
    /// The list that is just being told, until all of it was.
    list: BTreeSet<String>,
    /// Whether a list was told before: then the next one only says what was missed meanwhile.
    was_told: bool,
}

impl Roster {
    /// Takes in what an event tells; returns what is new, in the order of names.
    fn apply(&mut self, presence: Presence) -> Vec<(String, Is)> {
        if presence.is_initial {
            self.list.extend(presence.joined);
            if presence.has_more {
                return Vec::new();
            }
            let list = std::mem::take(&mut self.list);
            let left = self.users.difference(&list).map(|user| (user, Is::Left));
            let is = if self.was_told { Is::Joined } else { Is::There };
            let came = list.difference(&self.users).map(|user| (user, is));
            let news = came.chain(left).map(|(user, is)| (user.clone(), is));
            let news = news.collect();
            self.users = list;
            self.was_told = true;
            return news;
        }
        // What happened around the list may be told twice.
        let mut news = Vec::new();
        for user in presence.joined {
            if self.users.insert(user.clone()) {
                news.push((user, Is::Joined));
            }
        }
        for user in presence.left {
            if self.users.remove(&user) {
                news.push((user, Is::Left));
            }
        }
        news.sort_by(|(a, _), (b, _)| a.cmp(b));
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(roster: &mut Roster, kind: &str, joined: &[&str], left: &[&str]) -> String {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let news = roster.apply(Presence {
            group: "room".into(),
            is_initial: kind != "news",
            has_more: kind == "part",
            joined: names(joined),
            left: names(left),
        });
        let news = news.iter().map(|(user, is)| match is {
            Is::There => format!("={user}"),
            Is::Joined => format!("+{user}"),
            Is::Left => format!("-{user}"),
        });
        news.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_list_is_told_whole_and_in_order_and_news_once() {
        let mut roster = Roster::default();
        assert_eq!(told(&mut roster, "part", &["d", "b"], &[]), "");
        assert_eq!(told(&mut roster, "list", &["c"], &[]), "=b =c =d");
        assert_eq!(told(&mut roster, "news", &["c", "a"], &["d", "x"]), "+a -d");
        assert_eq!(told(&mut roster, "news", &["c"], &["d"]), "");
    }

    #[test]
    fn what_was_missed_is_what_a_second_list_says_otherwise() {
        let mut roster = Roster::default();
        assert_eq!(told(&mut roster, "list", &[], &[]), "");
        assert_eq!(told(&mut roster, "news", &["a", "b"], &[]), "+a +b");
        assert_eq!(told(&mut roster, "part", &["c"], &[]), "");
        assert_eq!(told(&mut roster, "list", &["b"], &[]), "+c -a");
    }
}
