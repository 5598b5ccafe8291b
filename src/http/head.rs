//! A complete request head: its grammar, and what it says about the body (RFC 9112 3, 5, 6).

use super::authority::Authority;
use super::field::{is_token, list_elements};
use super::{HttpError, HttpLimits, Request};

/// What a head says about the body that follows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyPlan {
    /// Bytes of the body.
    pub(super) len: usize,
    /// Whether the client would like to hear `100 Continue` before it sends them.
    pub(super) expects_continue: bool,
}

/// Parses and judges a complete head of `field_count` fields, empty lines before it included; the body of the request
/// is left empty.
///
/// # Errors
///
/// The first fault in the order of the [table](super).
pub(super) fn parse_head<'a>(
    head: &'a [u8],
    field_count: usize,
    limits: &HttpLimits,
) -> Result<(Request<'a>, BodyPlan), HttpError> {
    let (line, field_lines) = split_request_line(head).ok_or(HttpError::MalformedRequestLine)?;
    let line = RequestLine::parse(line, limits)?;
    let mut fields = vec![httparse::EMPTY_HEADER; field_count];
    if !matches!(
        httparse::parse_headers(field_lines, &mut fields),
        Ok(httparse::Status::Complete(_))
    ) {
        return Err(HttpError::MalformedField);
    }
    if line.major != 1 {
        return Err(HttpError::UnsupportedHttpVersion);
    }
    let target = Target::parse(line.target)?;
    let is_http_10 = line.minor == 0;
    let mut request = Request::new(line.method, target.path, target.query, is_http_10, fields);
    request.set_host(judge_host(&request, target.authority)?);
    let plan = judge_framing(&request, limits)?;
    Ok((request, plan))
}

/// The length of the target in the possibly unfinished head `head`, as far as it has come; 0 if there is none.
pub(super) fn target_len(head: &[u8]) -> usize {
    let line = skip_empty_lines(head)
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    line.split(|&byte| byte == b' ')
        .nth(1)
        .map_or(0, <[u8]>::len)
}

/// The first line without its end, and what follows it.
#[expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "positions inside the head"
)]
fn split_request_line(head: &[u8]) -> Option<(&[u8], &[u8])> {
    let head = skip_empty_lines(head);
    let end = head.iter().position(|&byte| byte == b'\n')?;
    Some((head[..end].strip_suffix(b"\r")?, &head[end + 1..]))
}

/// `head` without the empty lines before the request line (RFC 9112 2.2).
fn skip_empty_lines(mut head: &[u8]) -> &[u8] {
    while let [b'\r', b'\n', rest @ ..] = head {
        head = rest;
    }
    head
}

/// The parts of a request line (RFC 9112 3).
struct RequestLine<'a> {
    /// A token.
    method: &'a str,
    /// Visible ASCII without `#`.
    target: &'a str,
    /// The version's first digit.
    major: u8,
    /// The version's second digit.
    minor: u8,
}

impl<'a> RequestLine<'a> {
    /// Splits a line at its two spaces and checks the parts, though not yet whether the target makes sense.
    #[expect(clippy::arithmetic_side_effects, reason = "both bytes are digits")]
    fn parse(line: &'a [u8], limits: &HttpLimits) -> Result<Self, HttpError> {
        let mut parts = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(HttpError::MalformedRequestLine);
        };
        if target.len() > limits.target_bytes_max {
            return Err(HttpError::TargetTooLong);
        }
        let &[
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            major @ b'0'..=b'9',
            b'.',
            minor @ b'0'..=b'9',
        ] = version
        else {
            return Err(HttpError::MalformedRequestLine);
        };
        if !is_token(method) {
            return Err(HttpError::MalformedRequestLine);
        }
        if target.is_empty()
            || !target
                .iter()
                .all(|&byte| byte.is_ascii_graphic() && byte != b'#')
        {
            return Err(HttpError::MalformedTarget);
        }
        Ok(Self {
            method: str::from_utf8(method).map_err(|_| HttpError::MalformedRequestLine)?,
            target: str::from_utf8(target).map_err(|_| HttpError::MalformedTarget)?,
            major: major - b'0',
            minor: minor - b'0',
        })
    }
}

/// The parts of a request target (RFC 9112 3.2).
struct Target<'a> {
    /// Begins with a slash.
    path: &'a str,
    /// What follows the first question mark, if there is one.
    query: Option<&'a str>,
    /// Host and port of an absolute target.
    authority: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads a target in origin form, `/path?query`, or an absolute one, `http://host/path?query`.
    ///
    /// The other two forms, for CONNECT and `OPTIONS *`, are refused: nothing here offers these methods.
    fn parse(target: &'a str) -> Result<Self, HttpError> {
        let (authority, path_and_query) = if target.starts_with('/') {
            (None, target)
        } else {
            let (scheme, rest) = target.split_once("://").ok_or(HttpError::MalformedTarget)?;
            if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
                return Err(HttpError::MalformedTarget);
            }
            let (authority, path_and_query) =
                rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            (Some(authority), path_and_query)
        };
        let (path, query) = match path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (path_and_query, None),
        };
        Ok(Self {
            path: if path.is_empty() { "/" } else { path },
            query,
            authority,
        })
    }
}

