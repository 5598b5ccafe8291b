//! A request of a service, seen from the service: what it asks of a server over HTTP, and the answer (RFC 9112).
//!
//! Each request has a connection of its own, so that the end of the stream ends whatever has no length.

use std::fmt;

use super::field::is_token;
use super::opening::{AnswerHead, OpeningError, on_final_head};
use super::{AnswerBody, SocketUrl};

/// A request without a body.
#[derive(Clone, PartialEq, Eq)]
pub struct ServiceCall {
    text: String,
}

/// The head of what a server answers to a [`ServiceCall`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAnswer {
    /// Its bytes; what follows is the body.
    pub head_len: usize,
    /// Whether it was done (RFC 9110 15).
    pub status: u16,
    /// How the body is written.
    pub body: AnswerBody,
    /// How many connections the server says it is about.
    pub recipients: Option<u64>,
}

impl ServiceCall {
    /// Asks `method` of what is at `url`, whose scheme is taken for http, with `token` to prove who asks; `None` if one
    /// of them cannot be written into a request.
    #[must_use]
    pub fn new(method: &str, url: &SocketUrl, token: &str) -> Option<Self> {
        if !is_token(method.as_bytes()) || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let (target, authority) = (url.target(), url.authority());
        Some(Self {
            text: format!(
                "{method} {target} HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n\
                 Content-Length: 0\r\nConnection: close\r\n\r\n"
            ),
        })
    }

    /// The request in full.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

impl ServiceAnswer {
    /// Reads the head of an answer; `None` if it is not complete.
    ///
    /// # Errors
    ///
    /// It is not HTTP, or longer than any head should be.
    pub fn parse(answer: &[u8]) -> Result<Option<Self>, OpeningError> {
        on_final_head(answer, |head_len, response| {
            let status = response.code.unwrap_or_default();
            let head = AnswerHead(response.headers);
            let recipients = head.only("switchboard-recipients");
            Self {
                head_len,
                status,
                body: AnswerBody::of(status, |name| head.values(name)),
                recipients: recipients.and_then(|count| str::from_utf8(count).ok()?.parse().ok()),
            }
        })
    }
}

/// Without the token.
impl fmt::Debug for ServiceCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceCall").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_says_who_asks_for_what() {
        let url = SocketUrl::parse("http://a:1/api/x?reason=no+more").unwrap();
        let call = ServiceCall::new("DELETE", &url, "t.o.k").unwrap();
        assert_eq!(
            str::from_utf8(call.as_bytes()).unwrap(),
            "DELETE /api/x?reason=no+more HTTP/1.1\r\nHost: a:1\r\nAuthorization: Bearer t.o.k\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n"
        );
        assert!(!format!("{call:?}").contains("t.o.k"));
        for (method, token) in [
            ("GET /", "t"),
            ("", "t"),
            ("GET", "t\r\nX: y"),
            ("GET", "a b"),
        ] {
            assert_eq!(
                ServiceCall::new(method, &url, token),
                None,
                "{method} {token}"
            );
        }
    }

    #[test]
    fn an_answer_says_what_came_of_it_and_for_how_many() {
        for (lines, status, recipients) in [
            ("204 No Content\r\nSwitchboard-Recipients: 3", 204, Some(3)),
            ("404 Not Found\r\nContent-Length: 7", 404, None),
            ("500 x\r\nSwitchboard-Recipients: many", 500, None),
        ] {
            let answer = format!("HTTP/1.1 102 x\r\n\r\nHTTP/1.1 {lines}\r\n\r\n");
            for len in 0..answer.len() {
                assert_eq!(ServiceAnswer::parse(&answer.as_bytes()[..len]), Ok(None));
            }
            let longer = format!("{answer}body");
            let read = ServiceAnswer::parse(longer.as_bytes()).unwrap().unwrap();
            assert_eq!(
                (read.head_len, read.status, read.recipients),
                (answer.len(), status, recipients)
            );
        }
        let error = ServiceAnswer::parse(b"SSH-2.0-x\r\n").unwrap_err();
        assert_eq!(error, OpeningError::NotHttp);
    }
}
