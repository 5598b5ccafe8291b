//! What services may ask of a hub: to send, to change memberships, to close.
//!
//! Services are not members of anything and need no roles; who may be one is decided elsewhere.

use super::client::{Client, Speech};
use super::codec::GroupMessage;
use super::connection_id::ConnectionId;
use super::flavour::{Addressees, Flavour};
use super::hub::{ALL, CONNECTION, Hubs, USER};
use super::hub_name::HubName;
use super::payload::Payload;
use super::refusal::Refusal;
use crate::delivery::{Except, SessionId};
use crate::endpoints::Outgoing;
use crate::handler::Command;
use crate::proto::{CloseCode, OpCode};

impl Hubs {
    /// Every client of the hub.
    pub(in crate::endpoints) fn everyone(&self, hub: &HubName) -> Addressees {
        self.members(hub, ALL)
    }

    /// All clients of a user.
    pub(in crate::endpoints) fn user(&self, hub: &HubName, user: &str) -> Addressees {
        self.members(hub, &format!("{USER}{user}"))
    }

    /// The members of a group.
    ///
    /// # Errors
    ///
    /// `name` can be no group's.
    pub(in crate::endpoints) fn group(
        &self,
        hub: &HubName,
        name: &str,
    ) -> Result<Addressees, Refusal> {
        self.check_group_name(name)?;
        Ok(self.members(hub, name))
    }

    /// The client of that name; `None` if there cannot be one.
    pub(in crate::endpoints) fn connection(
        &self,
        hub: &HubName,
        name: &str,
    ) -> Option<(SessionId, Addressees)> {
        let (session, flavour) = self.connection_ids.find(hub, name)?;
        let terms = self.terms(&format!("{CONNECTION}{name}"));
        Some((session, Addressees::one(session, flavour).on(terms)))
    }

    /// What a client is called.
    pub(in crate::endpoints) fn connection_id(
        &self,
        hub: &HubName,
        flavour: Flavour,
        session: SessionId,
    ) -> ConnectionId {
        self.connection_ids.of(hub, flavour, session)
    }

    /// How long a payload may be as JSON, in bytes.
    pub(in crate::endpoints) fn payload_bytes_max(&self) -> usize {
        self.limits.payload_bytes_max
    }

    /// Sends to `addressees` but `except`, in the name of the server or, if there is a `group`, as a message to that;
    /// returns how many receipts there will be.
    pub(in crate::endpoints) fn send_from_service(
        &mut self,
        addressees: Addressees,
        group: Option<&str>,
        payload: Payload<'_>,
        except: &Except,
        out: &mut Outgoing<'_>,
    ) -> u32 {
        let token = Some(0);
        let Some(group) = group else {
            let parts = self.encoder.server_message(&payload);
            return addressees.deliver(except, &parts, &payload, token, out);
        };
        let message = GroupMessage {
            group: group.into(),
            payload,
            metadata: None,
            no_echo: false,
        };
        let parts = self.encoder.group_message(&message, None);
        if let Some(group) = addressees.json_group() {
            self.history.keep(group, &parts, out);
        }
        addressees.deliver(except, &parts, &message.payload, token, out)
    }

    /// Does with a client what a service asks; returns whether that could be done.
    pub(in crate::endpoints) fn on_command(
        &mut self,
        client: &mut Client,
        command: &Command,
        out: &mut Outgoing<'_>,
    ) -> bool {
        match command {
            Command::Join(name) => return self.admit(client, name, out).is_ok(),
            Command::Leave(name) => {
                if let Some(group) = client.remove_group(name) {
                    self.dismiss(client, group, out);
                }
            }
            Command::LeaveAll => {
                for group in client.take_groups() {
                    self.dismiss(client, group, out);
                }
            }
            Command::Close(reason) => {
                if client.speech.flavour() == Flavour::Json {
                    out.reply(OpCode::Text, &[self.encoder.disconnected(reason)]);
                }
                // After any other code a client of the reliable subprotocol would try to go on with the connection.
                let code = match client.speech {
                    Speech::Reliable(_) => CloseCode::POLICY_VIOLATION,
                    Speech::Json | Speech::Plain(_) => CloseCode::NORMAL,
                };
                out.close(code, reason.to_string());
            }
        }
        true
    }
}