/// Checks the Host field and returns what the request is addressed to: the authority of an absolute target comes
/// before the field (RFC 9112 3.2.2). `None` only for HTTP/1.0.
fn judge_host<'a>(
    request: &Request<'a>,
    target_authority: Option<&'a str>,
) -> Result<Option<&'a str>, HttpError> {
    let field = match request.header("host")? {
        Some(value) => Some(str::from_utf8(value).map_err(|_| HttpError::MalformedHost)?),
        None if request.is_http_10() => None,
        None => return Err(HttpError::MissingHost),
    };
    if field.is_some_and(|host| Authority::parse(host).is_none()) {
        return Err(HttpError::MalformedHost);
    }
    match target_authority {
        Some(authority) if Authority::parse(authority).is_none() => Err(HttpError::MalformedTarget),
        Some(authority) => Ok(Some(authority)),
        None => Ok(field),
    }
}

/// Judges everything that says how long the body is, before a byte of it is read (RFC 9112 6).
fn judge_framing(request: &Request<'_>, limits: &HttpLimits) -> Result<BodyPlan, HttpError> {
    let len = content_length(request)?;
    if request.header_values("transfer-encoding").next().is_some() {
        return Err(judge_codings(request, len.is_some()));
    }
    let len = len.unwrap_or(0);
    if len > 0 && request.wants_upgrade() {
        return Err(HttpError::BodyOnUpgrade);
    }
    let len = usize::try_from(len).map_err(|_| HttpError::BodyTooLarge)?;
    if len > limits.body_bytes_max {
        return Err(HttpError::BodyTooLarge);
    }
    Ok(BodyPlan {
        len,
        expects_continue: judge_expectation(request)?,
    })
}

/// Which fault a request with Transfer-Encoding has; there is always one.
fn judge_codings(request: &Request<'_>, has_length: bool) -> HttpError {
    if has_length || request.is_http_10() {
        return HttpError::AmbiguousBody;
    }
    if request.wants_upgrade() {
        return HttpError::BodyOnUpgrade;
    }
    let mut codings = list_elements(request.header_values("transfer-encoding"));
    match (codings.next(), codings.next()) {
        (None, _) => HttpError::AmbiguousBody,
        (Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") => HttpError::ChunkedBody,
        _ => HttpError::UnknownTransferCoding,
    }
}

/// The value of Content-Length; lines and list elements that repeat it to the letter count as one (RFC 9110 8.6).
fn content_length(request: &Request<'_>) -> Result<Option<u64>, HttpError> {
    let mut values = request.header_values("content-length").peekable();
    if values.peek().is_none() {
        return Ok(None);
    }
    let mut elements = list_elements(values);
    let first = elements.next().ok_or(HttpError::MalformedContentLength)?;
    if !elements.all(|other| other == first) || !first.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::MalformedContentLength);
    }
    let digits = str::from_utf8(first).map_err(|_| HttpError::MalformedContentLength)?;
    digits
        .parse()
        .map(Some)
        .map_err(|_| HttpError::MalformedContentLength)
}

/// Whether the client expects `100 Continue`; HTTP/1.0 cannot (RFC 9110 10.1.1).
fn judge_expectation(request: &Request<'_>) -> Result<bool, HttpError> {
    if request.is_http_10() {
        return Ok(false);
    }
    let mut expects_continue = false;
    for element in list_elements(request.header_values("expect")) {
        if !element.eq_ignore_ascii_case(b"100-continue") {
            return Err(HttpError::UnknownExpectation);
        }
        expects_continue = true;
    }
    Ok(expects_continue)
}

#[cfg(test)]
mod tests {
    use super::super::request::tests::request;
    use super::*;

    /// The status for a request with this target and HTTP/1.1, or its path, query and host.
    fn target(
        target: &str,
    ) -> Result<(&'static str, Option<&'static str>, Option<&'static str>), HttpError> {
        let request = request(&format!(
            "GET {target} HTTP/1.1\r\nHost: field.test\r\n\r\n"
        ))?;
        Ok((request.path(), request.query(), request.host()))
    }

    /// What is made of these field lines in an otherwise good request with `version`.
    fn fields(version: &str, lines: &str) -> Result<usize, HttpError> {
        let text = format!("POST / HTTP/{version}\r\nHost: a\r\n{lines}\r\n");
        parse_head(
            text.as_bytes(),
            1 + lines.matches("\r\n").count(),
            &HttpLimits::default(),
        )
        .map(|(_, plan)| plan.len)
    }

