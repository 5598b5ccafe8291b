//! Responses: everything that can be said to a request except 101.

use std::borrow::Cow;
use std::fmt;

use super::HttpError;
use super::field::is_token;

/// A response with a body of known length.
///
/// Every response forbids guessing its type and, unless it has a Cache-Control of its own, storing it.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Response {
    /// Three digits, 200 or above.
    status: u16,
    /// The media type of the body; empty if there is no body.
    content_type: &'static str,
    /// The body.
    body: Cow<'static, [u8]>,
    /// Further fields, in order.
    fields: Vec<(&'static str, Cow<'static, str>)>,
    /// Whether the connection has to end after it.
    must_close: bool,
}

impl Response {
    /// What is sent before the response to a client that waits with its body (RFC 9110 15.2.1).
    pub const CONTINUE: &'static [u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

    /// A response with a body.
    pub fn new(
        status: u16,
        content_type: &'static str,
        body: impl Into<Cow<'static, [u8]>>,
    ) -> Self {
        debug_assert!(
            is_clean(content_type),
            "a content type with control characters"
        );
        Self {
            status,
            content_type,
            body: body.into(),
            fields: Vec::new(),
            must_close: false,
        }
    }

    /// A response without a body.
    pub fn empty(status: u16) -> Self {
        Self::new(status, "", &[][..])
    }

    /// A response with plain text.
    pub fn text(status: u16, body: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", into_bytes(body.into()))
    }

    /// A response with JSON, which the caller has serialised.
    pub fn json(status: u16, body: impl Into<Cow<'static, [u8]>>) -> Self {
        Self::new(status, "application/json", body)
    }

    /// A response that says what is wrong, as a JSON object and in the field `x-ms-error-code`, where the service SDKs of
    /// the JSON protocol look for it: `code` for programs, `message` for people. Neither has characters that JSON escapes.
    pub fn error(status: u16, code: impl Into<Cow<'static, str>>, message: &str) -> Self {
        let code = code.into();
        let body = format!(r#"{{"code":"{code}","message":"{message}"}}"#);
        Self::json(status, body.into_bytes()).with_header("x-ms-error-code", code)
    }

    /// The answer to a request that is refused: its status, the fields that this status requires, and a JSON object that
    /// repeats nothing the client has sent; its code is the name of the status without blanks.
    pub fn refusal(error: HttpError) -> Self {
        let code = reason(error.status()).replace(' ', "");
        let mut response = Self::error(error.status(), code, &error.to_string());
        response.must_close = error.closes();
        match (error, error.status()) {
            (HttpError::MethodNotAllowed { allow }, _) => response.with_header("Allow", allow),
            (_, 401) => response.with_header("WWW-Authenticate", "Bearer"),
            (_, UPGRADE_REQUIRED) => response
                .with_header("Upgrade", "websocket")
                .with_header("Sec-WebSocket-Version", "13"),
            (_, 429 | 503) => response.with_header("Retry-After", RETRY_AFTER_SECONDS),
            _ => response,
        }
    }

    /// Adds a field. Its name must be a token and not one of those that [`Response::encode`] writes.
    ///
    /// Control characters in the value become spaces, so that no value can begin another line (RFC 9110 5.5).
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!(is_token(name.as_bytes()), "a field name that is no token");
        debug_assert!(
            !is_written_by_encode(name),
            "a field that the encoder writes"
        );
        let mut value = value.into();
        if !is_clean(&value) {
            value = value
                .replace(|character: char| character.is_ascii_control(), " ")
                .into();
        }
        self.fields.push((name, value));
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the connection has to end after it, whatever the request wished for.
    #[must_use]
    pub fn must_close(&self) -> bool {
        self.must_close
    }

    /// Head and body as they go out; without the body if `is_head`, with `Connection: close` if `closes` or if the
    /// response itself ends the connection.
    #[must_use]
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "lengths of things in memory"
    )]
    pub fn encode(&self, is_head: bool, closes: bool) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_LEN_TYPICAL + self.body.len());
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(reason(self.status).as_bytes());
        out.extend_from_slice(b"\r\n");
        if !self.content_type.is_empty() {
            push_field(&mut out, "Content-Type", self.content_type);
        }
        // A 204 ends with its head, and a length in it is forbidden (RFC 9110 8.6).
        if self.status != 204 {
            push_field(&mut out, "Content-Length", &self.body.len().to_string());
        }
        push_field(&mut out, "X-Content-Type-Options", "nosniff");
        if !self
            .fields
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("cache-control"))
        {
            push_field(&mut out, "Cache-Control", "no-store");
        }
        for (name, value) in &self.fields {
            push_field(&mut out, name, value);
        }
        match (self.status == UPGRADE_REQUIRED, closes || self.must_close) {
            (true, true) => push_field(&mut out, "Connection", "Upgrade, close"),
            (true, false) => push_field(&mut out, "Connection", "Upgrade"),
            (false, true) => push_field(&mut out, "Connection", "close"),
            (false, false) => {}
        }
        out.extend_from_slice(b"\r\n");
        if !is_head && self.status != 204 {
            out.extend_from_slice(&self.body);
        }
        out
    }
}

