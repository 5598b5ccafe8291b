//! Whether a request comes from a service that has the access key.

use percent_encoding::percent_decode_str;

use super::super::credential::{Gate, bearer};
use crate::handler::Arrival;
use crate::http::{HttpError, Request};

/// Judges the token of a request, which is meant for exactly that request: its audience is the URL, with or without the
/// query. Returns scheme, host and port of that URL, under which the service finds this server.
///
/// Audiences compare without case, as written or decoded, since not every library writes escapes alike.
///
/// # Errors
///
/// [`HttpError::BadCredential`] for no token and for one that does not count; [`HttpError::RepeatedField`] for more than
/// one Authorization field.
pub(super) fn judge(
    gate: &Gate,
    request: &Request<'_>,
    arrival: Arrival,
) -> Result<Box<str>, HttpError> {
    let claims = gate.log_in(bearer(request)?, &arrival)?;
    let path = request.path();
    let is_meant = |target: &str| match request.query() {
        _ if is_same(target, path) => true,
        Some(query) => is_same(target, &format!("{path}?{query}")),
        None => false,
    };
    gate.audience(&claims, request, is_meant)
        .map(|url| url.site().into())
}

/// Whether both are the same path and query.
fn is_same(a: &str, b: &str) -> bool {
    let decode = |text| percent_decode_str(text).collect::<Vec<u8>>();
    a.eq_ignore_ascii_case(b) || decode(a).eq_ignore_ascii_case(&decode(b))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::judge;
    use crate::endpoints::credential::Gate;
    use crate::endpoints::credential::tests::{NOW, SECRET, token};
    use crate::endpoints::recorder::request;
    use crate::handler::Arrival;
    use crate::http::HttpError;

    fn verdict(target: &str, authorization: &str) -> Result<Box<str>, HttpError> {
        let gate = Gate::new(vec![SECRET.parse().unwrap()], Vec::new());
        let request = request(&format!("POST {target} HTTP/1.1\n{authorization}"));
        let arrival = Arrival::of_a_test(NOW);
        judge(&gate, &request, arrival)
    }

    #[test]
    fn ac_04_the_audience_is_the_url_of_the_request() {
        for (target, aud, is_good) in [
            ("/api/a?b=c", "http://localhost/api/a?b=c", true),
            ("/api/a?b=c", "http://localhost/api/a", true),
            ("/api/a?b=c", "HTTP://LOCALHOST:80/API/A?B=C", true),
            (
                "/api/bob%2F%C3%A9?x",
                "http://localhost/api/bob%2f%c3%a9?x",
                true,
            ),
            ("/api/bob%20e", "http://localhost/api/bob e", true),
            ("/api/%7Ebob", "http://localhost/api/~bob", true),
            ("/api/a?b=c", "http://localhost/api/a?b=d", false),
            ("/api/a?b=c", "http://localhost/api/a?", false),
            ("/api/a", "http://localhost/api/a?b=c", false),
            ("/api/a", "http://localhost/api/ab", false),
            ("/api/a", "http://localhost/api", false),
            ("/api/a", "http://elsewhere/api/a", false),
        ] {
            let token = token(&json!({"aud": aud, "exp": NOW + 60}));
            let found = verdict(target, &format!("Authorization: Bearer {token}"));
            assert_eq!(found.is_ok(), is_good, "{target} {aud}");
        }
    }

    #[test]
    fn ac_05_a_service_needs_a_token_in_the_header() {
        assert_eq!(verdict("/api/a", ""), Err(HttpError::BadCredential));
        let token = token(&json!({"aud": "http://localhost/api/a", "exp": NOW + 60}));
        let in_query = format!("/api/a?access_token={token}");
        assert_eq!(verdict(&in_query, ""), Err(HttpError::BadCredential));
        let good = verdict(&in_query, &format!("Authorization: Bearer {token}"));
        assert_eq!(good, Ok("http://localhost".into()));
    }
}
