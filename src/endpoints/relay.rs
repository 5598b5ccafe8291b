//! `/relay/{group}`: every message goes to the other members of the group as it is, without an envelope.

use std::sync::Arc;

use crate::delivery::{Delivery, GroupName, Recipients, Terms};
use crate::endpoints::Outgoing;
use crate::proto::Message;

/// What members of a relayed group have in common that came with the same request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RelayPeer {
    /// Where its messages go.
    group: GroupName,
    /// Whether the member gets its own messages as well.
    has_echo: bool,
    /// On what terms. Without an envelope there is no way to tell a receiver what it has lost.
    terms: Option<Arc<Terms>>,
}

impl RelayPeer {
    /// A member of the group `name`, whose messages are delivered on these terms.
    pub(super) fn new(name: &str, has_echo: bool, terms: Option<Arc<Terms>>) -> Self {
        Self {
            group: GroupName::new(HUB, name),
            has_echo,
            terms,
        }
    }

    /// The peer is connected: it becomes a member.
    pub(super) fn on_open(&self, out: &mut Outgoing<'_>) {
        out.join(self.group.clone());
    }

    /// Passes `message` on, text as text and binary as binary.
    pub(super) fn on_message(&self, message: Message<'_>, out: &mut Outgoing<'_>) {
        let except = (!self.has_echo).then(|| out.session());
        let delivery = Delivery::to(Recipients::Group(self.group.clone()))
            .leaving_out(except)
            .on(self.terms.clone());
        out.deliver(delivery, message.opcode(), &[message.payload()], None);
    }
}

/// Where relayed groups live, apart from those of all hubs: the name of a hub begins with a letter.
const HUB: &str = "@relay";

#[cfg(test)]
mod tests {
    use super::RelayPeer;
    use crate::delivery::{Policy, Terms};
    use crate::endpoints::recorder::Recorder;
    use crate::proto::Message;

    #[test]
    fn a_peer_joins_its_group_when_it_opens() {
        let mut recorder = Recorder::new(1);
        RelayPeer::new("a/b", false, None).on_open(&mut recorder.out());
        assert_eq!(recorder.take(), [r#"join "@relay/a/b""#]);
    }

    #[test]
    fn ms_06_messages_go_to_the_others_as_they_are() {
        let mut recorder = Recorder::new(1);
        let peer = RelayPeer::new("room", false, None);
        peer.on_message(Message::Text("{".into()), &mut recorder.out());
        peer.on_message(Message::Binary(b"\0"), &mut recorder.out());
        assert_eq!(
            recorder.take(),
            [
                r#"Text to "@relay/room" except 0.1.0: {"#,
                "Binary to \"@relay/room\" except 0.1.0: \0"
            ]
        );
    }

    #[test]
    fn ms_06_with_echo_messages_go_to_the_sender_too() {
        let mut recorder = Recorder::new(1);
        RelayPeer::new("room", true, None)
            .on_message(Message::Text("x".into()), &mut recorder.out());
        assert_eq!(recorder.take(), [r#"Text to "@relay/room": x"#]);
    }

    #[test]
    fn sc_03_messages_are_dropped_as_the_policy_says_without_a_notice() {
        let mut recorder = Recorder::new(1);
        let terms = Terms {
            policy: Policy::DropOldest,
            notice: None,
            is_plain: false,
        };
        let peer = RelayPeer::new("room", true, Some(terms.into()));
        peer.on_message(Message::Text("x".into()), &mut recorder.out());
        assert_eq!(
            recorder.take(),
            [r#"Text to "@relay/room" on DropOldest: x"#]
        );
    }
}
