//! Requests as clients send them, good and bad, whole and in pieces: what is read, what is refused, and with what.

use proptest::prelude::*;
use switchboard::http::{
    Handshake, HttpError, HttpLimits, OriginPolicy, Request, RequestReader, Scheme,
};
use tungstenite::handshake::derive_accept_key;

/// Everything that is observed of one complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// Method, path, query and host.
    line: [Option<String>; 4],
    /// The body.
    body: Vec<u8>,
    /// Whether the connection could stay open.
    is_keep_alive: bool,
    /// The answer to an upgrade, or the status that refuses it.
    answer: Result<Vec<u8>, u16>,
    /// What follows the request.
    rest: Vec<u8>,
}

impl Seen {
    fn new(request: &Request<'_>) -> Self {
        let text = |text: &str| Some(text.to_owned());
        Self {
            line: [
                text(request.method()),
                text(request.path()),
                request.query().and_then(text),
                request.host().and_then(text),
            ],
            body: request.body().to_vec(),
            is_keep_alive: request.is_keep_alive(),
            answer: open(request)
                .map(|handshake| handshake.encode())
                .map_err(HttpError::status),
            rest: Vec::new(),
        }
    }
}

/// Judges a request as a WebSocket endpoint with two subprotocols does.
fn open(request: &Request<'_>) -> Result<Handshake, HttpError> {
    let handshake = Handshake::accept(request)?;
    OriginPolicy::default().judge(request, Scheme::Http)?;
    handshake.choose_subprotocol(request, &["chat", "json.v1"])
}

/// Feeds `bytes` in pieces that begin at `cuts`: the first request, `None` if it is not complete, or the status.
fn feed(bytes: &[u8], cuts: &[usize], limits: &HttpLimits) -> Result<Option<Seen>, u16> {
    let mut reader = RequestReader::default();
    let mut start = 0;
    for end in cuts.iter().copied().chain([bytes.len()]) {
        let mut piece = bytes[start..end].to_vec();
        let mut input = &mut piece[..];
        let seen = reader
            .next(&mut input, limits)
            .map_err(HttpError::status)?
            .map(|request| Seen::new(&request));
        if let Some(mut seen) = seen {
            seen.rest = [input, &bytes[end..]].concat();
            return Ok(Some(seen));
        }
        assert!(
            input.is_empty(),
            "without a request all of the input is taken"
        );
        start = end;
    }
    Ok(None)
}

/// What comes of `bytes`, and the same for every way to cut them that is tried here.
#[track_caller]
fn read(bytes: &[u8], limits: &HttpLimits) -> Result<Option<Seen>, u16> {
    let whole = feed(bytes, &[], limits);
    let each_byte: Vec<usize> = (1..bytes.len()).collect();
    assert_eq!(
        feed(bytes, &each_byte, limits),
        whole,
        "byte by byte: {}",
        bytes.escape_ascii()
    );
    // Every position of what has a normal size, and enough of what tests the limits.
    for at in (0..=bytes.len()).step_by(1 + bytes.len() / 2000) {
        assert_eq!(
            feed(bytes, &[at], limits),
            whole,
            "cut at {at}: {}",
            bytes.escape_ascii()
        );
    }
    whole
}

/// The status that a WebSocket endpoint answers with; 0 if it waits for more.
#[track_caller]
fn status(text: &str) -> u16 {
    match read(text.as_bytes(), &HttpLimits::default()) {
        Err(status) => status,
        Ok(None) => 0,
        Ok(Some(Seen { answer: Ok(_), .. })) => 101,
        Ok(Some(Seen {
            answer: Err(status),
            ..
        })) => status,
    }
}

/// Asserts the status of each request.
#[track_caller]
fn check(rows: &[(&str, u16)]) {
    for (text, expected) in rows {
        assert_eq!(status(text), *expected, "{text:?}");
    }
}

/// A request that opens a WebSocket, with `lines` among its fields.
fn upgrade(lines: &str) -> String {
    format!("GET /ws HTTP/1.1\r\nHost: a\r\n{lines}{UPGRADE_FIELDS}\r\n")
}

