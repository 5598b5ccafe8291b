//! Requests from any bytes: the same for every cut, within the limits, and answered without an echo.

use switchboard::http::{
    Handshake, HttpError, HttpLimits, OriginPolicy, Request, RequestReader, Response, Scheme,
};

/// Small limits, so that short inputs reach them.
const LIMITS: HttpLimits = HttpLimits {
    head_bytes_max: 512,
    target_bytes_max: 64,
    fields_max: 12,
    body_bytes_max: 32,
};

/// Reads requests from `data` until one is refused or unfinished; the first two bytes say how it is cut.
///
/// # Panics
///
/// If a cut changes what is read, or if a request or an answer is not what it must be.
pub(crate) fn check(data: &[u8]) {
    let Some((&[first, step], bytes)) = data.split_first_chunk() else {
        return;
    };
    let whole = read(bytes, bytes.len().max(1), bytes.len().max(1));
    let cut = read(bytes, 1 + usize::from(first), 1 + usize::from(step) % 32);
    assert_eq!(whole, cut, "a cut changes what is read");
    assert!(whole.taken_len <= bytes.len());
}

/// What came of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
struct Reading {
    /// One line for each complete request.
    requests: Vec<String>,
    /// Why no more were read, if not for the end of the bytes.
    error: Option<HttpError>,
    /// Bytes that the complete requests were made of.
    taken_len: usize,
}

/// Reads `bytes` in pieces, the first of `first_len` bytes and the others of `step` bytes.
fn read(bytes: &[u8], first_len: usize, step: usize) -> Reading {
    let mut reading = Reading::default();
    let mut reader = RequestReader::default();
    let mut bytes = bytes.to_vec();
    let (mut start, mut end) = (0, first_len.min(bytes.len()));
    loop {
        let mut input = &mut bytes[start..end];
        match reader.next(&mut input, &LIMITS) {
            Ok(Some(request)) => {
                reading.requests.push(describe(&request));
                start = end - input.len();
                reading.taken_len = start;
            }
            Ok(None) => {
                assert!(
                    input.is_empty(),
                    "all of the input is taken while a request is unfinished"
                );
                if end == bytes.len() {
                    return reading;
                }
                (start, end) = (end, (end + step).min(bytes.len()));
            }
            Err(error) => {
                check_response(&Response::refusal(error));
                reading.error = Some(error);
                return reading;
            }
        }
    }
}

/// Checks a request and everything that can be asked of it, and puts it into words.
fn describe(request: &Request<'_>) -> String {
    assert!(request.path().starts_with('/'));
    assert!(
        request
            .path()
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    );
    assert!(request.path().len() <= LIMITS.target_bytes_max);
    assert!(request.body().len() <= LIMITS.body_bytes_max);
    assert!(request.host().is_some() || request.is_http_10());
    assert!(
        !request.wants_upgrade() || request.body().is_empty(),
        "the body of an upgrade could be frames"
    );
    let segments: Result<Vec<_>, _> = request.path_segments().collect();
    let pairs: Vec<_> = request.query_pairs().collect();
    let extensions: Result<Vec<_>, _> = request.extensions().collect();
    let parameters: Vec<_> = extensions
        .iter()
        .flatten()
        .flat_map(|extension| extension.parameters())
        .collect();
    format!(
        "{request:?} {:?} {segments:?} {pairs:?} {extensions:?} {parameters:?} {:?} {:?} {:?}",
        request.host(),
        request.body(),
        request.is_keep_alive(),
        judge(request)
    )
}

/// Judges a request as a WebSocket endpoint does, and checks the answer.
fn judge(request: &Request<'_>) -> Result<Vec<u8>, HttpError> {
    let judged = Handshake::accept(request).and_then(|handshake| {
        OriginPolicy::default().judge(request, Scheme::Http)?;
        handshake.choose_subprotocol(request, &["chat", "json.v1"])
    });
    let handshake = judged.inspect_err(|&error| check_response(&Response::refusal(error)))?;
    assert_eq!(request.method(), "GET");
    let answer = handshake.encode();
    check_head(&answer, "101");
    Ok(answer)
}

/// Checks that a refusal is one well-formed response that says whether the connection ends.
fn check_response(response: &Response) {
    let sent = response.encode(false, true);
    check_head(&sent, &response.status().to_string());
    let head_only = response.encode(true, true);
    assert!(sent.len() > head_only.len() && sent.starts_with(&head_only));
    assert!(response.status() >= 400);
}

/// Checks that `sent` begins with a head of clean lines and this status.
fn check_head(sent: &[u8], status: &str) {
    let end = sent
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an answer has a head");
    let head = str::from_utf8(&sent[..end]).expect("the head is text");
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")));
    assert!(
        head.split("\r\n")
            .all(|line| !line.bytes().any(|byte| byte.is_ascii_control()))
    );
}
