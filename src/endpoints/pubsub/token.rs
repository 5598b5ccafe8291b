//! What the token of a client lets it do.

use crate::endpoints::credential::{Claims, Gate, bearer};
use crate::handler::Arrival;
use crate::http::{HttpError, Request};

use super::client::UserId;
use super::rights::Rights;

/// Who a client is and what it may do, as far as it could prove.
#[derive(Debug, Default)]
pub(in crate::endpoints) struct Grant {
    /// Its name, if it has one.
    pub(in crate::endpoints) user: Option<UserId>,
    /// What it may do with groups.
    pub(in crate::endpoints) rights: Rights,
    /// The groups that it is in from the start.
    pub(in crate::endpoints) groups: Vec<Box<str>>,
    /// When its token ends, in seconds from now; `None` for somebody who needed none.
    pub(in crate::endpoints) seconds_left: Option<u64>,
}

impl Grant {
    /// For somebody whom no token can be asked for, since there is no access key; `userId` in the query names the user.
    ///
    /// # Errors
    ///
    /// [`HttpError::MalformedTarget`] for a name that no user can have.
    pub(in crate::endpoints) fn without_token(request: &Request<'_>) -> Result<Self, HttpError> {
        let user = request
            .query_value("userId")
            .map(|name| UserId::new(&name).ok_or(HttpError::MalformedTarget))
            .transpose()?;
        Ok(Self {
            user,
            rights: Rights::All,
            ..Self::default()
        })
    }

    /// For the bearer of the token in the Authorization field or, if that has none, in the query as `access_token`,
    /// provided that it is meant for this server and a path that `is_meant` knows.
    ///
    /// # Errors
    ///
    /// [`HttpError::BadCredential`] for no token and for one that does not count; [`HttpError::RepeatedField`] for more
    /// than one Authorization field.
    pub(in crate::endpoints) fn from_token(
        gate: &Gate,
        request: &Request<'_>,
        arrival: &Arrival,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<Self, HttpError> {
        let in_query = request.query_value("access_token");
        let token = bearer(request)?.or(in_query.as_deref());
        let claims = gate.log_in(token, arrival)?;
        gate.audience(&claims, request, is_meant)?;
        Self::of(&claims, arrival.unix_seconds).ok_or(HttpError::BadCredential)
    }

    /// What `claims` say; `None` if they name a user whom nobody can be.
    fn of(claims: &Claims, now: u64) -> Option<Self> {
        let user = match claims.sub.as_deref() {
            None | Some("") => None,
            Some(name) => Some(UserId::new(name)?),
        };
        Some(Self {
            user,
            rights: Rights::from_roles(claims.role.iter()),
            groups: claims.groups.iter().map(Box::from).collect(),
            seconds_left: Some(claims.seconds_left(now)),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Grant;
    use crate::endpoints::credential::Gate;
    use crate::endpoints::credential::tests::{NOW, SECRET, token};
    use crate::endpoints::recorder::request;
    use crate::handler::Arrival;
    use crate::http::HttpError;

    /// What `claims`, with an audience and an end, lead to.
    fn grant(claims: &Value) -> Result<Grant, HttpError> {
        let mut all = json!({"aud": "http://localhost/ws", "exp": NOW + 60});
        all.as_object_mut()
            .unwrap()
            .extend(claims.as_object().unwrap().clone());
        judge(&format!("GET /ws?access_token={} HTTP/1.1", token(&all)))
    }

    fn judge(lines: &str) -> Result<Grant, HttpError> {
        let gate = Gate::new(vec![SECRET.parse().unwrap()], Vec::new());
        let arrival = Arrival::of_a_test(NOW);
        Grant::from_token(&gate, &request(lines), &arrival, |target| target == "/ws")
    }

    #[test]
    fn one_role_or_group_may_stand_without_a_list() {
        for (role, groups) in [
            (json!("webpubsub.sendToGroup.a"), json!("g")),
            (json!(["x", "webpubsub.sendToGroup.a"]), json!(["g"])),
        ] {
            let grant = grant(&json!({"role": role, "webpubsub.group": groups, "sub": "al ice"}));
            let grant = grant.unwrap();
            assert!(grant.rights.may_send("a") && !grant.rights.may_send("b"));
            assert!(!grant.rights.may_join("a"));
            assert_eq!(grant.groups, ["g".into()]);
            assert_eq!(grant.user.unwrap().as_str(), "al ice");
            assert_eq!(grant.seconds_left, Some(60));
        }
        let nothing = grant(&json!({})).unwrap();
        assert!(nothing.user.is_none() && nothing.groups.is_empty());
        assert!(!nothing.rights.may_send("a"));
    }

    #[test]
    fn ac_04_claims_of_another_kind_are_no_claims() {
        for claims in [
            json!({"sub": 1}),
            json!({"sub": "a\u{7}"}),
            json!({"sub": "x".repeat(129)}),
            json!({"role": 1}),
            json!({"role": [1]}),
            json!({"webpubsub.group": {}}),
        ] {
            assert_eq!(
                grant(&claims).unwrap_err(),
                HttpError::BadCredential,
                "{claims}"
            );
        }
    }

    #[test]
    fn ac_05_a_token_in_the_header_is_preferred_to_one_in_the_query() {
        let token =
            |sub| token(&json!({"aud": "http://localhost/ws", "exp": NOW + 60, "sub": sub}));
        let (ann, ben) = (token("ann"), token("ben"));
        for (lines, user) in [
            (format!("GET /ws?access_token={ann} HTTP/1.1"), Ok("ann")),
            (
                format!("GET /ws HTTP/1.1\nAuthorization: Bearer {ben}"),
                Ok("ben"),
            ),
            (
                format!("GET /ws?access_token={ann} HTTP/1.1\nAuthorization: Bearer {ben}"),
                Ok("ben"),
            ),
            (
                format!("GET /ws?access_token={ann} HTTP/1.1\nAuthorization: Basic x"),
                Ok("ann"),
            ),
            (
                format!("GET /ws?access_token={ann} HTTP/1.1\nAuthorization: Bearer x"),
                Err(HttpError::BadCredential),
            ),
            ("GET /ws HTTP/1.1".to_owned(), Err(HttpError::BadCredential)),
        ] {
            let found = judge(&lines).map(|grant| grant.user.unwrap().as_str().to_owned());
            assert_eq!(found, user.map(str::to_owned));
        }
    }
}