const UPGRADE_FIELDS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[test]
fn hs_01_only_get_over_http_1_upgrades() {
    let with = |method: &str, version: &str| {
        format!("{method} / {version}\r\nHost: a\r\n{UPGRADE_FIELDS}\r\n")
    };
    check(&[
        (&with("GET", "HTTP/1.1"), 101),
        (&with("GET", "HTTP/1.9"), 101),
        (&with("POST", "HTTP/1.1"), 405),
        (&with("get", "HTTP/1.1"), 405),
        (&with("GET", "HTTP/1.0"), 426),
        (&with("GET", "HTTP/2.0"), 505),
        (&with("GET", "HTTP/0.9"), 505),
        (&with("GET", "HTTP/2"), 400),
        (&with("GET", "HTTP/1.10"), 400),
        (&with("GET", "http/1.1"), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET /\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00", 400),
    ]);
}

#[test]
fn hs_02_exactly_one_valid_host_is_needed() {
    check(&[
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: \u{e4}\r\n\r\n", 400),
        ("GET http://a/ HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a:1\r\n\r\n", 426),
        ("GET / HTTP/1.0\r\n\r\n", 426),
        ("GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400),
        ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ]);
}

#[test]
fn hs_03_a_target_has_no_fragment_control_character_or_space() {
    let with = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{UPGRADE_FIELDS}\r\n");
    check(&[
        (&with("/ws?token=a.b-c_d"), 101),
        (&with("http://a/ws"), 101),
        (&with("/ws#x"), 400),
        (&with("/w s"), 400),
        (&with("/w\ts"), 400),
        (&with("/w\0s"), 400),
        (&with("/w\u{e9}s"), 400),
        (&with(" /ws"), 400),
        (&with("*"), 400),
        (&with("ws://a/ws"), 400),
    ]);
}

#[test]
fn hs_12_a_request_to_upgrade_has_no_body() {
    check(&[
        (&upgrade("Content-Length: 0\r\n"), 101),
        (&upgrade("Content-Length: 1\r\n"), 400),
        (&upgrade("Content-Length: 99999999999\r\n"), 400),
        (&upgrade("Transfer-Encoding: chunked\r\n"), 400),
        (&upgrade("Transfer-Encoding: identity\r\n"), 400),
    ]);
    // Before the path and the method are judged: nobody may take these bytes for frames.
    check(&[(
        "POST / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
        400,
    )]);
}

#[test]
fn hs_13_the_grammar_has_no_exceptions() {
    for line in [
        "A : b",
        "A\t: b",
        ": b",
        "A b: c",
        " A: b",
        "\tA: b",
        "A: b\r\n folded",
        "A: b\r\n\tfolded",
        "A",
        "A\u{e9}: b",
        "A: b\rc",
        "A:\rb",
        "A: b\0",
        "A: \u{1}",
        "A: \u{7f}",
        "A\0: b",
        "A: b\nB: c",
        "A: b\r\r",
        "(A): b",
    ] {
        assert_eq!(status(&upgrade(&format!("{line}\r\n"))), 400, "{line:?}");
        let first = format!("GET / HTTP/1.1\r\n{line}\r\nHost: a\r\n\r\n");
        assert_eq!(status(&first), 400, "{first:?}");
    }
    check(&[
        ("GET / HTTP/1.1\nHost: a\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        ("GET / HTTP/1.1\rHost: a\r\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ]);
    for line in [
        "A:",
        "A:  \t",
        "A:b",
        "A:\t b \t",
        "A: \u{e9}\u{ff}",
        "A!#$%&'*+-.^_`|~0: b",
        "A: b\tc",
    ] {
        assert_eq!(status(&upgrade(&format!("{line}\r\n"))), 101, "{line:?}");
    }
}

#[test]
fn hs_13_empty_lines_before_the_request_are_skipped_and_counted() {
    let request = upgrade("");
    assert_eq!(status(&format!("\r\n{request}")), 101);
    assert_eq!(status(&format!("\r\n\r\n\r\n{request}")), 101);
    assert_eq!(status(&format!("\n{request}")), 400);
    let limits = HttpLimits {
        head_bytes_max: request.len() + 4,
        ..HttpLimits::default()
    };
    assert!(matches!(
        read(format!("\r\n\r\n{request}").as_bytes(), &limits),
        Ok(Some(_))
    ));
    assert_eq!(
        read(format!("\r\n\r\n\r\n{request}").as_bytes(), &limits),
        Err(431)
    );
    assert_eq!(status(&"\r\n".repeat(8191)), 0);
    assert_eq!(status(&"\r\n".repeat(8192)), 431);
}

#[test]
fn hs_14_limits_hold_at_their_value_and_not_above() {
    let head_of = |len: usize| {
        let rest_len = upgrade("X: \r\n").len();
        upgrade(&format!("X: {}\r\n", "x".repeat(len - rest_len)))
    };
    assert_eq!(status(&head_of(16_384)), 101);
    assert_eq!(status(&head_of(16_385)), 431);

    let target_of = |len: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nHost: a\r\n{UPGRADE_FIELDS}\r\n",
            "x".repeat(len - 1)
        )
    };
    assert_eq!(status(&target_of(8000)), 101);
    assert_eq!(status(&target_of(8001)), 414);
    assert_eq!(status(&target_of(20_000)), 414);
    assert_eq!(
        status(&format!(
            "GET /{} HTTP/1.1\r\nX: {}",
            "x".repeat(8000),
            "x".repeat(9000)
        )),
        414
    );
    assert_eq!(
        status(&format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(20_000))),
        431
    );
    assert_eq!(status(&"G".repeat(20_000)), 431);

    assert_eq!(status(&upgrade(&"X: y\r\n".repeat(95))), 101);
    assert_eq!(status(&upgrade(&"X: y\r\n".repeat(96))), 431);
    assert_eq!(status(&upgrade(&"X: y\r\n".repeat(2000))), 431);
}