impl fmt::Debug for Response {
    /// Shows the body by its length, and of the fields their names only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("content_type", &self.content_type)
            .field("body_len", &self.body.len())
            .field(
                "fields",
                &self
                    .fields
                    .iter()
                    .map(|(name, _)| *name)
                    .collect::<Vec<_>>(),
            )
            .field("must_close", &self.must_close)
            .finish()
    }
}

/// The status that asks for an upgrade, and so has to name it twice (RFC 9110 15.5.22).
const UPGRADE_REQUIRED: u16 = 426;

/// When a client that was turned away may try again: soon, since places become free all the time.
const RETRY_AFTER_SECONDS: &str = "5";

/// Room for a head without long fields, so that a response is one allocation.
const HEAD_LEN_TYPICAL: usize = 256;

/// Writes one field line.
fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Whether `value` has no character that could end its line.
fn is_clean(value: &str) -> bool {
    !value.bytes().any(|byte| byte.is_ascii_control())
}

/// Whether [`Response::encode`] writes the field `name` itself.
fn is_written_by_encode(name: &str) -> bool {
    [
        "Connection",
        "Content-Length",
        "Content-Type",
        "Transfer-Encoding",
        "X-Content-Type-Options",
    ]
    .iter()
    .any(|other| other.eq_ignore_ascii_case(name))
}

/// The bytes of a text, copied only if it is not owned yet.
fn into_bytes(text: Cow<'static, str>) -> Cow<'static, [u8]> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    }
}

