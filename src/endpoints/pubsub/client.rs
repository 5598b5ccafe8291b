//! What a hub remembers of one connection.

use std::sync::Arc;

use super::ack_log::AckLog;
use super::flavour::Flavour;
use super::hub_name::HubName;
use super::rights::Rights;
use crate::delivery::{GroupName, RecoveryToken};

/// The name of a user, as the client gave it; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::endpoints) struct UserId(Arc<str>);

impl UserId {
    /// The longest name in bytes.
    const LEN_MAX: usize = 128;

    /// Takes `name`; `None` if it is not valid.
    pub(in crate::endpoints) fn new(name: &str) -> Option<Self> {
        Self::is_valid(name).then(|| Self(name.into()))
    }

    /// Whether `name` has 1 to [`Self::LEN_MAX`] bytes and no control characters.
    pub(super) fn is_valid(name: &str) -> bool {
        (1..=Self::LEN_MAX).contains(&name.len()) && !name.contains(char::is_control)
    }

    /// The name.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One open connection of a hub.
///
/// It is kept small, because most clients listen most of the time.
#[derive(Debug)]
pub(in crate::endpoints) struct Client {
    /// Where it is connected.
    pub(super) hub: HubName,
    /// Who is connected; `None` for somebody without a name.
    pub(super) user: Option<UserId>,
    /// What it may do with groups.
    pub(super) rights: Rights,
    /// How it is spoken to.
    pub(super) speech: Speech,
    /// The groups that were joined, in the order of their names; `@all` and `@user/…` are not among them.
    groups: Vec<GroupName>,
    /// The groups of those who are told who is in a group and to which the client belongs, in order.
    watched: Vec<GroupName>,
    /// The acknowledgement ids; only clients that use some have it.
    acks: Option<Box<AckLog>>,
}

/// How a client speaks and is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::endpoints) enum Speech {
    /// In the JSON protocol.
    Json,
    /// In the JSON protocol, with numbered messages that are kept until they are acknowledged; who knows the secret may
    /// go on with the connection.
    Reliable(RecoveryToken),
    /// In payloads alone; what it says goes to this group, or to nobody.
    Plain(Option<Box<str>>),
}

impl Speech {
    /// How somebody who speaks so is spoken to.
    pub(super) fn flavour(&self) -> Flavour {
        match self {
            Self::Json | Self::Reliable(_) => Flavour::Json,
            Self::Plain(_) => Flavour::Plain,
        }
    }
}

impl Client {
    /// A client that has asked for nothing yet.
    pub(in crate::endpoints) fn new(
        hub: HubName,
        user: Option<UserId>,
        rights: Rights,
        speech: Speech,
    ) -> Self {
        Self {
            hub,
            user,
            rights,
            speech,
            groups: Vec::new(),
            watched: Vec::new(),
            acks: None,
        }
    }

    /// The secret of a reliable client.
    pub(super) fn recovery_token(&self) -> Option<RecoveryToken> {
        match self.speech {
            Speech::Reliable(token) => Some(token),
            Speech::Json | Speech::Plain(_) => None,
        }
    }

    /// The name of the user, if there is one.
    pub(in crate::endpoints) fn user_name(&self) -> Option<&str> {
        self.user.as_ref().map(UserId::as_str)
    }

    /// The acknowledgement ids.
    pub(super) fn acks(&mut self) -> &mut AckLog {
        self.acks.get_or_insert_default()
    }

    /// The groups that the client is in.
    pub(super) fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// The client is in no group any more; those that it was in.
    pub(super) fn take_groups(&mut self) -> Vec<GroupName> {
        std::mem::take(&mut self.groups)
    }

    /// The groups of watchers to which the client belongs.
    pub(super) fn watched(&self) -> &[GroupName] {
        &self.watched
    }

    /// The client belongs to these watchers from now on; false if it did already.
    pub(super) fn insert_watched(&mut self, watchers: &GroupName) -> bool {
        let position = self.watched.binary_search(watchers);
        if let Err(position) = position {
            self.watched.insert(position, watchers.clone());
        }
        position.is_err()
    }

    /// The client belongs to these watchers no longer; false if it did not.
    pub(super) fn remove_watched(&mut self, watchers: &GroupName) -> bool {
        let position = self.watched.binary_search(watchers);
        if let Ok(position) = position {
            self.watched.remove(position);
        }
        position.is_ok()
    }

    /// How many groups the client is in.
    pub(super) fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The group of that name, if the client is in it.
    pub(super) fn group(&self, name: &str) -> Option<&GroupName> {
        self.position(name)
            .ok()
            .map(|position| &self.groups[position])
    }

    /// The client is in `group` from now on.
    pub(super) fn insert_group(&mut self, group: GroupName) {
        if let Err(position) = self.position(group.name()) {
            if self.groups.is_empty() {
                // Most clients are in one group; a list that grows by itself begins with room for four.
                self.groups.reserve_exact(1);
            }
            self.groups.insert(position, group);
        }
    }

    /// The client is in the group of that name no longer; `None` if it was not.
    pub(super) fn remove_group(&mut self, name: &str) -> Option<GroupName> {
        self.position(name)
            .ok()
            .map(|position| self.groups.remove(position))
    }

    /// Where the group of that name is, or where it would have to be.
    fn position(&self, name: &str) -> Result<usize, usize> {
        self.groups.binary_search_by(|group| group.name().cmp(name))
    }
}

#[cfg(test)]
mod tests {
    use super::UserId;

    #[test]
    fn a_user_id_has_1_to_128_bytes_and_no_control_characters() {
        for name in ["a", "bob/é", " ", "@all", &"x".repeat(128)] {
            assert_eq!(UserId::new(name).unwrap().as_str(), name);
        }
        for name in [
            "",
            "a\nb",
            "\0",
            "\u{7f}",
            "\u{85}",
            &"x".repeat(129),
            &"é".repeat(65),
        ] {
            assert_eq!(UserId::new(name), None, "{name:?}");
        }
    }
}