    #[test]
    fn hs_03_a_target_is_a_path_or_an_http_uri() {
        let host = Some("field.test");
        for (text, expected) in [
            ("/", ("/", None, host)),
            ("/a/b?c=d?e", ("/a/b", Some("c=d?e"), host)),
            ("/?", ("/", Some(""), host)),
            ("//evil.test/x", ("//evil.test/x", None, host)),
            ("/a://b", ("/a://b", None, host)),
            ("/%2F/%zz", ("/%2F/%zz", None, host)),
            ("/[]|^`{}\"<>\\", ("/[]|^`{}\"<>\\", None, host)),
            (
                "http://a.test:80/ws?x",
                ("/ws", Some("x"), Some("a.test:80")),
            ),
            ("HTTPS://a.test", ("/", None, Some("a.test"))),
            ("http://a.test?x", ("/", Some("x"), Some("a.test"))),
            ("http://[::1]:1/", ("/", None, Some("[::1]:1"))),
        ] {
            assert_eq!(target(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn hs_03_anything_else_is_refused() {
        for text in [
            "*",
            "a",
            "a/b",
            "host:80",
            "ws://a/",
            "ftp://a/",
            "http:/a",
            "http:///a",
            "http://",
            "http://u@a/",
            "http://a:b/",
            "/#",
            "/a#b",
            "http://a/#",
            "/\u{7f}",
            "/\u{1}",
            "/\t",
            "/\u{e4}",
            "?x",
            "/\0",
        ] {
            assert_eq!(target(text), Err(HttpError::MalformedTarget), "{text:?}");
        }
        for text in ["", "/ ", " /", "/a b", "/a\rb"] {
            assert_eq!(
                target(text).map_err(HttpError::status),
                Err(400),
                "{text:?}"
            );
        }
    }

    #[test]
    fn ht_01_a_content_length_is_one_decimal_number() {
        for (value, len) in [
            ("0", 0),
            ("7", 7),
            ("007", 7),
            (" 7\t", 7),
            ("7, 7", 7),
            ("1048576", 1 << 20),
        ] {
            assert_eq!(
                fields("1.1", &format!("Content-Length:{value}\r\n")),
                Ok(len),
                "{value}"
            );
        }
        assert_eq!(
            fields("1.1", "Content-Length: 7\r\ncontent-length: 7\r\n"),
            Ok(7)
        );
        for value in [
            "",
            " ",
            ",",
            "+7",
            "-7",
            "7a",
            "0x7",
            "7 7",
            "7, 8",
            "7, 07",
            "7;",
            "\"7\"",
            "18446744073709551616",
        ] {
            let lines = format!("Content-Length: {value}\r\n");
            assert_eq!(
                fields("1.1", &lines),
                Err(HttpError::MalformedContentLength),
                "{value}"
            );
        }
        let lines = "Content-Length: 7\r\nContent-Length: 8\r\n";
        assert_eq!(fields("1.1", lines), Err(HttpError::MalformedContentLength));
    }

    #[test]
    fn ht_02_a_coding_with_a_length_or_in_http_1_0_is_ambiguous() {
        for (version, lines) in [
            ("1.1", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
            (
                "1.1",
                "Content-Length: 7\r\nTransfer-Encoding: identity\r\n",
            ),
            ("1.0", "Transfer-Encoding: chunked\r\n"),
            ("1.1", "Transfer-Encoding:\r\n"),
            ("1.1", "Transfer-Encoding: ,\r\n"),
        ] {
            assert_eq!(
                fields(version, lines),
                Err(HttpError::AmbiguousBody),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn ht_03_a_chunked_body_needs_a_length_and_other_codings_are_not_known() {
        for (value, error) in [
            ("chunked", HttpError::ChunkedBody),
            ("Chunked ,", HttpError::ChunkedBody),
            ("gzip", HttpError::UnknownTransferCoding),
            ("gzip, chunked", HttpError::UnknownTransferCoding),
            ("chunked, chunked", HttpError::UnknownTransferCoding),
            ("xchunked", HttpError::UnknownTransferCoding),
            ("chunked;q=1", HttpError::UnknownTransferCoding),
        ] {
            assert_eq!(
                fields("1.1", &format!("Transfer-Encoding: {value}\r\n")),
                Err(error),
                "{value}"
            );
        }
    }

    #[test]
    fn ht_04_a_body_over_the_limit_is_refused_before_it_is_read() {
        assert_eq!(
            fields("1.1", "Content-Length: 1048577\r\n"),
            Err(HttpError::BodyTooLarge)
        );
        assert_eq!(
            fields("1.1", "Content-Length: 18446744073709551615\r\n"),
            Err(HttpError::BodyTooLarge)
        );
    }

    #[test]
    fn ht_04_only_100_continue_can_be_expected_and_not_by_http_1_0() {
        assert_eq!(fields("1.1", "Expect: 100-Continue\r\n"), Ok(0));
        assert_eq!(
            fields("1.1", "Expect: 200-ok\r\n"),
            Err(HttpError::UnknownExpectation)
        );
        assert_eq!(
            fields("1.1", "Expect: 100-continue, x\r\n"),
            Err(HttpError::UnknownExpectation)
        );
        assert_eq!(fields("1.0", "Expect: 200-ok\r\n"), Ok(0));
    }

    #[test]
    fn the_target_of_an_unfinished_line_counts_as_far_as_it_has_come() {
        for (head, len) in [
            ("", 0),
            ("GET", 0),
            ("GET ", 0),
            ("GET /ab", 3),
            ("\r\nGET /ab HT", 3),
            ("G /\r\nA: b", 1),
        ] {
            assert_eq!(target_len(head.as_bytes()), len, "{head:?}");
        }
    }
}