#[test]
fn hs_17_frames_behind_the_head_are_left_alone() {
    let stream = format!("{}\u{1}GET / HTTP/1.1\r\n\r\n", upgrade(""));
    let seen = read(stream.as_bytes(), &HttpLimits::default())
        .unwrap()
        .unwrap();
    assert_eq!(seen.rest, b"\x01GET / HTTP/1.1\r\n\r\n");
}

#[test]
fn earlier_rows_answer_first() {
    check(&[
        // 414 before 400, 400 before 505, 505 before the Host, the Host before the body, the body before the rest.
        (
            &format!("G(T /{}# HTTP/2.0\r\nA b\r\n\r\n", "x".repeat(8000)),
            414,
        ),
        ("GET / HTTP/2.0\r\nA b\r\n\r\n", 400),
        ("GET / HTTP/2.0\r\nTransfer-Encoding: chunked\r\n\r\n", 505),
        ("POST / HTTP/1.1\r\nContent-Length: 1, 2\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\nExpect: x\r\n\r\n",
            413,
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 8\r\n\r\n",
            426,
        ),
        (&upgrade("Origin: http://evil.test\r\n"), 403),
        (
            &upgrade("Origin: http://evil.test\r\nOrigin: http://a\r\n"),
            400,
        ),
        (
            &upgrade("Origin: http://a\r\nSec-WebSocket-Protocol: a b\r\n"),
            400,
        ),
    ]);
}

#[test]
fn ht_03_bodies_without_a_length_are_not_guessed() {
    check(&[
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
            411,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            501,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
            400,
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
            400,
        ),
    ]);
}

#[test]
fn ht_04_a_body_is_judged_by_its_announcement() {
    let limits = HttpLimits {
        body_bytes_max: 4,
        ..HttpLimits::default()
    };
    let post = |len: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {len}\r\n\r\n");
    assert_eq!(read(post(5).as_bytes(), &limits), Err(413));
    assert_eq!(
        read(format!("{}bod", post(4)).as_bytes(), &limits),
        Ok(None)
    );
    let seen = read(format!("{}bodyrest", post(4)).as_bytes(), &limits)
        .unwrap()
        .unwrap();
    assert_eq!(
        (&seen.body[..], &seen.rest[..]),
        (&b"body"[..], &b"rest"[..])
    );
}

#[test]
fn ht_05_pipelined_requests_come_out_one_at_a_time_and_in_order() {
    let mut stream = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n\
        HEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n"
        .to_vec();
    for piece_len in 1..=stream.len() {
        let mut reader = RequestReader::default();
        let mut paths = Vec::new();
        for piece in stream.chunks_mut(piece_len) {
            let mut start = 0;
            loop {
                let end = piece.len();
                let mut input = &mut piece[start..];
                let request = reader.next(&mut input, &HttpLimits::default()).unwrap();
                let Some(path) = request.map(|request| request.path().to_owned()) else {
                    break;
                };
                paths.push(path);
                start = end - input.len();
            }
        }
        assert_eq!(paths, ["/1", "/2", "/3"], "pieces of {piece_len}");
        assert!(!reader.is_mid_request());
    }
}

