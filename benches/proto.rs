//! How fast bytes become messages and messages become bytes, per message and per byte.
//!
//! Each bench checks its answer once before it is timed.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use switchboard::proto::{
    FrameBuffer, FrameRange, Incoming, Message, MessageLimits, MessageReader, OpCode, Role,
    Utf8Validator, apply_mask, encode_frame, encode_masked_frame,
};

criterion_group!(benches, mask, decode, utf8, encode);
criterion_main!(benches);

/// As much as one read brings, in bytes.
const READ_LEN: usize = 64 * 1024;

/// Masks lower-case letters to other ASCII characters, so that text stays text however often it is
/// unmasked in place and no bench has to copy its input.
const KEY: [u8; 4] = [0x01, 0x02, 0x04, 0x08];

const LIMITS: MessageLimits = MessageLimits {
    message_bytes_max: 1 << 20,
    fragments_max: 1 << 17,
};

/// A text of letters.
fn letters(len: usize) -> Vec<u8> {
    (b'a'..=b'z').cycle().take(len).collect()
}

/// Unmasks payloads of several lengths.
fn mask(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for len in [4, 20, 125, 1024, READ_LEN] {
        let mut payload = letters(len);
        apply_mask(&mut payload, KEY, 1);
        let expected = letters(len)
            .iter()
            .zip(1..)
            .map(|(byte, index)| byte ^ KEY[index % 4])
            .collect::<Vec<u8>>();
        assert_eq!(payload, expected);
        group.throughput(Throughput::Bytes(len as u64));
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter(|| apply_mask(black_box(&mut payload), black_box(KEY), 0));
        });
    }
    group.finish();
}

/// Reads masked text messages of one length that fill a read; the last is cut by its end.
fn decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for len in [16, 20, 125, 1024, 60_000] {
        let mut stream = Vec::new();
        let mut message_count = 0;
        while stream.len() < READ_LEN - len {
            encode_masked_frame(&mut stream, OpCode::Text, &[&letters(len)], KEY);
            message_count += 1;
        }
        let first = format!("{:?}", first_message(&stream));
        assert_eq!(
            first,
            format!(
                "{:?}",
                str::from_utf8(&letters(len)).expect("letters are text")
            )
        );
        assert_eq!(
            read_all(&mut stream.clone()),
            (message_count, message_count * len)
        );
        group.throughput(Throughput::ElementsAndBytes {
            elements: message_count as u64,
            bytes: stream.len() as u64,
        });
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter(|| read_all(black_box(&mut stream)));
        });
    }
    group.finish();
}

/// The first message of a stream.
fn first_message(stream: &[u8]) -> String {
    let mut bytes = stream.to_vec();
    let mut input = &mut bytes[..];
    match MessageReader::new(Role::Server).next(&mut input, &LIMITS) {
        Ok(Some(Incoming::Message(Message::Text(text)))) => text.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}

/// Reads all of a stream: how many messages, and how many bytes of payload.
fn read_all(mut input: &mut [u8]) -> (usize, usize) {
    let mut reader = MessageReader::new(Role::Server);
    let (mut message_count, mut payload_len) = (0, 0);
    while let Some(incoming) = reader
        .next(&mut input, &LIMITS)
        .expect("the stream is valid")
    {
        if let Incoming::Message(message) = incoming {
            message_count += 1;
            payload_len += black_box(message.payload()).len();
        }
    }
    (message_count, payload_len)
}

/// Checks text in pieces as they come from reads.
fn utf8(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("utf8");
    for (name, sample) in [
        ("ascii", "abcdefgh"),
        ("latin", "déjà vu "),
        ("chinese", "流式验证"),
    ] {
        for piece_len in [20, 1024, READ_LEN] {
            let text = sample.repeat(READ_LEN / sample.len());
            assert_eq!(check_pieces(text.as_bytes(), piece_len), text.len());
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(BenchmarkId::new(name, piece_len), |bencher| {
                bencher.iter(|| check_pieces(black_box(text.as_bytes()), piece_len));
            });
        }
    }
    group.finish();
}

/// Checks a text in pieces; how many bytes of whole characters came out.
fn check_pieces(text: &[u8], piece_len: usize) -> usize {
    let mut utf8 = Utf8Validator::default();
    let mut len = 0;
    for piece in text.chunks(piece_len) {
        let (completed, rest) = utf8.check(piece).expect("the text is valid");
        len += completed.map_or(0, char::len_utf8) + rest.len();
    }
    assert!(utf8.is_complete());
    len
}

/// Encodes a turn of messages of one length into the turn buffer and shares it.
fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    for len in [20, 125, 1024, 60_000] {
        let payload = letters(len);
        let turn_len = READ_LEN / (len + 4);
        let mut buffer = FrameBuffer::default();
        let mut expected = Vec::new();
        encode_frame(&mut expected, OpCode::Text, &[&payload]);
        let last = encode_turn(&mut buffer, &payload, turn_len);
        let shared = buffer.share();
        assert_eq!(shared.slice(last).as_bytes(), expected);
        assert_eq!(shared.len(), turn_len * expected.len());
        drop(shared);
        group.throughput(Throughput::ElementsAndBytes {
            elements: turn_len as u64,
            bytes: (turn_len * len) as u64,
        });
        group.bench_function(BenchmarkId::from_parameter(len), |bencher| {
            bencher.iter(|| {
                encode_turn(&mut buffer, black_box(&payload), turn_len);
                buffer.share()
            });
        });
    }
    group.finish();
}

/// Encodes the payload `count` times; where the last frame lies.
fn encode_turn(buffer: &mut FrameBuffer, payload: &[u8], count: usize) -> FrameRange {
    let mut last = FrameRange::new(0, 0);
    for _ in 0..count {
        last = black_box(buffer.encode(OpCode::Text, &[payload]));
    }
    last
}
