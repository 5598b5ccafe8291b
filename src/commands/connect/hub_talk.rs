//! A conversation in a hub: groups, users, acknowledgements, and a connection that comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use switchboard::client::hub::{
    Answer, Delivered, HubClient, HubEvent, HubMessage, Payload, Presence, Request, RequestError,
};
use switchboard::http::SocketUrl;
use switchboard::proto::CloseCode;

use super::composer::{Action, Composer, EVERYONE};
use super::console::{Console, Input, Memory};
use super::screen::Role;
use super::{Failure, ended_by_server};
use crate::commands::hub_access::failure;
use crate::commands::terminal::{self, one_line};

/// Requests without an answer, above which no more lines are taken.
const UNANSWERED_MAX: usize = 64;
/// Characters of a message by which its sender is reminded of it.
const REMINDER_CHARS_MAX: usize = 40;

/// What the user knows of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    New,
    Up,
    Lost,
}

/// A client of a hub, and who sits in front of it.
pub(super) struct HubTalk {
    url: SocketUrl,
    hub: HubClient,
    console: Console<Action>,
    /// What was asked of the hub by the user and is not answered.
    asked: BTreeSet<u64>,
    /// Who is in the groups that were asked about.
    rosters: BTreeMap<String, BTreeSet<String>>,
    link: Link,
    is_closing: bool,
    /// Lines that did not reach somebody.
    failed_count: u64,
}

impl HubTalk {
    /// Joins the groups, and begins to listen to the user.
    ///
    /// # Errors
    ///
    /// The hub refuses.
    pub(super) fn begin(
        url: SocketUrl,
        mut hub: HubClient,
        groups: &[String],
        memory: Memory,
    ) -> Result<Self, Failure> {
        for group in groups {
            hub.join(group).map_err(|error| {
                Failure::Runtime(format!("cannot join {group:?}: {}", failure(&error)))
            })?;
        }
        let sender = hub.sender();
        let composer = Composer::new(groups);
        // If the client is gone, nobody waits for it.
        let console = Console::open(composer, memory, move || _ = sender.nudge())
            .map_err(|error| Failure::Runtime(error.to_string()))?;
        Ok(Self {
            url,
            hub,
            console,
            asked: BTreeSet::new(),
            rosters: BTreeMap::new(),
            link: Link::New,
            is_closing: false,
            failed_count: 0,
        })
    }

