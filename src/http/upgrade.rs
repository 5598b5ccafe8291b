//! The opening handshake of a WebSocket, seen from the server (RFC 6455 4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

#[cfg(feature = "deflate")]
use super::compression::Agreement;
use super::field::{is_token, list_elements, list_has};
use super::{HttpError, Request};
use crate::proto::Deflate;

/// An opening handshake that the server accepts: what its answer, status 101, has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Handshake {
    /// The value of Sec-WebSocket-Accept, in base64.
    accept_key: [u8; ACCEPT_KEY_LEN],
    /// The subprotocol, if one was agreed on.
    subprotocol: Option<Subprotocol>,
    /// How messages may be compressed, if that was agreed on.
    #[cfg(feature = "deflate")]
    compression: Option<Agreement>,
}

/// A subprotocol that client and server agree on, though perhaps not on its capitals.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subprotocol {
    /// The server's name for it.
    name: &'static str,
    /// The client's spelling, which is what it wants to read back.
    spelling: Box<str>,
}

impl Handshake {
    /// Judges whether `request` opens a WebSocket; path, origin and credentials are for others to judge.
    ///
    /// # Errors
    ///
    /// The first of these: [`HttpError::MethodNotAllowed`] for a method other than GET; [`HttpError::NotAnUpgrade`] if
    /// Upgrade and Connection do not ask for a WebSocket, or HTTP/1.0 does; [`HttpError::MalformedVersion`],
    /// [`HttpError::UnsupportedVersion`], [`HttpError::MalformedKey`] or, if one of the two fields came again,
    /// [`HttpError::RepeatedField`]; [`HttpError::MalformedExtensions`].
    pub fn accept(request: &Request<'_>) -> Result<Self, HttpError> {
        if request.method() != "GET" {
            return Err(HttpError::MethodNotAllowed { allow: "GET" });
        }
        if !request.wants_upgrade() || !list_has(request.header_values("connection"), "upgrade") {
            return Err(HttpError::NotAnUpgrade);
        }
        judge_version(request)?;
        let key = request
            .header("sec-websocket-key")?
            .filter(|key| is_key(key))
            .ok_or(HttpError::MalformedKey)?;
        // What is not taken by `compress` is declined, which needs no answer (RFC 6455 9.1).
        for offer in request.extensions() {
            offer?;
        }
        Ok(Self {
            accept_key: accept_key(key),
            subprotocol: None,
            #[cfg(feature = "deflate")]
            compression: None,
        })
    }

    /// Agrees to compress messages, as the first offer of permessage-deflate says that can be taken; if there is none, to
    /// send and get them as they are.
    #[cfg(feature = "deflate")]
    pub fn compress(mut self, request: &Request<'_>) -> Self {
        let offers = request.extensions().flatten();
        self.compression = { offers }.find_map(|offer| Agreement::take(&offer));
        self
    }

    /// How messages may be compressed, if that was agreed on.
    #[must_use]
    pub fn deflate(&self) -> Option<Deflate> {
        #[cfg(feature = "deflate")]
        return self.compression.as_ref().map(|agreement| agreement.deflate);
        #[cfg(not(feature = "deflate"))]
        None
    }

    /// Agrees on the first subprotocol in the client's list that is among `supported`; on none if there is no such.
    ///
    /// Names compare without ASCII case, and the client gets its own spelling back: RFC 6455 compares them to the
    /// letter, but so do the clients that write them differently.
    ///
    /// # Errors
    ///
    /// [`HttpError::MalformedSubprotocols`] if the list has an element that is no token, or none at all.
    pub fn choose_subprotocol(
        mut self,
        request: &Request<'_>,
        supported: &[&'static str],
    ) -> Result<Self, HttpError> {
        let mut values = request.header_values("sec-websocket-protocol").peekable();
        if values.peek().is_none() {
            return Ok(self);
        }
        let mut is_empty = true;
        for token in list_elements(values) {
            let spelling = token_text(token).ok_or(HttpError::MalformedSubprotocols)?;
            is_empty = false;
            if self.subprotocol.is_none()
                && let Some(name) = supported
                    .iter()
                    .find(|name| name.eq_ignore_ascii_case(spelling))
            {
                self.subprotocol = Some(Subprotocol {
                    name,
                    spelling: spelling.into(),
                });
            }
        }
        if is_empty {
            Err(HttpError::MalformedSubprotocols)
        } else {
            Ok(self)
        }
    }

    /// The subprotocol agreed on, in the server's spelling.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&'static str> {
        self.subprotocol
            .as_ref()
            .map(|subprotocol| subprotocol.name)
    }

