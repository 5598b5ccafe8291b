//! Roles as somebody writes them who makes tokens, and may misspell them.

use std::fmt;
use std::str::FromStr;

use super::rights::Role;

/// A role that gives a right here: a token with another one would let its bearer do nothing, and not say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleName(Box<str>);

impl RoleName {
    /// The role as it stands in a token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleName {
    type Err = RoleNameError;

    fn from_str(text: &str) -> Result<Self, RoleNameError> {
        let (stem, groups) = stem_and_groups(text);
        let is_known = Role::parse(text).is_some() && groups != Some("");
        // Such a group may exist; whoever means it can escape the character in a pattern.
        let looks_like_pattern = !stem.ends_with('s') && groups.is_some_and(has_wildcard);
        if is_known && !looks_like_pattern {
            return Ok(Self(text.into()));
        }
        Err(RoleNameError {
            nearest: nearest(stem, groups),
        })
    }
}

/// A text is no role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleNameError {
    /// What was meant, perhaps.
    nearest: Option<String>,
}

impl fmt::Display for RoleNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.nearest {
            Some(nearest) => write!(f, "no such role; tip: did you mean '{nearest}'?"),
            None => f.write_str(
                "no such role; there are webpubsub.sendToGroup[.GROUP] and webpubsub.joinLeaveGroup[.GROUP], \
                 and with patterns webpubsub.sendToGroups.PATTERN and webpubsub.joinLeaveGroups.PATTERN",
            ),
        }
    }
}

impl std::error::Error for RoleNameError {}

/// What every role begins with.
const PREFIX: &str = "webpubsub";
/// What is behind the prefix, each also with an `s`, which makes a pattern of what follows.
const STEMS: [&str; 2] = ["joinLeaveGroup", "sendToGroup"];
/// How alike two words are, from 0 to 1, if one is the other misspelt.
const LIKENESS_MIN: f64 = 0.8;

/// The parts of a role, or of what may be one: what lies before the groups, without the prefix, and the groups.
fn stem_and_groups(text: &str) -> (&str, Option<&str>) {
    let is_prefix = |word: &str| likeness(word, PREFIX) >= LIKENESS_MIN;
    let role = match text.split_once('.') {
        Some((first, rest)) if is_prefix(first) => rest,
        _ => text,
    };
    match role.split_once('.') {
        Some((stem, groups)) => (stem, Some(groups)),
        None => (role, None),
    }
}

/// The role that is most like the one of these parts, if any is.
fn nearest(stem: &str, groups: Option<&str>) -> Option<String> {
    let like = |known: &&str| likeness(stem, known);
    let known = STEMS
        .into_iter()
        .max_by(|a, b| like(a).total_cmp(&like(b)))
        .filter(|known| like(known) >= LIKENESS_MIN)?;
    let role = match groups.filter(|groups| !groups.is_empty()) {
        Some(groups) if has_wildcard(groups) => format!("{PREFIX}.{known}s.{groups}"),
        Some(groups) => format!("{PREFIX}.{known}.{groups}"),
        None => format!("{PREFIX}.{known}"),
    };
    // A pattern can be malformed whatever it stands behind.
    Role::parse(&role).map(|_| role)
}

fn has_wildcard(groups: &str) -> bool {
    groups.contains(['*', '?'])
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(&a.to_ascii_lowercase(), &b.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_gives_a_right_is_one() {
        for role in [
            "webpubsub.sendToGroup",
            "webpubsub.joinLeaveGroup",
            "webpubsub.sendToGroup.@all",
            "webpubsub.sendToGroup.team.a",
            "webpubsub.sendToGroups.team.*",
            r"webpubsub.joinLeaveGroups.what\?",
            "webpubsub.joinLeaveGroups.plain",
        ] {
            assert_eq!(role.parse::<RoleName>().unwrap().as_str(), role);
        }
    }

    #[test]
    fn another_one_is_refused_with_what_was_meant() {
        for (role, nearest) in [
            (
                "webpubsub.sendToGruop.room",
                Some("webpubsub.sendToGroup.room"),
            ),
            ("webpubsub.sendtogroup", Some("webpubsub.sendToGroup")),
            (
                "WebPubSub.joinLeaveGroup.a.b",
                Some("webpubsub.joinLeaveGroup.a.b"),
            ),
            ("webpubsb.joinGroup.a", Some("webpubsub.joinLeaveGroup.a")),
            ("sendToGroup.room", Some("webpubsub.sendToGroup.room")),
            ("webpubsub.sendToGroups", Some("webpubsub.sendToGroup")),
            ("webpubsub.sendToGroup.", Some("webpubsub.sendToGroup")),
            ("webpubsub.sendToGroup.*", Some("webpubsub.sendToGroups.*")),
            (
                "webpubsub.joinLeaveGroup.a?",
                Some("webpubsub.joinLeaveGroups.a?"),
            ),
            ("webpubsub.sendToGroups.*****b**", None),
            ("webpubsub.owner", None),
            ("admin", None),
            ("", None),
        ] {
            let error = role.parse::<RoleName>().unwrap_err();
            assert_eq!(error.nearest.as_deref(), nearest, "{role}");
            if let Some(nearest) = nearest {
                assert!(nearest.parse::<RoleName>().is_ok(), "{nearest}");
                assert!(error.to_string().contains(nearest));
            }
        }
    }
}
