//! What a new WebSocket costs before its first frame: a browser's request read, judged and answered.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use switchboard::http::{Handshake, HttpLimits, OriginPolicy, RequestReader, Scheme};

/// A request as Chrome sends it.
const BROWSER: &[u8] = b"GET /ws?user=alice HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\n\
    Pragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 \
    (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\nUpgrade: websocket\r\nOrigin: http://localhost:8080\r\n\
    Sec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-US,en;q=0.9\r\n\
    Cookie: theme=dark; session=0123456789abcdef\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
    Sec-WebSocket-Protocol: json.webpubsub.azure.v1\r\n\r\n";

/// A request as a library outside a browser sends it.
const LIBRARY: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Reads `bytes` in pieces of `piece_len`, judges the request and returns the answer.
fn answer(bytes: &mut [u8], piece_len: usize, policy: &OriginPolicy) -> Vec<u8> {
    let mut reader = RequestReader::default();
    for mut piece in bytes.chunks_mut(piece_len) {
        let request = reader
            .next(&mut piece, &HttpLimits::default())
            .expect("a good request");
        if let Some(request) = request {
            let handshake = Handshake::accept(&request).expect("an upgrade");
            policy
                .judge(&request, Scheme::Http)
                .expect("the server's own origin");
            let chosen = handshake.choose_subprotocol(&request, &["json.webpubsub.azure.v1"]);
            return chosen.expect("a list of tokens").encode();
        }
    }
    Vec::new()
}

fn handshake(criterion: &mut Criterion) {
    let policy = OriginPolicy::default();
    let mut group = criterion.benchmark_group("handshake");
    for (name, head, piece_len) in [
        ("browser", BROWSER, usize::MAX),
        ("library", LIBRARY, usize::MAX),
        ("browser in 64-byte pieces", BROWSER, 64),
        ("browser byte by byte", BROWSER, 1),
    ] {
        let mut bytes = head.to_vec();
        let answered = answer(&mut bytes, piece_len, &policy);
        assert!(
            answered.starts_with(b"HTTP/1.1 101 ") && answered.ends_with(b"\r\n\r\n"),
            "{name} is let in"
        );
        let accept = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert!(
            answered
                .windows(accept.len())
                .any(|window| window == accept),
            "{name} gets its key"
        );
        group.throughput(Throughput::Bytes(head.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| answer(black_box(&mut bytes), piece_len, &policy));
        });
    }
    group.finish();
}

criterion_group!(benches, handshake);
criterion_main!(benches);
