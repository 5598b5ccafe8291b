//! The two ways in which clients are spoken to, and whom a message reaches in which way.
//!
//! Members of a group are members of the part of it that has their flavour, so that a message to a mixed group is
//! encoded once for each flavour and delivered at most twice, however many members there are.

use std::sync::Arc;

use crate::delivery::{Delivery, Except, GroupName, Page, Recipients, SessionId, Terms};
use crate::endpoints::Outgoing;
use crate::handler::Command;
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

    /// The number by which a receipt tells the flavour of those whom it is about.
    fn token(self) -> u64 {
        match self {
            Self::Json => 0,
            Self::Plain => 1,
        }
    }

    /// The flavour with that number.
    pub(in crate::endpoints) fn from_token(token: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|flavour| flavour.token() == token)
    }
}

/// Who a message is for, by flavour; nobody, if there can be nobody of a flavour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::endpoints) struct Addressees {
    /// Those who get it as JSON.
    json: Option<Recipients>,
    /// Those who get its payload.
    plain: Option<Recipients>,
    /// What becomes of it where it does not fit.
    terms: Option<Arc<Terms>>,
}

impl Addressees {
    /// One client.
    pub(super) fn one(session: SessionId, flavour: Flavour) -> Self {
        let recipients = Some(Recipients::One(session));
        match flavour {
            Flavour::Json => Self {
                json: recipients,
                plain: None,
                terms: None,
            },
            Flavour::Plain => Self {
                json: None,
                plain: recipients,
                terms: None,
            },
        }
    }

    /// The members of a group, given as its parts.
    pub(super) fn members(json: GroupName, plain: Option<GroupName>) -> Self {
        Self {
            json: Some(Recipients::Group(json)),
            plain: plain.map(Recipients::Group),
            terms: None,
        }
    }

    /// The same on `terms`, if there are any. Who does not get JSON gets no notice either.
    pub(super) fn on(self, terms: Option<Arc<Terms>>) -> Self {
        Self { terms, ..self }
    }

    /// The group whose members get it as JSON, if it is for a group.
    pub(super) fn json_group(&self) -> Option<&GroupName> {
        match &self.json {
            Some(Recipients::Group(group)) => Some(group),
            _ => None,
        }
    }

    /// Sends everybody what `parts` and `payload` say, leaving out `except`; returns how many deliveries that takes, each
    /// of which has a receipt if there is a `token`.
    pub(super) fn deliver(
        self,
        except: &Except,
        parts: &[&[u8]],
        payload: &Payload<'_>,
        token: Option<u64>,
        out: &mut Outgoing<'_>,
    ) -> u32 {
        let terms = self.terms.clone();
        self.for_each(|flavour, recipients| {
            let delivery = Delivery::to(recipients).leaving_out(except.clone());
            match flavour {
                Flavour::Json => {
                    out.deliver(delivery.on(terms.clone()), OpCode::Text, parts, token);
                }
                Flavour::Plain => {
                    let terms = terms.as_ref().map(|terms| terms.without_notice());
                    let (opcode, bytes) = payload.to_plain();
                    out.deliver(delivery.on(terms), opcode, &[&bytes], token);
                }
            }
        })
    }

    /// Asks something of everybody but `except`; returns how many receipts there will be.
    pub(in crate::endpoints) fn command(
        self,
        except: &Except,
        command: &Command,
        out: &mut Outgoing<'_>,
    ) -> u32 {
        self.for_each(|flavour, recipients| {
            out.command(recipients, except.clone(), command.clone(), flavour.token());
        })
    }

    /// Asks who they are; returns how many receipts there will be, each with a flavour's token.
    pub(in crate::endpoints) fn list(self, page: Page, out: &mut Outgoing<'_>) -> u32 {
        self.for_each(|flavour, recipients| out.list(recipients, page, flavour.token()))
    }

    /// Does something with the recipients of each flavour that there are; returns how many times.
    fn for_each(self, mut act: impl FnMut(Flavour, Recipients)) -> u32 {
        let mut count = 0;
        if let Some(recipients) = self.json {
            act(Flavour::Json, recipients);
            count += 1;
        }
        if let Some(recipients) = self.plain {
            act(Flavour::Plain, recipients);
            count += 1;
        }
        count
    }
}
