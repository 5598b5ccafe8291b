//! What a client may do with groups, as the roles in its token say.
//!
//! | Role | Lets its bearer |
//! |---|---|
//! | `webpubsub.joinLeaveGroup` | join and leave every group |
//! | `webpubsub.joinLeaveGroup.{group}` | join and leave that group |
//! | `webpubsub.joinLeaveGroups.{pattern}` | join and leave the groups that match |
//! | `webpubsub.sendToGroup…` | send to them, in the same three forms |
//!
//! To send is to send to a name: the roles rule over `@all`, `@user/…` and `@conn/…` as over groups. A role that is
//! not in the table, or whose pattern is malformed, lets nobody do anything.

use super::pattern::Pattern;

/// The roles of one client; by default none, with which it may do nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::endpoints) enum Rights {
    /// Everything: there is no access key, so there are no tokens.
    All,
    /// What these roles say, and nothing else.
    Roles(Box<[Role]>),
}

/// One role that says something about groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::endpoints) struct Role {
    /// What may be done.
    action: Action,
    /// With which groups.
    groups: Groups,
}

/// What can be done with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// To join and to leave it.
    JoinLeave,
    /// To send to it.
    Send,
}

/// Which groups a role is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Groups {
    /// All.
    All,
    /// The one of that name.
    One(Box<str>),
    /// Those that match.
    Matching(Pattern),
}

impl Rights {
    /// The rights that `roles` give.
    pub(in crate::endpoints) fn from_roles<'a>(roles: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Roles(roles.into_iter().filter_map(Role::parse).collect())
    }

    /// Whether the client may join and leave `group`.
    pub(in crate::endpoints) fn may_join(&self, group: &str) -> bool {
        self.may(Action::JoinLeave, group)
    }

    /// Whether the client may send to `group`, which may be an address.
    pub(in crate::endpoints) fn may_send(&self, group: &str) -> bool {
        self.may(Action::Send, group)
    }

    fn may(&self, action: Action, group: &str) -> bool {
        match self {
            Self::All => true,
            Self::Roles(roles) => roles
                .iter()
                .any(|role| role.action == action && role.groups.contain(group)),
        }
    }
}

impl Default for Rights {
    fn default() -> Self {
        Self::Roles(Box::default())
    }
}

impl Role {
    /// Reads a role; `None` for one that says nothing about groups.
    pub(super) fn parse(role: &str) -> Option<Self> {
        let role = role.strip_prefix("webpubsub.")?;
        let (action, groups) = if let Some(groups) = role.strip_prefix("joinLeaveGroup") {
            (Action::JoinLeave, groups)
        } else {
            (Action::Send, role.strip_prefix("sendToGroup")?)
        };
        let groups = if groups.is_empty() {
            Groups::All
        } else if let Some(group) = groups.strip_prefix('.') {
            Groups::One(group.into())
        } else {
            Groups::Matching(Pattern::parse(groups.strip_prefix("s.")?)?)
        };
        Some(Self { action, groups })
    }
}

impl Groups {
    fn contain(&self, group: &str) -> bool {
        match self {
            Self::All => true,
            Self::One(name) => **name == *group,
            Self::Matching(pattern) => pattern.matches(group),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Rights;

    #[test]
    fn ac_07_a_role_gives_one_right_over_the_groups_it_names() {
        for (role, join, send) in [
            (
                "webpubsub.joinLeaveGroup",
                &["a", "a.b", "@all", "@user/x"][..],
                &[][..],
            ),
            (
                "webpubsub.sendToGroup",
                &[],
                &["a", "a.b", "@all", "@user/x"],
            ),
            ("webpubsub.joinLeaveGroup.a", &["a"], &[]),
            ("webpubsub.sendToGroup.a.b", &[], &["a.b"]),
            ("webpubsub.sendToGroup.@all", &[], &["@all"]),
            ("webpubsub.sendToGroups.@user/*", &[], &["@user/x"]),
            ("webpubsub.joinLeaveGroups.a.*", &["a.b"], &[]),
            ("webpubsub.joinLeaveGroup.*", &[], &[]),
            ("webpubsub.sendToGroups", &[], &[]),
            ("webpubsub.sendToGroupX.a", &[], &[]),
            ("webpubsub.joinleavegroup", &[], &[]),
            ("sendToGroup", &[], &[]),
            ("", &[], &[]),
        ] {
            let rights = Rights::from_roles([role]);
            for group in ["a", "a.b", "@all", "@user/x"] {
                assert_eq!(
                    rights.may_join(group),
                    join.contains(&group),
                    "{role} {group}"
                );
                assert_eq!(
                    rights.may_send(group),
                    send.contains(&group),
                    "{role} {group}"
                );
            }
        }
    }

    #[test]
    fn names_of_groups_in_roles_compare_to_the_letter() {
        let rights = Rights::from_roles(["webpubsub.sendToGroup.a", "webpubsub.sendToGroups.b*"]);
        assert!(rights.may_send("a") && rights.may_send("bb"));
        assert!(!rights.may_send("A") && !rights.may_send("Bb") && !rights.may_send("ab"));
    }

    #[test]
    fn ac_06_no_role_is_no_right_and_no_access_key_is_all() {
        assert!(!Rights::default().may_join("a") && !Rights::default().may_send("a"));
        assert!(Rights::All.may_join("a") && Rights::All.may_send("@all"));
    }

    proptest! {
        /// The roles read naively say the same: a right is over the groups of one role, and in its direction only.
        #[test]
        fn ac_07_rights_are_those_of_some_role_for_its_groups_and_its_direction(
            roles in proptest::collection::vec((any::<bool>(), prop_oneof![Just(None), "[ab]{1,2}".prop_map(Some)]), 0..5),
            group in "[ab]{1,2}",
        ) {
            let texts: Vec<_> = roles
                .iter()
                .map(|(is_join, groups)| {
                    let action = if *is_join { "joinLeaveGroup" } else { "sendToGroup" };
                    let groups = groups.iter().map(|group| format!(".{group}"));
                    format!("webpubsub.{action}{}", groups.collect::<String>())
                })
                .collect();
            let rights = Rights::from_roles(texts.iter().map(String::as_str));
            let may = |is_join| {
                roles.iter().any(|(is_join_role, groups)| {
                    *is_join_role == is_join && groups.as_ref().is_none_or(|it| *it == group)
                })
            };
            prop_assert_eq!(rights.may_join(&group), may(true));
            prop_assert_eq!(rights.may_send(&group), may(false));
        }
    }
}
