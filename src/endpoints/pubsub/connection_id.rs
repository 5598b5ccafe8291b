//! The names that clients know connections by.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use super::flavour::Flavour;
use super::hub_name::HubName;
use crate::delivery::SessionId;

/// Gives connections their names, and finds the connection for a name; all clones agree with each other.
///
/// A name is the session's id and a keyed hash of it and of its hub and flavour, under a key that the process draws when
/// it starts. So only names that were given out lead to a connection: one of an earlier process does not, one of another hub does not,
/// and a client that knows its own name cannot work out those of others, or address what is no member of its hub.
/// Knowing a name is nevertheless no right; rights are checked elsewhere.
#[derive(Clone, Debug)]
pub(in crate::endpoints) struct ConnectionIds {
    /// Makes hashes that nobody else can make.
    key: RandomState,
}

impl ConnectionIds {
    /// Draws a key from the system's generator.
    pub(in crate::endpoints) fn new() -> Self {
        Self {
            key: RandomState::new(),
        }
    }

    /// The name of `session`, a client of that flavour, within `hub`.
    pub(super) fn of(&self, hub: &HubName, flavour: Flavour, session: SessionId) -> ConnectionId {
        ConnectionId {
            session,
            tag: self.key.hash_one((hub, flavour, session)),
        }
    }

    /// The session that bears `name` within `hub`, and its flavour; `None` if the name was not given out by this process
    /// for this hub.
    pub(super) fn find(&self, hub: &HubName, name: &str) -> Option<(SessionId, Flavour)> {
        let (bits, tag) = name.split_at_checked(HALF_LEN)?;
        let session = SessionId::from_bits(parse_half(bits)?);
        let tag = parse_half(tag)?;
        let flavour = Flavour::ALL
            .into_iter()
            .find(|&flavour| self.of(hub, flavour, session).tag == tag)?;
        Some((session, flavour))
    }
}

/// The name of one connection: 32 digits, safe in URLs and in JSON.
///
/// | Digits | Field |
/// |---|---|
/// | 0–15 | session id, hexadecimal, lower case |
/// | 16–31 | keyed hash of hub, flavour and session id, likewise |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::endpoints) struct ConnectionId {
    /// Whose name it is.
    session: SessionId,
    /// What proves that the name was given out.
    tag: u64,
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.session.to_bits(), self.tag)
    }
}

/// Digits of each of the two fields.
const HALF_LEN: usize = 16;

/// The number that is written with exactly [`HALF_LEN`] digits; the standard parser would take a sign and capitals too.
fn parse_half(digits: &str) -> Option<u64> {
    let is_canonical = digits.len() == HALF_LEN
        && digits
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_canonical.then(|| u64::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::ConnectionIds;
    use crate::delivery::SessionId;
    use crate::endpoints::pubsub::flavour::Flavour;
    use crate::endpoints::pubsub::hub_name::HubName;

    fn chat() -> HubName {
        HubName::new("chat").unwrap()
    }

    fn session() -> SessionId {
        SessionId::new(3, 70_000, 9).unwrap()
    }

    #[test]
    fn a_name_leads_back_to_its_session() {
        let ids = ConnectionIds::new();
        for session in [
            session(),
            SessionId::from_bits(0),
            SessionId::from_bits(u64::MAX),
        ] {
            for flavour in Flavour::ALL {
                let name = ids.of(&chat(), flavour, session).to_string();
                assert_eq!(name.len(), 32);
                assert_eq!(ids.clone().find(&chat(), &name), Some((session, flavour)));
            }
        }
    }

    #[test]
    fn names_of_another_process_or_hub_lead_nowhere() {
        let ids = ConnectionIds::new();
        let name = ids.of(&chat(), Flavour::Json, session()).to_string();
        assert_eq!(ConnectionIds::new().find(&chat(), &name), None);
        assert_eq!(ids.find(&HubName::of_default(), &name), None);
    }

    #[test]
    fn a_name_with_another_session_in_it_leads_nowhere() {
        let ids = ConnectionIds::new();
        let name = ids.of(&chat(), Flavour::Json, session()).to_string();
        let forged = format!("{:016x}{}", session().to_bits() + 1, &name[16..]);
        assert_eq!(ids.find(&chat(), &forged), None);
    }

    #[test]
    fn a_name_has_one_spelling() {
        let ids = ConnectionIds::new();
        let name = ids.of(&chat(), Flavour::Json, session()).to_string();
        for other in [
            "",
            "é",
            &name[..31],
            &format!("{name}0"),
            &format!("+{}", &name[1..]),
            &name.to_uppercase(),
            &name.replacen('0', "é", 1),
        ] {
            assert_ne!(other, name);
            assert_eq!(ids.find(&chat(), other), None, "{other}");
        }
    }
}