/// What today's browsers and the common libraries send.
const CLIENTS: [&str; 4] = [
    // Chrome.
    "GET /ws?user=a HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
     Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/142.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://localhost:8080\r\n\
     Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\
     Cookie: theme=dark; session=0123456789abcdef\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
     Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n",
    // Firefox.
    "GET /ws HTTP/1.1\r\nHost: localhost:8080\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 \
     Firefox/145.0\r\nAccept: */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n\
     Sec-WebSocket-Version: 13\r\nOrigin: http://localhost:8080\r\nSec-WebSocket-Protocol: json.v1\r\n\
     Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nDNT: 1\r\n\
     Sec-GPC: 1\r\nConnection: keep-alive, Upgrade\r\nSec-Fetch-Dest: empty\r\nSec-Fetch-Mode: websocket\r\n\
     Sec-Fetch-Site: same-origin\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nUpgrade: websocket\r\n\r\n",
    // Safari.
    "GET /ws HTTP/1.1\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-Fetch-Site: same-origin\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\nCache-Control: no-cache\r\n\
     Sec-Fetch-Mode: websocket\r\nAccept: */*\r\nUser-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) \
     AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15\r\nOrigin: http://localhost:8080\r\n\
     Connection: Upgrade\r\nPragma: no-cache\r\nUpgrade: websocket\r\nHost: localhost:8080\r\n\
     Accept-Language: en-GB,en;q=0.9\r\nAccept-Encoding: gzip, deflate\r\nSec-Fetch-Dest: websocket\r\n\r\n",
    // A library outside a browser, behind a proxy that writes names in lower case.
    "GET /ws HTTP/1.1\r\nhost: localhost:8080\r\nupgrade: websocket\r\nconnection: upgrade\r\n\
     sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
];

#[test]
fn hs_05_browsers_and_libraries_are_let_in() {
    for client in CLIENTS {
        let seen = read(client.as_bytes(), &HttpLimits::default())
            .unwrap()
            .unwrap();
        let answer = String::from_utf8(seen.answer.unwrap()).unwrap();
        assert!(
            answer.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
            "{answer}"
        );
        assert_eq!(
            answer.contains("Sec-WebSocket-Protocol: json.v1\r\n"),
            client.contains("json.v1")
        );
    }
}

/// `name` with the capitals that the bits of `capitals` say.
fn recase(name: &str, capitals: u64) -> String {
    let recase = |(at, letter): (usize, char)| {
        if capitals >> (at % 64) & 1 == 1 {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        }
    };
    name.chars().enumerate().map(recase).collect()
}

proptest! {
    #[test]
    fn hs_06_order_capitals_and_unknown_fields_do_not_matter(
        client in 0..CLIENTS.len(),
        order in Just(()).prop_perturb(|(), mut rng| rng.next_u64()),
        capitals in any::<u64>(),
        extra in "[!-9;-~]{0,20}",
    ) {
        let (line, fields) = CLIENTS[client].split_once("\r\n").unwrap();
        let mut fields: Vec<&str> = fields.trim_end().split("\r\n").collect();
        let expected = feed(CLIENTS[client].as_bytes(), &[], &HttpLimits::default()).unwrap().unwrap();
        let unknown = format!("X-Unknown: {extra}");
        fields.push(&unknown);
        let mut state = order;
        fields.sort_by_key(|_| { state = state.wrapping_mul(6364136223846793005).wrapping_add(1); state >> 32 });
        let mut text = format!("{line}\r\n");
        for field in fields {
            let (name, value) = field.split_once(':').unwrap();
            text += &format!("{}:{value}\r\n", recase(name, capitals));
        }
        text += "\r\n";
        prop_assert_eq!(feed(text.as_bytes(), &[], &HttpLimits::default()), Ok(Some(expected)));
    }

    #[test]
    fn hs_09_the_accept_key_is_that_of_another_implementation(nonce in "[A-Za-z0-9+/]{21}[AQgw]==") {
        let text = upgrade("").replace("dGhlIHNhbXBsZSBub25jZQ==", &nonce);
        let answer = feed(text.as_bytes(), &[], &HttpLimits::default()).unwrap().unwrap().answer.unwrap();
        let expected = format!("Sec-WebSocket-Accept: {}\r\n", derive_accept_key(nonce.as_bytes()));
        prop_assert!(String::from_utf8(answer).unwrap().contains(&expected));
    }

    #[test]
    fn any_cuts_of_any_bytes_give_the_same(
        prefix in 0..CLIENTS.len(),
        at in any::<prop::sample::Index>(),
        noise in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..8),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let client = CLIENTS[prefix].as_bytes();
        let at = at.index(client.len());
        let bytes = [&client[..at], &noise, &client[at..], client].concat();
        let mut cuts: Vec<usize> = cuts.drain(..).map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let limits = HttpLimits::default();
        prop_assert_eq!(feed(&bytes, &cuts, &limits), feed(&bytes, &[], &limits));
    }
}
