//! The opening handshake of a WebSocket, seen from the client (RFC 6455 4.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[cfg(feature = "deflate")]
use super::compression::{OFFER, read_answer};
#[cfg(feature = "deflate")]
use super::extension::offers;
use super::field::{is_token, list_elements, list_has};
use super::upgrade::accept_key;
use super::{AnswerBody, SocketUrl};
use crate::proto::Deflate;

/// Longest head of an answer with all that are before it, in bytes; real ones have a few hundred.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// Most fields of an answer.
const FIELDS_MAX: usize = 100;

/// A request to open a WebSocket, and what its answer has to say.
#[derive(Clone, PartialEq, Eq)]
pub struct Opening {
    /// Sixteen bytes in base64.
    key: String,
    subprotocols: Vec<String>,
    #[cfg(feature = "deflate")]
    offers_compression: bool,
}

/// What came of a request to open a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpeningAnswer {
    /// The head of the answer is not complete.
    Incomplete,
    /// The WebSocket is open; what follows the first `head_len` bytes are frames.
    Open {
        /// Bytes of the answer.
        head_len: usize,
        /// The subprotocol that the server chose, if any.
        subprotocol: Option<String>,
        /// How messages may be compressed, if that was offered and agreed on.
        deflate: Option<Deflate>,
    },
    /// The server answers with something else; what follows the first `head_len` bytes is its reason.
    Refused {
        /// Bytes of the answer's head.
        head_len: usize,
        /// The status of the answer (RFC 9110 15).
        status: u16,
        /// Where the answer points to instead (RFC 9110 10.2.2), for a person: it is not followed.
        location: Option<String>,
        /// How the end of the body is found.
        body: AnswerBody,
    },
}

/// Why an answer does not open a WebSocket, although it may look like it (RFC 6455 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpeningError {
    /// The answer is not HTTP/1.1.
    NotHttp,
    /// The head of the answer is longer than 16 KiB or has more than 100 fields.
    HeadTooLong,
    /// Status 101, but Upgrade or Connection do not say that it is about a WebSocket.
    NotAnUpgrade,
    /// Sec-WebSocket-Accept is missing or does not belong to our key: somebody answers who did not understand us.
    WrongAcceptKey,
    /// The server chose a subprotocol that was not offered.
    UnofferedSubprotocol,
    /// The server wants an extension that was not offered.
    UnofferedExtension,
    /// What the server says about compression is no answer to what was offered (RFC 7692 5).
    BadCompression,
}

impl Opening {
    /// A handshake with `nonce`, which must be random, that offers `subprotocols`, the preferred one first.
    #[must_use]
    pub fn new(nonce: [u8; 16], subprotocols: &[&str]) -> Self {
        Self {
            key: STANDARD.encode(nonce),
            subprotocols: subprotocols.iter().map(|&name| name.into()).collect(),
            #[cfg(feature = "deflate")]
            offers_compression: false,
        }
    }

