//! The two ways in which clients are spoken to, and whom a message reaches in which way.
//!
//! Members of a group are members of the part of it that has their flavour, so that a message to a mixed group is
//! encoded once for each flavour and delivered at most twice, however many members there are.

use crate::delivery::{GroupName, Recipients, SessionId};
use crate::handler::Outgoing;
use crate::proto::OpCode;

use super::hub_name::HubName;
use super::payload::Payload;

/// How a client is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::endpoints) enum Flavour {
    /// In the JSON protocol.
    Json,
    /// In payloads alone: text and JSON as text messages, binary as binary ones.
    Plain,
}

impl Flavour {
    /// Both.
    pub(in crate::endpoints) const ALL: [Self; 2] = [Self::Json, Self::Plain];

    /// The part of the group `name` of `hub` whose members are of this flavour.
    pub(super) fn group(self, hub: &HubName, name: &str) -> GroupName {
        match self {
            Self::Json => GroupName::new(hub.as_str(), name),
            // No hub has a colon in its name.
            Self::Plain => GroupName::new(&format!("{}:plain", hub.as_str()), name),
        }
    }
}

/// Who a message is for, by flavour; nobody, if there can be nobody of a flavour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::endpoints) struct Addressees {
    /// Those who get it as JSON.
    json: Option<Recipients>,
    /// Those who get its payload.
    plain: Option<Recipients>,
}

impl Addressees {
    /// One client.
    pub(super) fn one(session: SessionId, flavour: Flavour) -> Self {
        let recipients = Some(Recipients::One(session));
        match flavour {
            Flavour::Json => Self {
                json: recipients,
                plain: None,
            },
            Flavour::Plain => Self {
                json: None,
                plain: recipients,
            },
        }
    }

    /// The members of a group, given as its parts.
    pub(super) fn members(json: GroupName, plain: Option<GroupName>) -> Self {
        Self {
            json: Some(Recipients::Group(json)),
            plain: plain.map(Recipients::Group),
        }
    }

    /// Sends everybody what `parts` and `payload` say, leaving out `except`; returns how many deliveries that takes, each
    /// of which has a receipt if there is a `token`.
    pub(super) fn deliver(
        self,
        except: Option<SessionId>,
        parts: &[&[u8]],
        payload: &Payload<'_>,
        token: Option<u64>,
        out: &mut Outgoing<'_>,
    ) -> u32 {
        let mut count = 0;
        if let Some(recipients) = self.json {
            out.deliver(recipients, except, OpCode::Text, parts, token);
            count += 1;
        }
        if let Some(recipients) = self.plain {
            let (opcode, bytes) = payload.to_plain();
            out.deliver(recipients, except, opcode, &[&bytes], token);
            count += 1;
        }
        count
    }
}
