//! What lets somebody in: access keys, the tokens that are signed with them, and whom a token is meant for.
//!
//! Everything that a token is judged by but its roles is here, so that clients and services are judged alike. A token
//! is refused in one way, whatever is wrong with it and whether there was one at all; nothing of it is ever kept, shown
//! or logged.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::Deserialize;

use super::attempts::Attempts;
use super::signed_token::TokenKey;
use crate::clock::Moment;
use crate::handler::Arrival;
use crate::http::{ClientAddress, HttpError, Request, WebUrl};

/// A secret that this server shares with those who sign tokens: its UTF-8 bytes are the key (HS256).
///
/// `Debug` does not show it.
#[derive(Clone)]
pub struct AccessKey {
    /// What signs, and checks signatures; the secret itself is not kept.
    pub(super) token_key: TokenKey,
    /// Its length in bytes.
    len: usize,
}

impl AccessKey {
    /// Bytes that a key should have at least: as many as the hash that it is for (RFC 7518 3.2).
    const LEN_GOOD: usize = 32;

    /// Whether the key is so short that somebody with a token could try all keys.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.len < Self::LEN_GOOD
    }
}

impl FromStr for AccessKey {
    type Err = CredentialError;

    fn from_str(secret: &str) -> Result<Self, CredentialError> {
        if secret.is_empty() {
            return Err(CredentialError::EmptyAccessKey);
        }
        Ok(Self {
            token_key: TokenKey::new(secret.as_bytes()),
            len: secret.len(),
        })
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

/// Where clients find this server, if that is not what their Host field says: behind a proxy, for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl(Box<str>);

impl FromStr for PublicUrl {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, CredentialError> {
        WebUrl::parse(text)
            .filter(|url| matches!(url.target(), "" | "/"))
            .map(|url| Self(url.site().into()))
            .ok_or(CredentialError::MalformedPublicUrl)
    }
}

/// Why a setting that has to do with credentials is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CredentialError {
    /// The access key is empty.
    EmptyAccessKey,
    /// The public URL is not `http://host[:port]` or `https://host[:port]`.
    MalformedPublicUrl,
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyAccessKey => "the access key is empty",
            Self::MalformedPublicUrl => "a public URL is written http[s]://host[:port]",
        })
    }
}

impl std::error::Error for CredentialError {}

/// Judges tokens.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// Any of them may have signed a token; none: there are no tokens.
    keys: Vec<AccessKey>,
    /// Where this server is known to be, besides what a request says.
    public_urls: Vec<PublicUrl>,
    /// Who has failed to get in.
    attempts: Attempts,
}

/// What a token says; nothing else in it matters.
#[derive(Deserialize)]
pub(super) struct Claims {
    /// Whom it is meant for.
    aud: OneOrMany,
    /// When it ends, in seconds since 1970.
    exp: u64,
    /// Before when it does not count, likewise.
    nbf: Option<u64>,
    /// The user.
    pub(super) sub: Option<String>,
    /// What its bearer may do.
    #[serde(default)]
    pub(super) role: OneOrMany,
    /// The groups that its bearer is in from the start.
    #[serde(default, rename = "webpubsub.group")]
    pub(super) groups: OneOrMany,
}