    /// The same, offering that messages may be compressed.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn offering_compression(self) -> Self {
        Self {
            offers_compression: true,
            ..self
        }
    }

    /// The request in full. `fields` are header fields of the caller's own, such as Origin or Authorization.
    ///
    /// # Errors
    ///
    /// The name of the first field, or `Sec-WebSocket-Protocol`, that cannot be written: its name is no token or belongs to
    /// the handshake or to a body, its value has a control character, or a subprotocol is no token.
    pub fn encode(&self, url: &SocketUrl, fields: &[(&str, &str)]) -> Result<Vec<u8>, String> {
        let (target, authority, key) = (url.target(), url.authority(), &self.key);
        let mut request = format!(
            "GET {target} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        );
        if !self.subprotocols.is_empty() {
            const NAME: &str = "Sec-WebSocket-Protocol";
            if !self
                .subprotocols
                .iter()
                .all(|name| is_token(name.as_bytes()))
            {
                return Err(NAME.into());
            }
            request += &format!("{NAME}: {}\r\n", self.subprotocols.join(", "));
        }
        #[cfg(feature = "deflate")]
        if self.offers_compression {
            request += &format!("Sec-WebSocket-Extensions: {OFFER}\r\n");
        }
        for (name, value) in fields {
            if !is_token(name.as_bytes())
                || is_ours(name)
                || value.contains(|char: char| char.is_control() && char != '\t')
            {
                return Err((*name).into());
            }
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        Ok(request.into_bytes())
    }

    /// Judges what the server has answered so far. Interim answers before the final one are skipped (RFC 9110 15.2).
    ///
    /// # Errors
    ///
    /// The answer cannot be trusted to open a WebSocket, and the connection has to be dropped.
    pub fn judge(&self, answer: &[u8]) -> Result<OpeningAnswer, OpeningError> {
        let judged = on_final_head(answer, |head_len, response| {
            match response.code.unwrap_or_default() {
                101 => self.judge_switch(head_len, response),
                status => {
                    let head = AnswerHead(response.headers);
                    let location = head.only("location");
                    Ok(OpeningAnswer::Refused {
                        head_len,
                        status,
                        location: location.map(|text| String::from_utf8_lossy(text).into()),
                        body: AnswerBody::of(status, |name| head.values(name)),
                    })
                }
            }
        });
        judged?.unwrap_or(Ok(OpeningAnswer::Incomplete))
    }

    fn judge_switch(
        &self,
        head_len: usize,
        response: &httparse::Response<'_, '_>,
    ) -> Result<OpeningAnswer, OpeningError> {
        if response.version != Some(1) {
            return Err(OpeningError::NotHttp);
        }
        let head = AnswerHead(response.headers);
        let subprotocol = self.judge_upgrade(&head)?;
        let deflate = self.judge_extensions(&head)?;
        Ok(OpeningAnswer::Open {
            head_len,
            subprotocol,
            deflate,
        })
    }

    /// How messages may be compressed: the only extension that can have been offered.
    fn judge_extensions(&self, head: &AnswerHead<'_, '_>) -> Result<Option<Deflate>, OpeningError> {
        let values = || head.values("sec-websocket-extensions");
        if list_elements(values()).next().is_none() {
            return Ok(None);
        }
        #[cfg(feature = "deflate")]
        if self.offers_compression {
            let mut answers = offers(values());
            return match (answers.next(), answers.next()) {
                (Some(Ok(answer)), None) => read_answer(&answer)
                    .map(Some)
                    .ok_or(OpeningError::BadCompression),
                _ => Err(OpeningError::BadCompression),
            };
        }
        Err(OpeningError::UnofferedExtension)
    }

    /// Checks everything that status 101 has to come with; returns the subprotocol.
    fn judge_upgrade(&self, head: &AnswerHead<'_, '_>) -> Result<Option<String>, OpeningError> {
        let is_websocket = |value: &[u8]| value.eq_ignore_ascii_case(b"websocket");
        // The protocol that is switched to is one, not a choice (RFC 9110 7.8).
        if !head.only("upgrade").is_some_and(is_websocket)
            || !list_has(head.values("connection"), "upgrade")
        {
            return Err(OpeningError::NotAnUpgrade);
        }
        let expected = accept_key(self.key.as_bytes());
        if head.only("sec-websocket-accept") != Some(&expected) {
            return Err(OpeningError::WrongAcceptKey);
        }
        if head.values("sec-websocket-protocol").next().is_none() {
            return Ok(None);
        }
        let chosen = head.only("sec-websocket-protocol");
        let offered = self
            .subprotocols
            .iter()
            .find(|name| Some(name.as_bytes()) == chosen);
        offered
            .cloned()
            .map(Some)
            .ok_or(OpeningError::UnofferedSubprotocol)
    }
}

/// What `judge` makes of the head of an answer, behind all interim ones (RFC 9110 15.2), and of the bytes up to its end;
/// `None` if it is not complete.
///
/// # Errors
///
/// It is no head of HTTP/1, or too long.
pub(super) fn on_final_head<T>(
    answer: &[u8],
    judge: impl FnOnce(usize, &httparse::Response<'_, '_>) -> T,
) -> Result<Option<T>, OpeningError> {
    let mut skipped_len: usize = 0;
    loop {
        let rest = answer.get(skipped_len..).unwrap_or_default();
        let head_bytes_max = HEAD_BYTES_MAX.saturating_sub(skipped_len);
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        let len = match response.parse(rest) {
            Ok(httparse::Status::Complete(len)) if len <= head_bytes_max => len,
            Ok(httparse::Status::Partial) if rest.len() < head_bytes_max => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(OpeningError::HeadTooLong),
            Err(_) => return Err(OpeningError::NotHttp),
        };
        let head_len = skipped_len.saturating_add(len);
        match response.code.unwrap_or_default() {
            100 | 102..=199 => skipped_len = head_len,
            _ => return Ok(Some(judge(head_len, &response))),
        }
    }
}

/// The fields of an answer.
pub(super) struct AnswerHead<'h, 'b>(pub(super) &'h [httparse::Header<'b>]);

impl<'b> AnswerHead<'_, 'b> {
    /// The values of all fields of that name, which is in lower case.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &'b [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.trim_ascii())
    }

    /// The value of the only field of that name; `None` if there is none or more than one.
    pub(super) fn only(&self, name: &str) -> Option<&'b [u8]> {
        let mut values = self.values(name);
        values.next().filter(|_| values.next().is_none())
    }
}

