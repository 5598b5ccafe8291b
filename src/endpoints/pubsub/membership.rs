//! Who may be in which group, and what becoming and ceasing to be a member involves.

use super::client::Client;
use super::codec::{JoinGroup, is_blank};
use super::hub::{ALL, Hubs};
use super::refusal::Refusal;
use crate::delivery::GroupName;
use crate::endpoints::Outgoing;

impl Hubs {
    /// Puts a client that has not come yet into groups; those that it cannot be in are left out.
    pub(in crate::endpoints) fn admit_to(&mut self, client: &mut Client, groups: &[Box<str>]) {
        for name in groups {
            if let Err(refusal) = self.check_join(client, name) {
                log::debug!(
                    "a token names a group that is not joined: {}",
                    refusal.message(0)
                );
                continue;
            }
            let flavour = client.speech.flavour();
            let group = self.names.get(flavour, &client.hub, name);
            client.insert_group(group);
        }
    }

    /// Makes the client a member of a group, unless it is one, and has it told what it wants to know of the group.
    pub(super) fn join(
        &mut self,
        client: &mut Client,
        join: &JoinGroup<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<(), Refusal> {
        let name = &*join.group;
        if name == ALL && join.presence {
            Self::check_role(client, name)?;
        } else {
            self.check_membership(client, name)?;
            self.admit(client, name, out)?;
        }
        if join.presence {
            let hub = client.hub.clone();
            self.presence.watch(client, hub.as_str(), name, out);
        }
        if join.history {
            let group = client.speech.flavour().group(&client.hub, name);
            self.history.replay(&group, out);
        }
        Ok(())
    }

    /// Ends the membership in a group, if there is one, and does not tell the client any longer who else is there.
    pub(super) fn leave(
        &self,
        client: &mut Client,
        name: &str,
        out: &mut Outgoing<'_>,
    ) -> Result<(), Refusal> {
        let hub = client.hub.clone();
        let was_watching = self.presence.unwatch(client, hub.as_str(), name, out);
        if name == ALL && was_watching {
            return Ok(());
        }
        self.check_membership(client, name)?;
        if let Some(group) = client.remove_group(name) {
            self.dismiss(client, group, out);
        }
        Ok(())
    }

    /// Whether the client may join and leave `name`, and that is the name of a group.
    fn check_membership(&self, client: &Client, name: &str) -> Result<(), Refusal> {
        self.check_group_name(name)?;
        Self::check_role(client, name)
    }

    /// Whether the client may join and leave `name`, whatever that is.
    fn check_role(client: &Client, name: &str) -> Result<(), Refusal> {
        if client.rights.may_join(name) {
            Ok(())
        } else {
            Err(Refusal::NoRole)
        }
    }

    /// Whether the client can be a member of `name`, as far as numbers and names are concerned.
    pub(super) fn check_join(&self, client: &Client, name: &str) -> Result<(), Refusal> {
        self.check_group_name(name)?;
        let is_full = client.group_count() >= self.limits.groups_per_connection_max;
        if is_full && client.group(name).is_none() {
            return Err(Refusal::TooManyGroups);
        }
        Ok(())
    }

    /// Whether `name` can be that of a group which clients join, leave and send to.
    pub(super) fn check_group_name(&self, name: &str) -> Result<(), Refusal> {
        if name.starts_with('@') {
            return Err(Refusal::ReservedName);
        }
        if is_blank(name) {
            return Err(Refusal::BlankGroupName);
        }
        if name.len() > self.limits.group_name_bytes_max {
            return Err(Refusal::GroupNameTooLong);
        }
        Ok(())
    }

    /// Makes a client a member of a group without asking what it may do.
    pub(super) fn admit(
        &mut self,
        client: &mut Client,
        name: &str,
        out: &mut Outgoing<'_>,
    ) -> Result<(), Refusal> {
        self.check_join(client, name)?;
        if client.group(name).is_none() {
            let flavour = client.speech.flavour();
            let group = self.names.get(flavour, &client.hub, name);
            client.insert_group(group.clone());
            out.join(group);
            self.presence.enter(client, client.hub.as_str(), name, out);
        }
        Ok(())
    }

    /// Ends the membership in a group of which the client is not to know any longer.
    pub(super) fn dismiss(&self, client: &Client, group: GroupName, out: &mut Outgoing<'_>) {
        self.presence
            .exit(client, client.hub.as_str(), group.name(), out);
        out.leave(group);
    }
}