/// The words that traditionally follow a status; clients do not read them (RFC 9112 4).
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(response: &Response, is_head: bool, closes: bool) -> String {
        String::from_utf8(response.encode(is_head, closes)).unwrap()
    }

    #[test]
    fn a_response_is_these_bytes() {
        let expected = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
            X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n{}";
        assert_eq!(
            encode(&Response::json(200, &b"{}"[..]), false, false),
            expected
        );
    }

    #[test]
    fn ht_05_head_gets_the_length_but_no_body() {
        let sent = encode(&Response::text(200, "hello"), true, false);
        assert!(
            sent.contains("Content-Length: 5\r\n") && sent.ends_with("\r\n\r\n"),
            "{sent}"
        );
    }

    #[test]
    fn an_empty_response_has_a_length_unless_it_is_204() {
        let sent = encode(&Response::empty(202), false, false);
        assert!(
            sent.contains("Content-Length: 0\r\n") && !sent.contains("\nContent-Type"),
            "{sent}"
        );
        assert!(!encode(&Response::empty(204), false, false).contains("Content-Length"));
    }

    #[test]
    fn ht_05_a_response_says_when_the_connection_ends() {
        let response = Response::text(200, "");
        assert!(encode(&response, false, true).contains("\r\nConnection: close\r\n"));
        assert!(!encode(&response, false, false).contains("Connection"));
        let refusal = Response::refusal(HttpError::BareLineFeed);
        assert!(refusal.must_close());
        assert!(encode(&refusal, false, false).contains("\r\nConnection: close\r\n"));
        assert!(!Response::refusal(HttpError::NotFound).must_close());
    }

    #[test]
    fn hs_18_a_refusal_has_the_fields_that_its_status_requires() {
        for (error, status, fields) in [
            (HttpError::BareLineFeed, "400 Bad Request", &[][..]),
            (
                HttpError::BadCredential,
                "401 Unauthorized",
                &["WWW-Authenticate: Bearer"],
            ),
            (HttpError::OriginNotAllowed, "403 Forbidden", &[]),
            (HttpError::NotFound, "404 Not Found", &[]),
            (
                HttpError::MethodNotAllowed { allow: "GET, HEAD" },
                "405 Method Not Allowed",
                &["Allow: GET, HEAD"],
            ),
            (
                HttpError::RequestTimeout,
                "408 Request Timeout",
                &["Connection: close"],
            ),
            (
                HttpError::ChunkedBody,
                "411 Length Required",
                &["Connection: close"],
            ),
            (
                HttpError::BodyTooLarge,
                "413 Content Too Large",
                &["Connection: close"],
            ),
            (
                HttpError::TargetTooLong,
                "414 URI Too Long",
                &["Connection: close"],
            ),
            (
                HttpError::UnknownExpectation,
                "417 Expectation Failed",
                &["Connection: close"],
            ),
            (
                HttpError::NotAnUpgrade,
                "426 Upgrade Required",
                &[
                    "Upgrade: websocket",
                    "Connection: Upgrade, close",
                    "Sec-WebSocket-Version: 13",
                ],
            ),
            (
                HttpError::UnsupportedVersion,
                "426 Upgrade Required",
                &["Sec-WebSocket-Version: 13"],
            ),
            (
                HttpError::TooManyAttempts,
                "429 Too Many Requests",
                &["Retry-After: 5"],
            ),
            (
                HttpError::HeadTooLarge,
                "431 Request Header Fields Too Large",
                &["Connection: close"],
            ),
            (
                HttpError::UnknownTransferCoding,
                "501 Not Implemented",
                &["Connection: close"],
            ),
            (
                HttpError::Unavailable,
                "503 Service Unavailable",
                &["Retry-After: 5", "Connection: close"],
            ),
            (
                HttpError::UnsupportedHttpVersion,
                "505 HTTP Version Not Supported",
                &["Connection: close"],
            ),
        ] {
            let sent = encode(&Response::refusal(error), false, false);
            let (head, body) = sent.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{sent}"
            );
            let code = status[4..].replace(' ', "");
            assert_eq!(body, format!(r#"{{"code":"{code}","message":"{error}"}}"#));
            assert!(body.len() < 160);
            let field = format!("x-ms-error-code: {code}");
            assert!(head.lines().any(|line| line == field), "{sent}");
            assert!(
                head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
                "{sent}"
            );
            assert_eq!(
                head.matches("Connection:").count(),
                usize::from(error.closes()),
                "{sent}"
            );
            for field in fields {
                assert!(head.lines().any(|line| line == *field), "{field} in {sent}");
            }
        }
    }

    #[test]
    fn ht_06_a_value_cannot_begin_another_line() {
        let value = "a\r\nSet-Cookie: b\0\tc\u{7f}é".to_owned();
        let sent = encode(
            &Response::text(200, "").with_header("X-Test", value),
            false,
            false,
        );
        assert!(
            sent.contains("\r\nX-Test: a  Set-Cookie: b  c é\r\n"),
            "{sent}"
        );
    }

    #[test]
    fn a_response_may_say_how_it_is_to_be_stored() {
        let sent = encode(
            &Response::text(200, "").with_header("Cache-Control", "max-age=60"),
            false,
            false,
        );
        assert!(
            sent.contains("Cache-Control: max-age=60\r\n") && !sent.contains("no-store"),
            "{sent}"
        );
    }

    #[test]
    fn debug_output_shows_no_body() {
        assert!(!format!("{:?}", Response::text(200, "SECRET")).contains("SECRET"));
    }
}