/// Whether a field is for the handshake alone to write, or would announce a body, behind which another request could hide.
fn is_ours(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("sec-websocket-")
        || matches!(
            name.as_str(),
            "host" | "upgrade" | "connection" | "content-length" | "transfer-encoding"
        )
}

/// Without the key, which is nobody's business.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening")
            .field("subprotocols", &self.subprotocols)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for OpeningError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHttp => "the server does not speak HTTP/1.1",
            Self::HeadTooLong => "the head of the server's answer is too long",
            Self::NotAnUpgrade => "the server's answer is not about a WebSocket",
            Self::WrongAcceptKey => "the server's answer does not belong to our request",
            Self::UnofferedSubprotocol => "the server chose a subprotocol that was not offered",
            Self::BadCompression => "the server's answer about compression fits no offer",
            Self::UnofferedExtension => "the server wants an extension that was not offered",
        })
    }
}

impl std::error::Error for OpeningError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the example in RFC 6455 1.3, and the answer to it.
    const NONCE: [u8; 16] = *b"the sample nonce";
    const ACCEPT: &str = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    const UPGRADE: &str =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";

    fn opening() -> Opening {
        Opening::new(NONCE, &["a", "b"])
    }

    fn judge(lines: &[&str]) -> Result<OpeningAnswer, OpeningError> {
        opening().judge(format!("{}\r\n", lines.concat()).as_bytes())
    }

    #[test]
    fn the_request_is_that_of_the_rfc() {
        let url = SocketUrl::parse("ws://server.example.com:81/chat?a=b").unwrap();
        let request = opening()
            .encode(&url, &[("Origin", "http://example.com")])
            .unwrap();
        assert_eq!(
            String::from_utf8(request).unwrap(),
            "GET /chat?a=b HTTP/1.1\r\nHost: server.example.com:81\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, b\r\nOrigin: http://example.com\r\n\r\n"
        );
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn ex_01_an_extension_is_agreed_on_only_if_it_was_offered() {
        let offering = || opening().offering_compression();
        let url = SocketUrl::parse("ws://a").unwrap();
        let request = String::from_utf8(offering().encode(&url, &[]).unwrap()).unwrap();
        assert!(
            request.contains(
                "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            )
        );
        let judge = |opening: Opening, extension: &str| {
            let extension = format!("Sec-WebSocket-Extensions: {extension}\r\n");
            opening
                .judge([UPGRADE, ACCEPT, &extension, "\r\n"].concat().as_bytes())
                .map(|answer| {
                    matches!(
                        answer,
                        OpeningAnswer::Open {
                            deflate: Some(_),
                            ..
                        }
                    )
                })
        };
        let agreed = "permessage-deflate; server_no_context_takeover";
        assert_eq!(judge(offering(), agreed), Ok(true));
        assert_eq!(judge(offering(), ""), Ok(false));
        assert_eq!(
            judge(opening(), agreed),
            Err(OpeningError::UnofferedExtension)
        );
        for bad in [
            "x-other",
            "permessage-deflate; a",
            "permessage-deflate, permessage-deflate",
            "a;",
        ] {
            assert_eq!(
                judge(offering(), bad),
                Err(OpeningError::BadCompression),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_field_cannot_smuggle_another_one_in() {
        let url = SocketUrl::parse("ws://a").unwrap();
        for (name, value) in [
            ("X", "a\r\nY: b"),
            ("X:", "a"),
            ("", "a"),
            ("X", "a\0"),
            ("hOST", "other"),
            ("Connection", "close"),
            ("Content-Length", "100"),
            ("Transfer-Encoding", "chunked"),
            ("Sec-WebSocket-Key", "of my own"),
            ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ] {
            assert_eq!(opening().encode(&url, &[(name, value)]), Err(name.into()));
        }
        let refused = Opening::new(NONCE, &["a b"]).encode(&url, &[]);
        assert_eq!(refused, Err("Sec-WebSocket-Protocol".into()));
    }

    #[test]
    fn the_right_answer_opens_whatever_its_capitals_and_wherever_it_is_cut() {
        let answer = format!("{UPGRADE}{ACCEPT}sec-websocket-protocol: b\r\n\r\nframes");
        let head_len = answer.len() - "frames".len();
        let open = OpeningAnswer::Open {
            head_len,
            subprotocol: Some("b".into()),
            deflate: None,
        };
        for cut in 0..head_len {
            assert_eq!(
                opening().judge(&answer.as_bytes()[..cut]),
                Ok(OpeningAnswer::Incomplete),
                "{cut}"
            );
        }
        assert_eq!(opening().judge(answer.as_bytes()), Ok(open));
        let shouted = judge(&[
            "HTTP/1.1 101 \r\nUPGRADE: WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n",
            ACCEPT,
        ]);
        assert!(
            matches!(
                shouted,
                Ok(OpeningAnswer::Open {
                    subprotocol: None,
                    ..
                })
            ),
            "{shouted:?}"
        );
    }

    #[test]
    fn an_answer_that_cannot_be_trusted_is_an_error() {
        for (lines, error) in [
            (["SSH-2.0-x\r\n", ""].as_slice(), OpeningError::NotHttp),
            (
                &[
                    "HTTP/1.0 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
                    ACCEPT,
                ],
                OpeningError::NotHttp,
            ),
            (
                &["HTTP/1.1 101 x\r\nConnection: upgrade\r\n", ACCEPT],
                OpeningError::NotAnUpgrade,
            ),
            (
                &["HTTP/1.1 101 x\r\nUpgrade: websocket\r\n", ACCEPT],
                OpeningError::NotAnUpgrade,
            ),
            (
                &[
                    "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n",
                    ACCEPT,
                ],
                OpeningError::NotAnUpgrade,
            ),
            (
                &[
                    "HTTP/1.1 101 x\r\nUpgrade: websocket, h2c\r\nConnection: upgrade\r\n",
                    ACCEPT,
                ],
                OpeningError::NotAnUpgrade,
            ),
            (&[UPGRADE], OpeningError::WrongAcceptKey),
            (&[UPGRADE, ACCEPT, ACCEPT], OpeningError::WrongAcceptKey),
            (
                &[
                    UPGRADE,
                    "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
                ],
                OpeningError::WrongAcceptKey,
            ),
            (
                &[UPGRADE, ACCEPT, "Sec-WebSocket-Protocol: c\r\n"],
                OpeningError::UnofferedSubprotocol,
            ),
            (
                &[UPGRADE, ACCEPT, "Sec-WebSocket-Protocol: a, b\r\n"],
                OpeningError::UnofferedSubprotocol,
            ),
            (
                &[
                    UPGRADE,
                    ACCEPT,
                    "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: a\r\n",
                ],
                OpeningError::UnofferedSubprotocol,
            ),
            (
                &[
                    UPGRADE,
                    ACCEPT,
                    "Sec-WebSocket-Extensions: permessage-deflate\r\n",
                ],
                OpeningError::UnofferedExtension,
            ),
        ] {
            assert_eq!(judge(lines), Err(error), "{lines:?}");
        }
    }

    #[test]
    fn a_head_that_does_not_end_is_given_up_on() {
        let field = format!("X: {}\r\n", "a".repeat(HEAD_BYTES_MAX));
        assert_eq!(judge(&[UPGRADE, &field]), Err(OpeningError::HeadTooLong));
        assert_eq!(
            judge(&[UPGRADE, &"X: a\r\n".repeat(FIELDS_MAX)]),
            Err(OpeningError::HeadTooLong)
        );
        let endless = format!("{UPGRADE}{field}");
        assert_eq!(
            opening().judge(endless.as_bytes()),
            Err(OpeningError::HeadTooLong)
        );
    }

    #[test]
    fn a_refusal_says_its_status_and_how_long_its_reason_is() {
        let head = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\n";
        let answer = [head, "sorry"].concat();
        let refused = OpeningAnswer::Refused {
            head_len: head.len(),
            status: 401,
            location: None,
            body: AnswerBody::Sized(5),
        };
        assert_eq!(opening().judge(answer.as_bytes()), Ok(refused));
        let redirected = judge(&["HTTP/1.0 302 Found\r\n", "Location: /b\r\n"]).unwrap();
        let OpeningAnswer::Refused { location, body, .. } = redirected else {
            panic!("it does not open")
        };
        assert_eq!(
            (location.as_deref(), body),
            (Some("/b"), AnswerBody::UntilEnd)
        );
    }

    #[test]
    fn interim_answers_are_skipped_and_count_towards_the_limit() {
        let interim = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let answer = [interim, interim, UPGRADE, ACCEPT, "\r\n"].concat();
        for cut in 0..answer.len() {
            assert_eq!(
                opening().judge(&answer.as_bytes()[..cut]),
                Ok(OpeningAnswer::Incomplete)
            );
        }
        let open = OpeningAnswer::Open {
            head_len: answer.len(),
            subprotocol: None,
            deflate: None,
        };
        assert_eq!(opening().judge(answer.as_bytes()), Ok(open));
        assert_eq!(
            opening().judge(interim.repeat(HEAD_BYTES_MAX / 20).as_bytes()),
            Err(OpeningError::HeadTooLong)
        );
    }
}
