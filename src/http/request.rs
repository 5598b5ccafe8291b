//! One request, as its client wrote it.

use std::borrow::Cow;
use std::fmt;

use httparse::Header;

use super::authority::has_valid_escapes;
use super::extension::offers;
use super::field::list_has;
use super::{Extension, HttpError};

/// A complete request, judged and found well formed; borrows from the input or from the reader.
pub struct Request<'a> {
    /// A token, case as sent.
    method: &'a str,
    /// Begins with a slash.
    path: &'a str,
    /// What followed the first question mark.
    query: Option<&'a str>,
    /// What the request is addressed to, well formed.
    host: Option<&'a str>,
    /// Whether the version was HTTP/1.0.
    is_http_10: bool,
    /// The fields in the order of the head, blanks around their values removed.
    fields: Vec<Header<'a>>,
    /// A bit for each length that the name of a field has: nearly all questions are about fields that did not come.
    name_lens: u64,
    /// All of the body.
    body: &'a [u8],
}

impl<'a> Request<'a> {
    /// Puts a request together, for now without host and body.
    pub(super) fn new(
        method: &'a str,
        path: &'a str,
        query: Option<&'a str>,
        is_http_10: bool,
        fields: Vec<Header<'a>>,
    ) -> Self {
        let name_lens = fields.iter().map(|field| len_bit(field.name));
        Self {
            method,
            path,
            query,
            host: None,
            is_http_10,
            name_lens: name_lens.fold(0, |lens, bit| lens | bit),
            fields,
            body: &[],
        }
    }

    /// Sets what the request is addressed to.
    pub(super) fn set_host(&mut self, host: Option<&'a str>) {
        self.host = host;
    }

    /// The same request with its body.
    pub(super) fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = body;
        self
    }

    /// The method, case as sent: methods are case-sensitive (RFC 9110 9.1).
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// Whether the method is HEAD: the answer to it goes without its body.
    #[must_use]
    pub fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The path as sent, escapes and all: visible ASCII that begins with a slash.
    #[must_use]
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The parts of the path between its slashes, escapes decoded; `/` has one, which is empty.
    ///
    /// An escaped slash does not separate parts, and `.` and `..` are parts like any other: a path here never names a
    /// file.
    ///
    /// # Errors
    ///
    /// An item is [`HttpError::MalformedEscape`] if a `%` is not followed by two hexadecimal digits or if what is
    /// decoded is not UTF-8.
    pub fn path_segments(&self) -> impl Iterator<Item = Result<Cow<'a, str>, HttpError>> + use<'a> {
        self.path.split('/').skip(1).map(|segment| {
            if !has_valid_escapes(segment) {
                return Err(HttpError::MalformedEscape);
            }
            percent_encoding::percent_decode_str(segment)
                .decode_utf8()
                .map_err(|_| HttpError::MalformedEscape)
        })
    }

    /// The query as sent, without its question mark; it may carry credentials and belongs in no log.
    #[must_use]
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The parameters of the query in order, names and values decoded as forms are: `+` is a space, a malformed escape
    /// stands for itself, bytes that are not UTF-8 become U+FFFD.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        form_urlencoded::parse(self.query.unwrap_or_default().as_bytes())
    }

    /// The value of the first query parameter named `name`, decoded like [`Request::query_pairs`].
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'a, str>> {
        self.query_pairs()
            .find(|(other, _)| other == name)
            .map(|(_, value)| value)
    }

    /// The values of all fields named `name`, in order; names compare without case (RFC 9110 5.1).
    pub fn header_values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        let fields = if self.name_lens & len_bit(name) == 0 {
            &[]
        } else {
            self.fields.as_slice()
        };
        fields
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    /// The value of a field that may come at most once; `None` if it did not come.
    ///
    /// # Errors
    ///
    /// [`HttpError::RepeatedField`] if it came more than once, for then nobody can say which one counts.
    pub fn header(&self, name: &str) -> Result<Option<&'a [u8]>, HttpError> {
        let mut values = self.header_values(name);
        let first = values.next();
        if values.next().is_some() {
            Err(HttpError::RepeatedField)
        } else {
            Ok(first)
        }
    }

    /// The extensions that the client offers to use, in its order; none if it offers none (RFC 6455 9.1).
    ///
    /// # Errors
    ///
    /// An item is [`HttpError::MalformedExtensions`] if the offer there is malformed, or if there is no offer in the
    /// field at all.
    pub fn extensions(&self) -> impl Iterator<Item = Result<Extension<'a>, HttpError>> + '_ {
        offers(self.header_values("sec-websocket-extensions"))
    }

    /// What the request is addressed to, as `host[:port]`: the authority of an absolute target, else the Host field.
    /// `None` only for HTTP/1.0, which need not say.
    #[must_use]
    pub fn host(&self) -> Option<&'a str> {
        self.host
    }

    /// All of the body; empty if there is none.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Whether the request is of HTTP/1.0; any other is of HTTP/1.1 or a later minor version.
    #[must_use]
    pub fn is_http_10(&self) -> bool {
        self.is_http_10
    }

    /// Whether the client would like to speak WebSocket; HTTP/1.0 cannot ask for that (RFC 9110 7.8).
    #[must_use]
    pub fn wants_upgrade(&self) -> bool {
        !self.is_http_10 && list_has(self.header_values("upgrade"), "websocket")
    }

    /// Whether the connection stays open after the response (RFC 9112 9.3).
    ///
    /// Not after HTTP/1.0, whose `keep-alive` is not worth its traps, and not after a refused upgrade: what follows
    /// such a request may be frames.
    #[must_use]
    pub fn is_keep_alive(&self) -> bool {
        !self.is_http_10
            && !self.wants_upgrade()
            && !list_has(self.header_values("connection"), "close")
    }
}