    /// The answer in full; frames may follow its last byte (RFC 6455 4.2.2).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let [protocol_name, spelling, protocol_end] = match &self.subprotocol {
            Some(subprotocol) => ["Sec-WebSocket-Protocol: ", &subprotocol.spelling, "\r\n"],
            None => [""; 3],
        };
        let [extension_name, extension, extension_end] = match self.agreed_extension() {
            Some(extension) => ["Sec-WebSocket-Extensions: ", extension, "\r\n"],
            None => [""; 3],
        };
        [
            SWITCHING_PROTOCOLS,
            &self.accept_key,
            b"\r\n",
            protocol_name.as_bytes(),
            spelling.as_bytes(),
            protocol_end.as_bytes(),
            extension_name.as_bytes(),
            extension.as_bytes(),
            extension_end.as_bytes(),
            b"\r\n",
        ]
        .concat()
    }

    /// The extension that was agreed on, with its parameters.
    fn agreed_extension(&self) -> Option<&str> {
        #[cfg(feature = "deflate")]
        return self
            .compression
            .as_ref()
            .map(|agreement| &*agreement.answer);
        #[cfg(not(feature = "deflate"))]
        None
    }
}

/// The answer up to the accept key.
const SWITCHING_PROTOCOLS: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Upgrade: websocket\r\n\
    Connection: Upgrade\r\n\
    Sec-WebSocket-Accept: ";

/// What is hashed behind the client's key (RFC 6455 1.3).
const ACCEPT_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Bytes of an accept key: those of a SHA-1 sum in base64.
const ACCEPT_KEY_LEN: usize = 28;

/// Bytes of a client's key before it is written in base64.
const NONCE_LEN: usize = 16;

/// Checks that version 13 is asked for, and nothing else (RFC 6455 4.2.2, 4.4).
fn judge_version(request: &Request<'_>) -> Result<(), HttpError> {
    let version = request
        .header("sec-websocket-version")?
        .ok_or(HttpError::MalformedVersion)?;
    let is_number = match version {
        [b'0'..=b'9'] | [b'1'..=b'9', b'0'..=b'9'] => true,
        [b'1'..=b'9', b'0'..=b'9', b'0'..=b'9'] => version <= b"255".as_slice(),
        _ => false,
    };
    match version {
        b"13" => Ok(()),
        _ if is_number => Err(HttpError::UnsupportedVersion),
        _ => Err(HttpError::MalformedVersion),
    }
}

/// Whether `key` is sixteen bytes in standard base64, padding included.
fn is_key(key: &[u8]) -> bool {
    // The estimate for the 24 characters of a key is 18 bytes; whatever does not fit is no key.
    let mut nonce = [0; NONCE_LEN + 2];
    matches!(STANDARD.decode_slice(key, &mut nonce), Ok(NONCE_LEN))
}

/// What proves to the client that its key was read by a WebSocket server (RFC 6455 4.2.2).
pub(super) fn accept_key(key: &[u8]) -> [u8; ACCEPT_KEY_LEN] {
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update(ACCEPT_GUID)
        .finalize();
    let mut encoded = [0; ACCEPT_KEY_LEN];
    let len = STANDARD
        .encode_slice(digest, &mut encoded)
        .expect("20 bytes make 28 characters");
    debug_assert_eq!(len, ACCEPT_KEY_LEN);
    encoded
}