/// A string or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    /// The string alone.
    One(String),
    /// The list.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let strings = match self {
            Self::One(string) => std::slice::from_ref(string),
            Self::Many(strings) => strings,
        };
        strings.iter().map(String::as_str)
    }
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl Gate {
    /// Lets those in who have a token that is signed with one of `keys`.
    pub(super) fn new(keys: Vec<AccessKey>, public_urls: Vec<PublicUrl>) -> Self {
        Self {
            keys,
            public_urls,
            attempts: Attempts::new(None),
        }
    }

    /// Lets nobody try any more who has failed more often than `failures_per_minute_max`.
    pub(super) fn limiting_failures(self, failures_per_minute_max: Option<NonZeroU32>) -> Self {
        Self {
            attempts: Attempts::new(failures_per_minute_max),
            ..self
        }
    }

    /// Whether there is no key, so that nobody can have a token.
    pub(super) fn has_no_key(&self) -> bool {
        self.keys.is_empty()
    }

    /// What the `token` of somebody says who comes now, if it is genuine and its time is now. Every way in passes here.
    ///
    /// Whoever has failed too often gets no further attempt, not even with a right token: guessing must not pay.
    ///
    /// # Errors
    ///
    /// [`HttpError::BadCredential`], also if there is no token, and [`HttpError::TooManyAttempts`].
    pub(super) fn log_in(
        &self,
        token: Option<&str>,
        arrival: &Arrival,
    ) -> Result<Claims, HttpError> {
        self.admit_attempt(arrival)?;
        let claims = self.claims(token, arrival.unix_seconds);
        // Who shows nothing has guessed nothing.
        if claims.is_err() && token.is_some() {
            self.note_failure(arrival.client, arrival.moment);
        }
        claims
    }

    /// Judges whether somebody who comes now may show a secret at all.
    ///
    /// # Errors
    ///
    /// [`HttpError::TooManyAttempts`] for whoever has failed too often.
    pub(super) fn admit_attempt(&self, arrival: &Arrival) -> Result<(), HttpError> {
        if self.attempts.are_over(arrival.client, arrival.moment) {
            return Err(HttpError::TooManyAttempts);
        }
        Ok(())
    }

    /// Takes note that `client` has shown a wrong secret, be it the token of a hub or of a connection.
    pub(super) fn note_failure(&self, client: ClientAddress, moment: Moment) {
        log::info!("{client}: failed to log in");
        self.attempts.add(client, moment);
    }

    /// What `token` says, if it is genuine and its time is `now`, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`HttpError::BadCredential`], also if there is no token.
    fn claims(&self, token: Option<&str>, now: u64) -> Result<Claims, HttpError> {
        // No token takes the way of a wrong one.
        let token = token.unwrap_or_default();
        if token.len() > TOKEN_BYTES_MAX {
            return Err(HttpError::BadCredential);
        }
        self.keys
            .iter()
            .find_map(|key| key.token_key.claims(token))
            .filter(|claims: &Claims| claims.is_time(now))
            .ok_or(HttpError::BadCredential)
    }

    /// The audience of the token that is this server, and with the path and query that `is_meant` says.
    ///
    /// # Errors
    ///
    /// [`HttpError::BadCredential`] if the token is meant for something else.
    pub(super) fn audience<'c>(
        &self,
        claims: &'c Claims,
        request: &Request<'_>,
        is_meant: impl Fn(&str) -> bool,
    ) -> Result<WebUrl<'c>, HttpError> {
        let is_here = |url: &WebUrl<'_>| {
            request.host().is_some_and(|host| url.is_at(host))
                || self.public_urls.iter().any(|PublicUrl(public)| {
                    WebUrl::parse(public).is_some_and(|public| public.is_same_site(url))
                })
        };
        claims
            .aud
            .iter()
            .filter_map(WebUrl::parse)
            .find(|url| is_here(url) && is_meant(url.target()))
            .ok_or(HttpError::BadCredential)
    }
}

impl Claims {
    /// When a connection that was let in at `now` has to end, in seconds from then.
    ///
    /// Who came after the end and was let in for the sake of clocks that differ may stay as long as that counts.
    pub(super) fn seconds_left(&self, now: u64) -> u64 {
        if self.exp > now {
            self.exp - now
        } else {
            (self.exp + SKEW_SECONDS).saturating_sub(now)
        }
    }

    fn is_time(&self, now: u64) -> bool {
        let has_begun = self.nbf.unwrap_or(0) <= now.saturating_add(SKEW_SECONDS);
        has_begun && now < self.exp.saturating_add(SKEW_SECONDS)
    }
}