/// The bit for names of this length, and of any that differs by a multiple of 64.
fn len_bit(name: &str) -> u64 {
    1_u64 << (name.len() % 64)
}

impl fmt::Debug for Request<'_> {
    /// Shows neither query nor values nor body: they may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query_len", &self.query.map(str::len))
            .field("is_http_10", &self.is_http_10)
            .field(
                "fields",
                &self
                    .fields
                    .iter()
                    .map(|field| field.name)
                    .collect::<Vec<_>>(),
            )
            .field("body_len", &self.body.len())
            .finish()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{HttpLimits, RequestReader};
    use super::*;

    /// The request that `text` is, which has to be complete; leaked, for it is short.
    pub(in super::super) fn request(text: &str) -> Result<Request<'static>, HttpError> {
        let mut input: &'static mut [u8] = text.as_bytes().to_vec().leak();
        let reader: &'static mut RequestReader = Box::leak(Box::default());
        Ok(reader
            .next(&mut input, &HttpLimits::default())?
            .expect("a complete request"))
    }

    /// A good request for `target` with these further field lines.
    fn get(target: &str, lines: &str) -> Request<'static> {
        request(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n")).unwrap()
    }

    #[test]
    fn segments_are_decoded_after_they_are_separated() {
        let segments = |path| get(path, "").path_segments().collect::<Result<Vec<_>, _>>();
        for (path, expected) in [
            ("/", vec![""]),
            ("/ws", vec!["ws"]),
            ("/a//b/", vec!["a", "", "b", ""]),
            ("/bob%2F%C3%A9/%3asend", vec!["bob/é", ":send"]),
            ("/../%2e%2E/+", vec!["..", "..", "+"]),
            ("/a?b/c", vec!["a"]),
        ] {
            assert_eq!(segments(path).unwrap(), expected, "{path}");
        }
        for path in [
            "/%",
            "/%2",
            "/a%zz",
            "/%+1",
            "/%FF",
            "/%C3/%A9",
            "/%ED%A0%80",
        ] {
            assert_eq!(segments(path), Err(HttpError::MalformedEscape), "{path}");
        }
    }

    #[test]
    fn query_parameters_are_decoded_like_forms() {
        let request = get("/?a=1&b=x+y%26%C3%A9&a=2&c&%62=3&d=%zz%FF", "");
        assert_eq!(request.query_value("a").as_deref(), Some("1"));
        assert_eq!(request.query_value("b").as_deref(), Some("x y&é"));
        assert_eq!(request.query_value("c").as_deref(), Some(""));
        assert_eq!(request.query_value("d").as_deref(), Some("%zz\u{fffd}"));
        assert_eq!(request.query_value("e"), None);
        assert_eq!(
            request
                .query_pairs()
                .filter(|(name, _)| name == "a")
                .count(),
            2
        );
        assert_eq!(get("/", "").query_pairs().count(), 0);
    }

    #[test]
    fn hs_06_field_names_compare_without_case() {
        let request = get("/", "X-One: 1 \r\nx-two:\t2\r\nX-TWO: 3\r\nX-None:\r\n");
        assert_eq!(request.header("x-ONE"), Ok(Some(&b"1"[..])));
        assert_eq!(request.header("x-none"), Ok(Some(&b""[..])));
        assert_eq!(request.header("x"), Ok(None));
        assert_eq!(request.header("X-Two"), Err(HttpError::RepeatedField));
        assert_eq!(
            request.header_values("X-Two").collect::<Vec<_>>(),
            [b"2", b"3"]
        );
    }

    #[test]
    fn ht_05_http_1_1_stays_open_unless_it_says_close() {
        for (lines, stays) in [
            ("", true),
            ("Connection: keep-alive\r\n", true),
            ("Connection: closed\r\n", true),
            ("Connection: Close\r\n", false),
            ("Connection: keep-alive\r\nConnection: x, close\r\n", false),
            ("Upgrade: h2c\r\n", true),
        ] {
            assert_eq!(get("/", lines).is_keep_alive(), stays, "{lines}");
        }
        let request = request("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
        assert!(!request.is_keep_alive());
        assert_eq!(request.host(), None);
    }

    #[test]
    fn hs_18_a_refused_upgrade_ends_the_connection() {
        assert!(!get("/", "Upgrade: websocket\r\n").is_keep_alive());
    }

    #[test]
    fn hs_01_http_1_0_cannot_ask_to_upgrade() {
        assert!(get("/", "Upgrade: x, WebSocket\r\n").wants_upgrade());
        assert!(
            !request("GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n")
                .unwrap()
                .wants_upgrade()
        );
    }

    #[test]
    fn ac_05_debug_output_shows_no_secret() {
        let text = "POST /p?t=SECRET HTTP/1.1\r\nHost: a\r\nCookie: SECRET\r\nContent-Length: 6\r\n\r\nSECRET";
        let shown = format!("{:?}", request(text).unwrap());
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!(shown.contains("/p") && shown.contains("Cookie"), "{shown}");
    }
}
