//! What a line means: a message to whoever is meant at the moment, or a command.

use super::console::{Input, Interpreter};

/// What is to be done for a line that speaks to a hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Send the text to the group or address.
    Send { address: String, text: String },
    /// Become a member of the group.
    Join(String),
    /// Be a member no longer.
    Leave(String),
    /// Say who is there.
    Who(String),
    /// Say something to the user.
    Explain(String),
    /// Say that the line makes no sense.
    Complain(String),
}

/// Where everyone is reached.
pub(super) const EVERYONE: &str = "@all";

/// What `/help` says.
const HELP: &str = "\
A line goes to whom the prompt names; // at its beginning stands for one slash that begins no command.
  /join GROUP      become a member of a group and write to it
  /leave [GROUP]   be a member no longer; without a name, of the group that you write to
  /to NAME [TEXT]  write to one user, the text alone or everything from now on
  /all [TEXT]      write to everyone, the text alone or everything from now on
  /who             who is in the group that you write to, or who is here at all
  /quit            close the connection, like Ctrl+D and Ctrl+C";

/// Reads lines as those of somebody who talks in a hub.
#[derive(Debug)]
pub(super) struct Composer {
    /// Groups that were joined, the latest last.
    groups: Vec<String>,
    to: Recipient,
}

/// Whom lines are for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Recipient {
    Everyone,
    Group(String),
    User(String),
}

impl Composer {
    /// Lines are for the last of the groups, or for everyone if there is none.
    pub(super) fn new(groups: &[String]) -> Self {
        let groups = groups.to_vec();
        let to = latest(&groups);
        Self { groups, to }
    }

    /// What a command means, given its name and what is behind it.
    fn command(&mut self, name: &str, rest: &str) -> Input<Action> {
        let action = match (name, rest) {
            ("quit", "") => return Input::End,
            ("help", "") => Action::Explain(HELP.into()),
            ("who", "") => Action::Who(self.to.group().into()),
            ("all", "") => self.turn_to(Recipient::Everyone),
            ("all", text) => Recipient::Everyone.message(text),
            ("join", group) if !group.is_empty() => {
                self.groups.retain(|joined| joined != group);
                self.groups.push(group.into());
                self.to = Recipient::Group(group.into());
                Action::Join(group.into())
            }
            ("leave", "") => match &self.to {
                Recipient::Group(group) => self.leave(&group.clone()),
                _ => Action::Complain("you write to no group: /leave GROUP says which".into()),
            },
            ("leave", group) => self.leave(group),
            ("to", rest) if !rest.is_empty() => {
                let (name, text) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let user = Recipient::User(name.into());
                match text.trim() {
                    "" => self.turn_to(user),
                    text => user.message(text),
                }
            }
            ("join" | "to", _) => Action::Complain(format!("/{name} needs a name")),
            ("quit" | "help" | "who", _) => {
                Action::Complain(format!("/{name} takes nothing behind it"))
            }
            _ => Action::Complain(format!("there is no command /{name}: /help lists them")),
        };
        Input::Meant(action)
    }

    fn leave(&mut self, group: &str) -> Action {
        self.groups.retain(|joined| joined != group);
        if self.to == Recipient::Group(group.into()) {
            self.to = latest(&self.groups);
        }
        Action::Leave(group.into())
    }

    fn turn_to(&mut self, recipient: Recipient) -> Action {
        self.to = recipient;
        Action::Explain(format!("you write to {}", self.to.name()))
    }
}

impl Interpreter for Composer {
    type Meaning = Action;

    fn prompt(&self) -> String {
        format!("{}> ", self.to.name())
    }

    fn interpret(&mut self, line: String) -> Option<Input<Action>> {
        let text = match line.strip_prefix('/') {
            Some(escaped) if escaped.starts_with('/') => escaped,
            Some(command) => {
                let (name, rest) = command
                    .split_once(char::is_whitespace)
                    .unwrap_or((command, ""));
                return Some(self.command(name, rest.trim()));
            }
            None => &line,
        };
        // Nobody means to send the line that Enter alone makes.
        (!text.trim().is_empty()).then(|| Input::Meant(self.to.message(text)))
    }
}