/// The token in the Authorization field of a request (RFC 6750 2.1); `None` if there is none of its kind.
///
/// # Errors
///
/// [`HttpError::RepeatedField`] for more than one such field.
pub(super) fn bearer<'a>(request: &Request<'a>) -> Result<Option<&'a str>, HttpError> {
    let value = request.header("authorization")?;
    Ok(value
        .and_then(|value| str::from_utf8(value).ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim_start_matches(' ')))
}

/// Longest token in bytes; one in a query cannot be longer anyway.
pub(super) const TOKEN_BYTES_MAX: usize = 8 << 10;

/// By how many seconds the clocks of whoever signs tokens and of this machine may differ.
const SKEW_SECONDS: u64 = 5 * 60;

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::endpoints::recorder::request;
    use crate::endpoints::signed_token::tests::signed;

    pub(in super::super) const SECRET: &str = "0123456789abcdef0123456789abcdef";
    /// The present of the tests.
    pub(in super::super) const NOW: u64 = 1_800_000_000;

    /// A token with these claims, signed with [`SECRET`].
    pub(in super::super) fn token(claims: &Value) -> String {
        token_by(SECRET, claims)
    }

    fn token_by(secret: &str, claims: &Value) -> String {
        let header = r#"{"typ":"JWT","alg":"HS256"}"#;
        signed(header, &claims.to_string(), secret.as_bytes())
    }

    fn gate() -> Gate {
        Gate::new(
            vec!["another key".parse().unwrap(), SECRET.parse().unwrap()],
            vec!["https://chat.example".parse().unwrap()],
        )
    }

    fn is_genuine(token: &str) -> bool {
        gate().claims(Some(token), NOW).is_ok()
    }

    #[test]
    fn ac_04_only_hs256_with_one_of_the_keys_counts() {
        let claims = json!({"aud": "http://a", "exp": NOW + 60});
        assert!(is_genuine(&token_by(SECRET, &claims)));
        assert!(is_genuine(&token_by("another key", &claims)));
        assert!(!is_genuine(&token_by("a third key", &claims)));
        let good = token(&claims);
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (_, payload) = message.split_once('.').unwrap();
        // {"alg":"none"}, with the good signature and without one.
        for forged in [
            format!("eyJhbGciOiJub25lIn0.{payload}."),
            format!("eyJhbGciOiJub25lIn0.{payload}.{signature}"),
            format!("{message}."),
            format!("{message}.{}", signature.to_uppercase()),
            message.to_owned(),
            "..".to_owned(),
            String::new(),
        ] {
            assert!(!is_genuine(&forged), "{forged}");
        }
        assert!(gate().claims(None, NOW).is_err());
        assert!(
            Gate::new(Vec::new(), Vec::new())
                .claims(Some(&good), NOW)
                .is_err()
        );
    }

    #[test]
    fn ac_04_a_token_counts_from_its_beginning_to_its_end_give_or_take_five_minutes() {
        for (times, is_good) in [
            (json!({"exp": NOW + 1}), true),
            (json!({"exp": NOW - 299}), true),
            (json!({"exp": NOW - 300}), false),
            (json!({"exp": u64::MAX}), true),
            (json!({"exp": NOW + 1, "nbf": NOW + 300}), true),
            (json!({"exp": NOW + 1, "nbf": NOW + 301}), false),
            (json!({"nbf": NOW}), false),
            (json!({"exp": (NOW + 60).to_string()}), false),
            (json!({"exp": -1}), false),
            (json!({"exp": null}), false),
        ] {
            let mut claims = json!({"aud": "http://a"});
            claims
                .as_object_mut()
                .unwrap()
                .extend(times.as_object().unwrap().clone());
            assert_eq!(is_genuine(&token(&claims)), is_good, "{claims}");
        }
    }

    #[test]
    fn ac_08_a_connection_ends_with_its_token_and_a_late_one_with_the_allowance() {
        let left = |exp| {
            let token = token(&json!({"aud": "http://a", "exp": exp}));
            gate()
                .claims(Some(&token), NOW)
                .map(|claims| claims.seconds_left(NOW))
        };
        assert_eq!(left(NOW + 60), Ok(60));
        assert_eq!(left(NOW), Ok(300));
        assert_eq!(left(NOW - 100), Ok(200));
    }

    #[test]
    fn ac_04_a_token_is_for_this_server_and_one_target() {
        let request = request("GET http://localhost:8080/x HTTP/1.1");
        for (aud, is_good) in [
            (json!("http://localhost:8080/x"), true),
            (json!("HTTPS://LOCALHOST:8080/x"), true),
            (
                json!(["http://elsewhere/x", "http://localhost:8080/x"]),
                true,
            ),
            (json!("https://chat.example/x"), true),
            (json!("https://chat.example:443/x"), true),
            (json!("http://chat.example/x"), false),
            (json!("http://localhost/x"), false),
            (json!("ws://localhost:8080/x"), false),
            (json!("http://localhost:8080/y"), false),
            (json!("http://localhost:8080.evil/x"), false),
            (json!("/x"), false),
            (json!([]), false),
        ] {
            let token = token(&json!({"aud": aud, "exp": NOW + 60}));
            let claims = gate()
                .claims(Some(&token), NOW)
                .unwrap_or_else(|_| panic!("{aud}"));
            let audience = gate().audience(&claims, &request, |target| target == "/x");
            assert_eq!(audience.is_ok(), is_good, "{aud}");
        }
        assert!(
            !is_genuine(&token(&json!({"exp": NOW + 60}))),
            "no audience"
        );
    }

    #[test]
    fn ac_04_the_length_of_a_token_is_judged_before_it_is_decoded() {
        let of_len = |len: usize| {
            let claims = |pad| json!({"aud": "http://a", "exp": NOW + 60, "pad": "x".repeat(pad)});
            (0..len)
                .rev()
                .map(|pad| token(&claims(pad)))
                .find(|token| token.len() <= len)
                .unwrap()
        };
        assert!(is_genuine(&of_len(TOKEN_BYTES_MAX)));
        // Lengths come in threes and fours, so the next longer one is not one byte longer.
        let longer = of_len(TOKEN_BYTES_MAX + 4);
        assert!(longer.len() > TOKEN_BYTES_MAX && !is_genuine(&longer));
    }

    #[test]
    fn ac_05_a_bearer_token_is_found_in_the_header() {
        for (lines, expected) in [
            ("", None),
            ("Authorization: Bearer abc", Some("abc")),
            ("Authorization: bearer   abc", Some("abc")),
            ("Authorization: Basic abc", None),
            ("Authorization: Bearer", None),
        ] {
            let request = request(&format!("GET / HTTP/1.1\n{lines}"));
            assert_eq!(bearer(&request), Ok(expected), "{lines}");
        }
        let twice = request("GET / HTTP/1.1\nAuthorization: Bearer a\nAuthorization: Bearer b");
        assert_eq!(bearer(&twice), Err(HttpError::RepeatedField));
    }

    #[test]
    fn ac_10_a_key_is_not_shown_and_not_empty() {
        let key: AccessKey = SECRET.parse().unwrap();
        assert!(!format!("{key:?} {:?}", gate()).contains(SECRET));
        assert!(!key.is_short() && "short".parse::<AccessKey>().unwrap().is_short());
        assert!("".parse::<AccessKey>().is_err());
    }

    #[test]
    fn a_public_url_is_a_site() {
        for good in ["http://a", "https://a:1/", "https://[::1]"] {
            assert!(good.parse::<PublicUrl>().is_ok(), "{good}");
        }
        for bad in ["", "a", "ws://a", "http://a/b", "http://a?b"] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }
}
