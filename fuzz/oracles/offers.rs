//! Offers of extensions from any bytes: none leads to an answer that a client which made it could refuse.
//!
//! The input is the value of Sec-WebSocket-Extensions.

use switchboard::http::{Handshake, HttpLimits, Opening, OpeningAnswer, RequestReader};

/// Room for any input that a fuzzer makes.
const LIMITS: HttpLimits = HttpLimits {
    head_bytes_max: 64 << 10,
    target_bytes_max: 64,
    fields_max: 12,
    body_bytes_max: 32,
};

/// The example of RFC 6455 1.3.
const NONCE: [u8; 16] = *b"the sample nonce";
const HEAD: &str = "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: ";

/// Checks one input.
///
/// # Panics
///
/// If the answer does not fit the offer.
pub(crate) fn check(data: &[u8]) {
    let offer = data.iter().filter(|byte| !byte.is_ascii_control());
    let offer: Vec<u8> = offer.copied().collect();
    let mut bytes = [HEAD.as_bytes(), &offer, b"\r\n\r\n"].concat();
    let mut reader = RequestReader::default();
    let mut input = &mut bytes[..];
    let Ok(Some(request)) = reader.next(&mut input, &LIMITS) else {
        return;
    };
    let Ok(handshake) = Handshake::accept(&request) else {
        return;
    };
    let handshake = handshake.compress(&request);
    let answer = handshake.encode();
    let opening = Opening::new(NONCE, &[]).offering_compression();
    let Ok(OpeningAnswer::Open { deflate, .. }) = opening.judge(&answer) else {
        panic!(
            "our own client refuses {:?}",
            String::from_utf8_lossy(&answer)
        );
    };
    let Some(agreed) = handshake.deflate() else {
        assert_eq!(deflate, None, "an answer to nothing");
        return;
    };
    assert!(!deflate.expect("the answer").peer_keeps_context);
    assert!(!agreed.peer_keeps_context);
    let text = String::from_utf8_lossy(&offer);
    assert!(text.contains("permessage-deflate"));
    let said = String::from_utf8_lossy(&answer);
    let bits = format!("server_max_window_bits={}\r\n", agreed.own_window);
    assert_eq!(
        said.contains("server_max_window_bits"),
        said.contains(&bits)
    );
    let is_asked_for = text.contains("server_max_window_bits");
    assert!(is_asked_for || !said.contains("server_max_window_bits"));
    assert!(!said.contains("client_max_window_bits"));
}