impl Recipient {
    /// What a person calls them.
    fn name(&self) -> String {
        match self {
            Self::Everyone => "everyone".into(),
            Self::Group(group) => group.clone(),
            Self::User(name) => format!("@{name}"),
        }
    }

    /// The group in which they are.
    fn group(&self) -> &str {
        match self {
            Self::Group(group) => group,
            Self::Everyone | Self::User(_) => EVERYONE,
        }
    }

    fn message(&self, text: &str) -> Action {
        let address = match self {
            Self::Everyone => EVERYONE.into(),
            Self::Group(group) => group.clone(),
            Self::User(name) => format!("@user/{name}"),
        };
        Action::Send {
            address,
            text: text.into(),
        }
    }
}

/// Whom lines are for if nothing else is said.
fn latest(groups: &[String]) -> Recipient {
    groups
        .last()
        .map_or(Recipient::Everyone, |group| Recipient::Group(group.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn send(address: &str, text: &str) -> Option<Input<Action>> {
        Some(Input::Meant(Action::Send {
            address: address.into(),
            text: text.into(),
        }))
    }

    fn meant(action: Action) -> Option<Input<Action>> {
        Some(Input::Meant(action))
    }

    #[test]
    fn lines_go_to_whom_the_prompt_names() {
        let mut composer = Composer::new(&[]);
        for (line, expected, prompt) in [
            ("hello", send("@all", "hello"), "everyone> "),
            ("", None, "everyone> "),
            (" \t", None, "everyone> "),
            ("/join room", meant(Action::Join("room".into())), "room> "),
            (" two  blanks ", send("room", " two  blanks "), "room> "),
            ("//slash", send("room", "/slash"), "room> "),
            (
                "/to bob  hi  there",
                send("@user/bob", "hi  there"),
                "room> ",
            ),
            (
                "/to bob",
                meant(Action::Explain("you write to @bob".into())),
                "@bob> ",
            ),
            ("hi", send("@user/bob", "hi"), "@bob> "),
            ("/who", meant(Action::Who("@all".into())), "@bob> "),
            ("/all hey", send("@all", "hey"), "@bob> "),
            ("/join den", meant(Action::Join("den".into())), "den> "),
            ("/who", meant(Action::Who("den".into())), "den> "),
            ("/leave room", meant(Action::Leave("room".into())), "den> "),
            ("/join room", meant(Action::Join("room".into())), "room> "),
            ("/leave", meant(Action::Leave("room".into())), "den> "),
            ("/leave", meant(Action::Leave("den".into())), "everyone> "),
            ("/quit", Some(Input::End), "everyone> "),
        ] {
            assert_eq!(composer.interpret(line.into()), expected, "{line}");
            assert_eq!(composer.prompt(), prompt, "{line}");
        }
    }

    #[test]
    fn groups_of_the_command_line_are_joined_already() {
        let mut composer = Composer::new(&["a".into(), "b".into()]);
        assert_eq!(composer.prompt(), "b> ");
        composer.interpret("/leave".into());
        assert_eq!(composer.prompt(), "a> ");
    }

    #[test]
    fn what_makes_no_sense_is_said_and_changes_nothing() {
        let mut composer = Composer::new(&[]);
        for line in [
            "/",
            "/jion room",
            "/join",
            "/join  ",
            "/to",
            "/leave",
            "/quit now",
            "/who room",
            "/ x",
        ] {
            let input = composer.interpret(line.into());
            assert!(
                matches!(input, Some(Input::Meant(Action::Complain(_)))),
                "{line}: {input:?}"
            );
            assert_eq!(composer.prompt(), "everyone> ", "{line}");
        }
    }
}
