//! What a new token says: the other side of what [`Claims`](super::credential) read.

use std::fmt;

use serde::{Serialize, Serializer};

use super::credential::{AccessKey, TOKEN_BYTES_MAX};
use super::pubsub::{RoleName, UserId};
use crate::http::WebUrl;

/// What a new token says of its bearer.
#[derive(Clone, Debug, Serialize)]
pub struct TokenClaims {
    /// Whom the token is meant for: the http URL of a hub, or that of a request of a service.
    #[serde(rename = "aud")]
    pub audience: String,
    /// The name that its bearer has; none by default.
    #[serde(rename = "sub", skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What its bearer may do; nothing by default.
    #[serde(
        rename = "role",
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "as_strings"
    )]
    pub roles: Vec<RoleName>,
    /// The groups that its bearer is in from the start; none by default.
    #[serde(rename = "webpubsub.group", skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// When it was made, in seconds since 1970; it does not count before.
    #[serde(rename = "nbf")]
    pub issued_at: u64,
    /// When it ends, in seconds since 1970.
    #[serde(rename = "exp")]
    pub expires_at: u64,
}

impl TokenClaims {
    /// Claims that give no right and no name, for `audience` and from `issued_at` to `expires_at`, in seconds since 1970.
    #[must_use]
    pub fn new(audience: String, issued_at: u64, expires_at: u64) -> Self {
        Self {
            audience,
            user: None,
            roles: Vec::new(),
            groups: Vec::new(),
            issued_at,
            expires_at,
        }
    }

    /// Judges what a server would refuse.
    fn check(&self) -> Result<(), TokenClaimsError> {
        if WebUrl::parse(&self.audience).is_none() {
            return Err(TokenClaimsError::Audience);
        }
        if self
            .user
            .as_ref()
            .is_some_and(|name| UserId::new(name).is_none())
        {
            return Err(TokenClaimsError::User);
        }
        let is_group = |name: &String| !name.starts_with('@') && !name.trim().is_empty();
        if !self.groups.iter().all(is_group) {
            return Err(TokenClaimsError::Group);
        }
        if self.expires_at <= self.issued_at {
            return Err(TokenClaimsError::NoTime);
        }
        Ok(())
    }
}

impl AccessKey {
    /// A token that makes `claims`.
    ///
    /// # Errors
    ///
    /// A server with this key would refuse the token, or part of what it says.
    pub fn sign(&self, claims: &TokenClaims) -> Result<String, TokenClaimsError> {
        claims.check()?;
        let token = self.token_key.sign(claims);
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenClaimsError::TooLong);
        }
        Ok(token)
    }
}

/// Why claims make no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenClaimsError {
    /// The audience is no http or https URL.
    Audience,
    /// The user has a name that nobody can have.
    User,
    /// One of the groups has a name that no group can have.
    Group,
    /// The token would end before it begins.
    NoTime,
    /// The token would be longer than 8 KiB.
    TooLong,
}

impl fmt::Display for TokenClaimsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audience => "the audience is no URL that begins with http:// or https://",
            Self::User => "the name of a user has 1 to 128 bytes and no control characters",
            Self::Group => "the name of a group is not blank and does not begin with @",
            Self::NoTime => "a token ends after it begins",
            Self::TooLong => "the token would have more than 8 KiB, which no server takes",
        })
    }
}

impl std::error::Error for TokenClaimsError {}

fn as_strings<S: Serializer>(roles: &[RoleName], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(roles.iter().map(RoleName::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::credential::Gate;
    use crate::endpoints::credential::tests::{NOW, SECRET};
    use crate::endpoints::pubsub::Grant;
    use crate::endpoints::recorder::request;
    use crate::handler::Arrival;

    fn claims() -> TokenClaims {
        TokenClaims::new("http://localhost/ws".into(), NOW, NOW + 60)
    }

    fn sign(claims: &TokenClaims) -> Result<String, TokenClaimsError> {
        SECRET.parse::<AccessKey>().unwrap().sign(claims)
    }

    #[test]
    fn a_gate_with_the_key_believes_every_claim() {
        let mut claims = claims();
        claims.user = Some("al ice".into());
        claims.roles = vec!["webpubsub.sendToGroup.a".parse().unwrap()];
        claims.groups = vec!["g".into(), "h".into()];
        let token = sign(&claims).unwrap();
        let gate = Gate::new(vec![SECRET.parse().unwrap()], Vec::new());
        let request = request(&format!("GET /ws?access_token={token} HTTP/1.1"));
        let grant = |now| {
            let is_meant = |target: &str| target == "/ws";
            Grant::from_token(&gate, &request, &Arrival::of_a_test(now), is_meant)
        };
        let granted = grant(NOW).unwrap();
        assert_eq!(granted.user, UserId::new("al ice"));
        assert_eq!(granted.groups, ["g".into(), "h".into()]);
        assert_eq!(granted.seconds_left, Some(60));
        assert!(granted.rights.may_send("a") && !granted.rights.may_send("b"));
        assert!(!granted.rights.may_join("a"));
        // Give or take the five minutes by which clocks may differ.
        assert!(grant(NOW - 301).is_err() && grant(NOW + 361).is_err());
    }

    #[test]
    fn what_a_server_would_refuse_is_not_signed() {
        let with = |change: fn(&mut TokenClaims)| {
            let mut claims = claims();
            change(&mut claims);
            sign(&claims).map(drop)
        };
        assert_eq!(with(|_| ()), Ok(()));
        for (change, error) in [
            (
                (|claims| claims.audience = "ws://a/ws".into()) as fn(&mut TokenClaims),
                TokenClaimsError::Audience,
            ),
            (
                |claims| claims.user = Some(String::new()),
                TokenClaimsError::User,
            ),
            (
                |claims| claims.user = Some("a\n".into()),
                TokenClaimsError::User,
            ),
            (
                |claims| claims.groups = vec!["@all".into()],
                TokenClaimsError::Group,
            ),
            (
                |claims| claims.groups = vec![" ".into()],
                TokenClaimsError::Group,
            ),
            (
                |claims| claims.expires_at = claims.issued_at,
                TokenClaimsError::NoTime,
            ),
            (
                |claims| claims.groups = vec!["x".repeat(8000)],
                TokenClaimsError::TooLong,
            ),
        ] {
            assert_eq!(with(change), Err(error));
        }
    }
}