/// The text of `token`, if it is one.
fn token_text(token: &[u8]) -> Option<&str> {
    if is_token(token) {
        str::from_utf8(token).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
    const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

    /// What is made of a request with this first line and these groups of field lines.
    fn accept(line: &str, lines: &[&str]) -> Result<Handshake, HttpError> {
        Handshake::accept(
            &request(&format!("{line}\r\nHost: a\r\n{}\r\n", lines.concat())).unwrap(),
        )
    }

    /// The same for a GET over HTTP/1.1.
    fn get(lines: &[&str]) -> Result<Handshake, HttpError> {
        accept("GET / HTTP/1.1", lines)
    }

    /// What is chosen from `supported` by a handshake with these field lines: the server's and the client's spelling.
    fn choose(
        lines: &str,
        supported: &[&'static str],
    ) -> Result<Option<(&'static str, String)>, HttpError> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}{VERSION}{KEY}{lines}\r\n");
        let request = request(&text).unwrap();
        let handshake = Handshake::accept(&request)
            .unwrap()
            .choose_subprotocol(&request, supported)?;
        let text = String::from_utf8(handshake.encode()).unwrap();
        let sent = text
            .split_once("Sec-WebSocket-Protocol: ")
            .map(|(_, rest)| rest.lines().next().unwrap().to_owned());
        assert_eq!(handshake.subprotocol().is_some(), sent.is_some());
        Ok(handshake.subprotocol().zip(sent))
    }

    #[test]
    fn hs_10_the_answer_is_these_bytes() {
        let plain = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let handshake = get(&[UPGRADE, VERSION, KEY]).unwrap();
        assert_eq!(
            String::from_utf8(handshake.encode()).unwrap(),
            format!("{plain}\r\n")
        );
        let text = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{UPGRADE}{VERSION}{KEY}Sec-WebSocket-Protocol: chat\r\n\r\n"
        );
        let handshake = handshake
            .choose_subprotocol(&request(&text).unwrap(), &["chat"])
            .unwrap();
        assert_eq!(handshake.subprotocol(), Some("chat"));
        let expected = format!("{plain}Sec-WebSocket-Protocol: chat\r\n\r\n");
        assert_eq!(String::from_utf8(handshake.encode()).unwrap(), expected);
    }

    #[test]
    fn hs_01_only_get_can_upgrade_and_only_over_http_1_1() {
        let good = [UPGRADE, VERSION, KEY];
        for method in ["POST", "get", "HEAD", "OPTIONS"] {
            let error = HttpError::MethodNotAllowed { allow: "GET" };
            assert_eq!(
                accept(&format!("{method} / HTTP/1.1"), &good),
                Err(error),
                "{method}"
            );
        }
        assert_eq!(
            accept("GET / HTTP/1.0", &good),
            Err(HttpError::NotAnUpgrade)
        );
        assert!(accept("GET / HTTP/1.2", &good).is_ok());
    }

    #[test]
    fn hs_04_hs_05_both_lists_must_ask_for_it() {
        for lines in [
            "Upgrade: WebSocket\r\nConnection: UPGRADE\r\n",
            "Upgrade: h2c, websocket\r\nConnection: keep-alive, Upgrade\r\n",
            "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: upgrade\r\n",
        ] {
            assert!(get(&[lines, VERSION, KEY]).is_ok(), "{lines}");
        }
        for lines in [
            "",
            "Upgrade: websocket\r\n",
            "Connection: Upgrade\r\n",
            "Upgrade: websocketx\r\nConnection: Upgrade\r\n",
            "Upgrade: websocket/13\r\nConnection: Upgrade\r\n",
            "Upgrade: websocket\r\nConnection: Upgraded\r\n",
            "Upgrade: websocket\r\nConnection: keep-alive Upgrade\r\n",
        ] {
            assert_eq!(
                get(&[lines, VERSION, KEY]),
                Err(HttpError::NotAnUpgrade),
                "{lines}"
            );
        }
    }

    #[test]
    fn hs_07_a_key_is_sixteen_bytes_of_base64_once() {
        for key in [
            "dGhlIHNhbXBsZSBub25jZQ==",
            "\t AAAAAAAAAAAAAAAAAAAAAA==  ",
            "++++/////+++++/////++w==",
        ] {
            assert!(
                get(&[UPGRADE, VERSION, &format!("Sec-WebSocket-Key:{key}\r\n")]).is_ok(),
                "{key}"
            );
        }
        for key in [
            "",
            "AAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAA===",
            "AAAAAAAAAAAAAAAAAAAAAB==",
            "----_____-----_____--w==",
            "AAAAAAAAAAA AAAAAAAAAAA==",
            "AAAAAAAAAAA AAAAAAAAAA==",
            "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        ] {
            let error = get(&[UPGRADE, VERSION, &format!("Sec-WebSocket-Key: {key}\r\n")]);
            assert_eq!(error, Err(HttpError::MalformedKey), "{key}");
        }
        assert_eq!(get(&[UPGRADE, VERSION]), Err(HttpError::MalformedKey));
        assert_eq!(
            get(&[UPGRADE, VERSION, KEY, KEY]),
            Err(HttpError::RepeatedField)
        );
    }

    #[test]
    fn hs_08_a_version_is_the_decimal_13_once() {
        for (version, error) in [
            ("8", HttpError::UnsupportedVersion),
            ("0", HttpError::UnsupportedVersion),
            ("12", HttpError::UnsupportedVersion),
            ("14", HttpError::UnsupportedVersion),
            ("255", HttpError::UnsupportedVersion),
            ("256", HttpError::MalformedVersion),
            ("1300", HttpError::MalformedVersion),
            ("013", HttpError::MalformedVersion),
            ("13, 8", HttpError::MalformedVersion),
            ("+13", HttpError::MalformedVersion),
            ("13.0", HttpError::MalformedVersion),
            ("", HttpError::MalformedVersion),
        ] {
            let lines = format!("Sec-WebSocket-Version: {version}\r\n");
            assert_eq!(get(&[UPGRADE, &lines, KEY]), Err(error), "{version}");
        }
        assert_eq!(get(&[UPGRADE, KEY]), Err(HttpError::MalformedVersion));
        assert_eq!(
            get(&[UPGRADE, VERSION, VERSION, KEY]),
            Err(HttpError::RepeatedField)
        );
    }

    #[test]
    fn ex_01_offers_are_declined_unless_they_are_malformed() {
        let with = |line: &str| {
            get(&[
                UPGRADE,
                VERSION,
                KEY,
                &format!("Sec-WebSocket-Extensions: {line}\r\n"),
            ])
        };
        let declined =
            with("permessage-deflate; client_max_window_bits, x-unknown; a=\"b\"").unwrap();
        assert_eq!(declined, get(&[UPGRADE, VERSION, KEY]).unwrap());
        for line in ["", "a;", "permessage-deflate; =8", "a, b c"] {
            assert_eq!(with(line), Err(HttpError::MalformedExtensions), "{line}");
        }
    }

    #[test]
    fn the_version_is_judged_before_the_key() {
        assert_eq!(
            get(&[UPGRADE, "Sec-WebSocket-Version: 8\r\n"]),
            Err(HttpError::UnsupportedVersion)
        );
        assert_eq!(get(&[UPGRADE]), Err(HttpError::MalformedVersion));
    }

    #[test]
    fn hs_11_the_clients_first_choice_that_is_supported_wins() {
        let supported = ["chat", "json.v1"];
        for (lines, expected) in [
            ("", None),
            ("Sec-WebSocket-Protocol: other\r\n", None),
            ("Sec-WebSocket-Protocol: chats, cha\r\n", None),
            ("Sec-WebSocket-Protocol: chat\r\n", Some(("chat", "chat"))),
            (
                "Sec-WebSocket-Protocol: json.v1, chat\r\n",
                Some(("json.v1", "json.v1")),
            ),
            (
                "Sec-WebSocket-Protocol: other,,\tJSON.V1 ,chat\r\n",
                Some(("json.v1", "JSON.V1")),
            ),
            (
                "Sec-WebSocket-Protocol: x\r\nsec-websocket-protocol: chat\r\n",
                Some(("chat", "chat")),
            ),
        ] {
            let expected = expected.map(|(name, spelling)| (name, spelling.to_owned()));
            assert_eq!(choose(lines, &supported), Ok(expected), "{lines}");
        }
        assert_eq!(choose("Sec-WebSocket-Protocol: chat\r\n", &[]), Ok(None));
    }

    #[test]
    fn hs_11_a_malformed_list_is_refused_even_behind_a_good_choice() {
        for value in [
            "",
            ",",
            "chat, a b",
            "chat;q=1",
            "\"chat\"",
            "chat, ä",
            "chat/1",
            "chat, ,(",
        ] {
            let lines = format!("Sec-WebSocket-Protocol: {value}\r\n");
            assert_eq!(
                choose(&lines, &["chat"]),
                Err(HttpError::MalformedSubprotocols),
                "{value}"
            );
        }
    }

    #[test]
    fn hs_11_a_long_list_takes_linear_time() {
        // Far above what linear work takes, even unoptimised on a busy machine, and far below what quadratic work takes.
        for filler in [" ", ",", ", ", "a,", "\t,"] {
            let lines = format!(
                "Sec-WebSocket-Protocol: x,{}y z\r\n",
                filler.repeat(15_000 / filler.len())
            );
            let start = std::time::Instant::now();
            assert_eq!(
                choose(&lines, &["chat"]),
                Err(HttpError::MalformedSubprotocols)
            );
            assert!(
                start.elapsed() < std::time::Duration::from_millis(500),
                "{filler:?}"
            );
        }
    }
}