    /// Talks until one side has enough.
    ///
    /// # Errors
    ///
    /// The server ends the conversation, or the input cannot be read; or a line of a pipe did not reach somebody.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        let is_script = !self.console.screen.is_interactive();
        let outcome = self.converse();
        self.console.end_input();
        outcome?;
        match self.failed_count {
            1.. if is_script => Err(Failure::Runtime(
                "not everything was sent to everybody".into(),
            )),
            _ => Ok(()),
        }
    }

    fn converse(&mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        while let Some(event) = self.hub.next_event(None).map_err(|error| failure(&error))? {
            match event {
                HubEvent::Closed(ending) if !self.is_closing => {
                    return ended_by_server(&self.console, &ending);
                }
                HubEvent::Nudged => {}
                event => self.on_event(event),
            }
            while let Some(input) = self.next_input() {
                match input {
                    Input::Meant(action) => self.act(action),
                    Input::End | Input::Interrupted => self.close(),
                    Input::Failed(reason) => {
                        outcome = Err(Failure::Usage(format!("standard input: {reason}")));
                        self.close();
                    }
                }
            }
        }
        outcome
    }

    fn next_input(&self) -> Option<Input<Action>> {
        let has_room = self.asked.len() < UNANSWERED_MAX;
        self.console.next_input(has_room && !self.is_closing)
    }

    /// Does what a line wants.
    fn act(&mut self, action: Action) {
        match action {
            Action::Explain(text) => self.console.screen.note(&text),
            Action::Complain(text) => self.complain(&text),
            Action::Join(group) => self.ask(Request::Join {
                group,
                presence: false,
                history: false,
            }),
            Action::Leave(group) => {
                self.rosters.remove(&group);
                self.ask(Request::Leave { group });
            }
            Action::Who(group) => match self.rosters.get(&group) {
                Some(names) => self.tell_who(&group, names.iter()),
                None => self.ask(Request::Join {
                    group,
                    presence: true,
                    history: false,
                }),
            },
            Action::Send { address, text } => self.ask(Request::Send {
                group: address,
                payload: Payload::Text(text),
                no_echo: true,
            }),
        }
    }

    fn ask(&mut self, request: Request) {
        match self.hub.submit(request) {
            Ok(ack_id) => _ = self.asked.insert(ack_id),
            Err(error) => self.complain(&error.to_string()),
        }
    }

    fn complain(&mut self, text: &str) {
        self.failed_count += 1;
        self.console.screen.note(text);
    }

    fn close(&mut self) {
        self.is_closing = true;
        self.console.end_input();
        self.hub.close(CloseCode::NORMAL, "");
    }

    fn on_event(&mut self, event: HubEvent) {
        match event {
            HubEvent::Message(message) => self.on_message(&message),
            HubEvent::Done(answer) => self.on_answer(answer),
            HubEvent::Presence(presence) => self.on_presence(presence),
            HubEvent::Connected {
                user_id,
                is_recovered,
                ..
            } => self.on_connected(user_id, is_recovered),
            HubEvent::Lost(reason, _) => self.on_lost(&reason),
            HubEvent::Gap { group, dropped } => {
                let place =
                    group.map_or_else(String::new, |group| format!(" of {}", one_line(&group)));
                self.console.screen.note(&format!(
                    "{dropped} messages{place} are missing here: this client is too slow"
                ));
            }
            HubEvent::Farewell(reason) => {
                let reason = one_line(&reason);
                self.console
                    .screen
                    .note(&format!("the server says: {reason}"));
            }
            _ => {}
        }
    }

    fn on_message(&mut self, message: &HubMessage) {
        if self.console.screen.show(&self.line(message)).is_err() {
            // Nobody reads on; that is how pipes end.
            self.close();
        }
    }

    fn on_lost(&mut self, reason: &str) {
        // Those that follow are the same story.
        if mem::replace(&mut self.link, Link::Lost) != Link::Lost {
            let reason = one_line(reason);
            self.console
                .screen
                .note(&format!("connection lost, trying again … ({reason})"));
        }
    }

    fn on_connected(&mut self, user_id: Option<String>, is_recovered: bool) {
        if !is_recovered {
            self.rosters.clear();
        }
        let screen = &self.console.screen;
        match (mem::replace(&mut self.link, Link::Up), is_recovered) {
            (Link::New, _) if screen.is_interactive() => {
                let name =
                    user_id.map_or_else(String::new, |name| format!(" as {}", one_line(&name)));
                let url = &self.url;
                screen.note(&format!(
                    "connected to {url}{name}; /help lists the commands"
                ));
            }
            (Link::New, _) => {}
            (_, true) => screen.note("connected again, nothing is missing"),
            (_, false) => screen.note("connected again; what was said meanwhile is missing here"),
        }
    }

    fn on_answer(&mut self, answer: Answer) {
        // What the client asked on its own, after a loss, is worth a word only if it fails.
        let was_asked = self.asked.remove(&answer.ack_id);
        match (answer.request, answer.outcome) {
            (Request::Send { group, payload, .. }, Err(error)) => {
                let what = reminder(&payload);
                let verdict = match error {
                    RequestError::Uncertain => "perhaps not sent",
                    _ => "not sent",
                };
                self.complain(&format!(
                    "{verdict} to {}: {what}: {}",
                    one_line(&group),
                    one_line(&error.to_string())
                ));
            }
            (Request::Send { group, payload, .. }, Ok(delivered)) => {
                self.on_sent(&group, &payload, delivered);
            }
            (request, Err(error)) => {
                let (verb, group) = match &request {
                    Request::Leave { group } => ("leave", group),
                    Request::Join {
                        group,
                        presence: true,
                        ..
                    } => ("see who is in", group),
                    Request::Join { group, .. } | Request::Send { group, .. } => ("join", group),
                };
                let error = one_line(&error.to_string());
                self.complain(&format!("cannot {verb} {}: {error}", one_line(group)));
            }
            (
                Request::Join {
                    group,
                    presence: false,
                    ..
                },
                Ok(_),
            ) if was_asked => {
                self.report(&format!("joined {}", one_line(&group)));
            }
            (Request::Leave { group }, Ok(_)) if was_asked => {
                self.report(&format!("left {}", one_line(&group)));
            }
            (Request::Join { .. } | Request::Leave { .. }, Ok(_)) => {}
        }
    }

    fn on_sent(&mut self, group: &str, payload: &Payload, delivered: Delivered) {
        if let Some(dropped @ 1..) = delivered.dropped {
            let what = reminder(payload);
            self.complain(&format!("{dropped} lost {what}, being too slow"));
        } else if delivered.recipients == Some(0) {
            let place = match group {
                EVERYONE => "here".into(),
                group => format!("in {}", one_line(group)),
            };
            self.report(&format!("nobody else is {place}"));
        }
    }

    /// Says something that scripts do not want to know.
    fn report(&self, text: &str) {
        if self.console.screen.is_interactive() {
            self.console.screen.note(text);
        }
    }

    fn on_presence(&mut self, presence: Presence) {
        if presence.is_initial {
            self.tell_who(&presence.group, presence.joined.iter());
        }
        let roster = self.rosters.entry(presence.group).or_default();
        roster.extend(presence.joined);
        for name in &presence.left {
            roster.remove(name);
        }
    }

    fn tell_who<'a>(&self, group: &str, names: impl Iterator<Item = &'a String>) {
        let mut names: Vec<_> = names.map(|name| one_line(name)).collect();
        names.sort_unstable();
        let place = match group {
            EVERYONE => "here".into(),
            group => format!("in {}", one_line(group)),
        };
        self.console.screen.note(&if names.is_empty() {
            format!("nobody with a name is {place}")
        } else {
            format!("{place}: {}", names.join(", "))
        });
    }

    /// A message with its time, its group and its sender.
    fn line(&self, message: &HubMessage) -> String {
        let paint = self.console.screen.paint();
        let time = terminal::time();
        let time = match time.split_once('T') {
            // Who sits in front of it knows the day.
            Some((_, time)) if self.console.screen.is_interactive() => time,
            _ => &time,
        };
        let group = one_line(message.group.as_deref().unwrap_or("-"));
        let sender = one_line(message.from_user.as_deref().unwrap_or("-"));
        format!(
            "{} {} {}: {}",
            paint.dress(Role::Time, time),
            paint.dress(Role::Group, &group),
            paint.dress(Role::Sender, &sender),
            one_line(&message.payload.to_string())
        )
    }
}

/// The beginning of a message, so that its sender knows which one is meant.
fn reminder(payload: &Payload) -> String {
    let text = payload.to_string();
    let mut begin: String = text.chars().take(REMINDER_CHARS_MAX).collect();
    if begin.len() < text.len() {
        begin.push('…');
    }
    format!("\"{}\"", one_line(&begin))
}
