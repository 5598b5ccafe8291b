//! The two halves against each other, against a slow inflater, and against what peers do wrong.

use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::naive;
use super::*;
use crate::proto::{
    EncodedFrame, FrameHeader, Incoming, Message, MessageLimits, MessageReader, OpCode,
    ProtocolError, Role, encode_frame, encode_masked_frame, frame_len_at,
};

const LIMITS: MessageLimits = MessageLimits {
    message_bytes_max: 1 << 20,
    fragments_max: 1 << 17,
};

fn agreed(window: &str) -> Deflate {
    Deflate {
        own_window: WindowBits::parse(window).unwrap(),
        peer_keeps_context: false,
    }
}

fn inflater() -> Inflater {
    agreed("15").inflater()
}

/// What another compressor makes of `bytes`, without the tail; `finish` sets the bit of the last block.
fn compressed_by_another(level: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() * 2 + 100);
    Compress::new(Compression::new(level), false)
        .compress_vec(bytes, &mut out, FlushCompress::Sync)
        .unwrap();
    assert!(out.ends_with(&[0, 0, 0xFF, 0xFF]));
    out.truncate(out.len() - 4);
    out
}

/// Our compressed form of `bytes`, which are at least as many as are worth while; `None` if it is not shorter.
fn compressed(deflater: &mut Deflater, deflate: Deflate, bytes: &[u8]) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    deflater
        .deflate(deflate, OpCode::Binary, bytes, None, &mut frame)
        .then(|| {
            assert_eq!(frame[0], 0xC2, "FIN, RSV1, binary");
            let header_len = match frame[1] {
                126 => 4,
                127 => 10,
                _ => 2,
            };
            frame[header_len..].to_vec()
        })
}

#[test]
fn ex_03_window_bits_are_8_to_15_in_decimal() {
    const RIGHT: [&str; 8] = ["8", "9", "10", "11", "12", "13", "14", "15"];
    let judge = |value: &str| {
        let expected = (8..=15).zip(RIGHT).find(|(_, it)| *it == value);
        let bits = WindowBits::parse(value).map(WindowBits::get);
        assert_eq!(bits, expected.map(|(bits, _)| bits), "{value:?}");
    };
    judge("");
    for a in 0..=127 {
        judge(str::from_utf8(&[a]).unwrap());
        for b in 0..=127 {
            judge(str::from_utf8(&[a, b]).unwrap());
            for c in b"0123456789 \"\0.-+e_" {
                judge(str::from_utf8(&[a, b, *c]).unwrap());
            }
        }
    }
    for value in [
        "0010",
        "00008",
        "8.00",
        "eight",
        "８",
        "４２９４９６７３０４",
    ] {
        judge(value);
    }
}

/// Text with a repetition at every distance up to 40,000, the same again and again, and noise.
fn samples() -> Vec<Vec<u8>> {
    let mut noise = 1_u32;
    let mut random = |len: usize| -> Vec<u8> {
        (0..len)
            .map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                noise.to_be_bytes()[0]
            })
            .collect()
    };
    let mut samples = vec![b"abc".repeat(1000), vec![0; 100_000]];
    for distance in [
        250, 251, 256, 257, 300, 512, 600, 1024, 5000, 20_000, 40_000,
    ] {
        let block = random(distance);
        samples.push([&block[..], &block, &block].concat());
        let words = random(distance)
            .iter()
            .map(|it| it % 16 + b'a')
            .collect::<Vec<_>>();
        samples.push([&words[..], &words[3..], &words].concat());
    }
    samples
}

#[test]
fn ex_04_no_distance_is_beyond_the_window_that_was_agreed_on() {
    let mut deflater = Deflater::default();
    for bits in 8..=15 {
        let deflate = agreed(&bits.to_string());
        // The slow inflater takes its time, and what lies much farther back than the window shows nothing more.
        let longest_len = 3000_usize.max(8 << bits);
        for sample in samples().into_iter().filter(|it| it.len() <= longest_len) {
            let Some(data) = compressed(&mut deflater, deflate, &sample) else {
                continue;
            };
            let inflated = naive::inflate(&data, &[]).expect("a valid message");
            assert!(inflated.bytes == sample);
            assert!(
                inflated.distance_max <= 1 << bits,
                "{} with a window of {bits} bits",
                inflated.distance_max
            );
        }
    }
}

#[test]
fn ex_09_the_examples_of_the_rfc_are_inflated() {
    let mut inflater = inflater();
    for (example, data) in [
        ("7.2.3.1 one block", &b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..]),
        (
            "7.2.3.3 a block without compression",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
        ),
        ("7.2.3.4 a last block", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
        (
            "the same without what follows it",
            b"\xf3\x48\xcd\xc9\xc9\x07\x00",
        ),
        (
            "7.2.3.5 two blocks",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
        ),
    ] {
        assert_eq!(
            inflater.inflate(data, &LIMITS),
            Ok(&b"Hello"[..]),
            "{example}"
        );
    }
    for (example, data) in [
        ("7.2.3.6 an empty message", &b"\x00"[..]),
        ("an empty last block", b"\x03\x00"),
    ] {
        assert_eq!(inflater.inflate(data, &LIMITS), Ok(&b""[..]), "{example}");
    }
}

#[test]
fn ex_09_a_message_may_refer_to_the_one_before_if_that_was_agreed_on() {
    let first = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    // RFC 7692 7.2.3.2: the same again, as a reference to it.
    let second = b"\xf2\x00\x11\x00\x00";
    let mut inflater = Deflate {
        peer_keeps_context: true,
        ..agreed("15")
    }
    .inflater();
    for data in [&first[..], second, second, first, second] {
        assert_eq!(inflater.inflate(data, &LIMITS), Ok(&b"Hello"[..]));
    }
    let mut inflater = self::inflater();
    assert_eq!(inflater.inflate(first, &LIMITS), Ok(&b"Hello"[..]));
    assert_eq!(
        inflater.inflate(second, &LIMITS),
        Err(ProtocolError::CorruptCompression)
    );
    // That was the end for one peer, and the next one does not notice.
    assert_eq!(inflater.inflate(first, &LIMITS), Ok(&b"Hello"[..]));
}

#[test]
fn ex_09_a_context_reaches_back_over_many_messages() {
    let deflate = Deflate {
        peer_keeps_context: true,
        ..agreed("15")
    };
    let mut inflater = deflate.inflater();
    let mut compress = Compress::new(Compression::new(6), false);
    for number in 0..200 {
        let message = format!("message {number} ").repeat(number * 7 + 1);
        let mut data = Vec::with_capacity(message.len() + 100);
        compress
            .compress_vec(message.as_bytes(), &mut data, FlushCompress::Sync)
            .unwrap();
        data.truncate(data.len() - 4);
        assert_eq!(inflater.inflate(&data, &LIMITS), Ok(message.as_bytes()));
    }
}

#[test]
fn ex_07_the_limit_is_exact_whatever_the_message_is() {
    let mut inflater = inflater();
    for limit in [
        1_usize,
        100,
        4096,
        16 << 10,
        (16 << 10) + 1,
        65_536,
        1 << 20,
    ] {
        let limits = MessageLimits {
            message_bytes_max: limit as u64,
            ..LIMITS
        };
        for level in [0, 1, 9] {
            let fitting = vec![7; limit];
            let data = compressed_by_another(level, &fitting);
            assert!(
                inflater.inflate(&data, &limits) == Ok(&fitting[..]),
                "{limit}"
            );
            let data = compressed_by_another(level, &vec![7; limit + 1]);
            assert_eq!(
                inflater.inflate(&data, &limits),
                Err(ProtocolError::MessageTooBig),
                "{limit}"
            );
        }
    }
}

#[test]
fn ex_08_what_is_cut_or_damaged_is_corrupt() {
    let text = "a text that is said again, is said again, and then something else".repeat(3);
    let mut inflater = inflater();
    for level in [0, 1, 6] {
        let data = compressed_by_another(level, text.as_bytes());
        assert_eq!(inflater.inflate(&data, &LIMITS), Ok(text.as_bytes()));
        // The last byte ends the last block, and may be the beginning of what was left out.
        for cut in 1..data.len() - 1 {
            let inflated = inflater.inflate(&data[..cut], &LIMITS).is_ok();
            // An empty message is right, and so is a block without compression that lacks just the tail.
            let is_right = naive::inflate(&data[..cut], &[]).is_some();
            assert_eq!(inflated, is_right, "{cut} of {} at {level}", data.len());
            assert!(!is_right || level == 0);
        }
        for more in [&b"\xff"[..], b"\x06", b"garbage", b"\x00\x00\x00\xff"] {
            let data = [&data[..], more].concat();
            assert!(inflater.inflate(&data, &LIMITS).is_err(), "{more:?}");
        }
    }
    for bad in [
        &b"\x07"[..],
        b"\xff\xff\xff",
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\xff\x00",
    ] {
        assert_eq!(
            inflater.inflate(bad, &LIMITS),
            Err(ProtocolError::CorruptCompression),
            "{bad:02x?}"
        );
    }
}

#[test]
fn ex_08_data_that_says_nothing_is_soon_given_up() {
    let mut inflater = inflater();
    for block in [
        // An empty block without compression, four empty ones with the fixed code, and a last one.
        &b"\x00\x00\x00\xff\xff"[..],
        b"\x02\x08\x20\x80\x00",
        b"\x03\x00",
    ] {
        let data = block.repeat((1 << 20) / block.len());
        assert_eq!(
            inflater.inflate(&data, &LIMITS),
            Err(ProtocolError::WastefulCompression),
            "{block:02x?}"
        );
        assert!(inflater.step_count() <= 4100, "{}", inflater.step_count());
    }
    // Whoever flushes behind each byte is clumsy and nothing worse.
    let mut data = Vec::with_capacity(1 << 20);
    let mut compress = Compress::new(Compression::new(1), false);
    for byte in 0..20_000_u32 {
        let byte = byte.to_le_bytes()[0];
        compress
            .compress_vec(&[byte], &mut data, FlushCompress::Sync)
            .unwrap();
    }
    data.truncate(data.len() - 4);
    assert_eq!(
        inflater.inflate(&data, &LIMITS).map(<[u8]>::len),
        Ok(20_000)
    );
}

#[test]
fn ex_07_a_bomb_costs_no_more_steps_than_the_limit() {
    let bomb = compressed_by_another(1, &vec![0; 8 << 20]);
    assert!(bomb.len() < 200_000);
    let mut inflater = inflater();
    assert_eq!(
        inflater.inflate(&bomb, &LIMITS),
        Err(ProtocolError::MessageTooBig)
    );
    assert!(inflater.step_count() < 10, "{}", inflater.step_count());
}

/// What a server's reader makes of the beginning of one compressed frame that announces `payload`, given in pieces of
/// `piece_len`; and how much it held at most between two of them.
fn assemble(payload: &[u8], piece_len: usize) -> (Result<Option<Vec<u8>>, ProtocolError>, usize) {
    let mut bytes = Vec::new();
    encode_masked_frame(&mut bytes, OpCode::Binary, &[payload], [9, 8, 7, 6]);
    bytes[0] |= 0x40;
    let mut reader = MessageReader::with_deflate(Role::Server, Some(agreed("15")));
    let mut shared = inflater();
    let mut held_max = 0;
    for piece in bytes.chunks_mut(piece_len) {
        match reader.next_inflating(&mut &mut *piece, &LIMITS, Some(&mut shared)) {
            Ok(None) => {}
            Ok(Some(Incoming::Message(message))) => {
                return (Ok(Some(message.payload().to_vec())), held_max);
            }
            Ok(Some(other)) => panic!("{other:?}"),
            Err(error) => return (Err(error), held_max),
        }
        held_max = held_max.max(reader.held_len());
    }
    (Ok(None), held_max)
}

#[test]
fn ex_07_a_bomb_that_comes_in_pieces_is_found_by_its_beginning() {
    let bomb = compressed_by_another(1, &vec![0; 16 << 20]);
    assert!(bomb.len() > 64 << 10);
    for piece_len in [100, 4096, 17 << 10, 50 << 10] {
        let (judged, held_max) = assemble(&bomb, piece_len);
        assert_eq!(judged, Err(ProtocolError::MessageTooBig), "{piece_len}");
        assert!(held_max <= 33 << 10, "{held_max} at {piece_len}");
    }
}

#[test]
fn ex_07_a_long_message_in_pieces_holds_what_it_says_and_not_what_came_too() {
    let noise: Vec<u8> = (0_u32..200_000)
        .map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()[0])
        .collect();
    let data = compressed_by_another(1, &noise);
    assert!(data.len() > 16 << 10);
    for piece_len in [1000, 64 << 10] {
        let (message, held_max) = assemble(&data, piece_len);
        assert!(message == Ok(Some(noise.clone())), "{piece_len}");
        assert!(held_max <= noise.len() + (64 << 10), "{held_max}");
    }
    let cut = assemble(&data[..data.len() - 1000], 1000).0;
    assert_eq!(cut, Err(ProtocolError::CorruptCompression));
}

#[test]
fn ex_10_short_messages_and_those_that_gain_nothing_go_as_they_are() {
    let mut deflater = Deflater::default();
    let deflate = agreed("15");
    assert_eq!(compressed(&mut deflater, deflate, &[b'a'; 255]), None);
    assert!(compressed(&mut deflater, deflate, &[b'a'; 256]).is_some());
    let noise = &samples()[2][..250];
    let noise: Vec<u8> = [noise, &noise[..6]].concat();
    assert_eq!(compressed(&mut deflater, deflate, &noise), None);
    let tally = deflater.tally();
    assert_eq!((tally.message_count, tally.bytes_before), (2, 512));
    assert!(tally.bytes_after < 256 + 20, "{tally:?}");
}

#[test]
fn frames_in_a_row_keep_their_order_and_some_are_compressed() {
    let long = b"long ".repeat(100);
    let mut plain = Vec::new();
    encode_frame(&mut plain, OpCode::Text, &[b"short"]);
    encode_frame(&mut plain, OpCode::Text, &[&long]);
    encode_frame(&mut plain, OpCode::Ping, &[b"?"]);
    let mut deflater = Deflater::default();
    let frames = deflater
        .deflate_frames(agreed("12"), &EncodedFrame::from_vec(plain))
        .unwrap();
    assert!(frames.len() < 100);
    let mut bytes = frames.as_bytes().to_vec();
    let heard = read_all(Role::Client, vec![&mut bytes]).unwrap();
    let text = |bytes: &[u8]| format!("Text {}", String::from_utf8_lossy(bytes));
    assert_eq!(heard, [text(b"short"), text(&long), "Ping".into()]);
    let mut short = Vec::new();
    encode_frame(&mut short, OpCode::Text, &[&[b'a'; 200]]);
    encode_frame(&mut short, OpCode::Text, &[&[b'a'; 200]]);
    let short = EncodedFrame::from_vec(short);
    assert!(deflater.deflate_frames(agreed("12"), &short).is_none());
}

/// The whole frame of a message that begins like this, if its rest is worth while compressing.
fn frame_with_beginning(
    deflater: &mut Deflater,
    window: &str,
    beginning: &[u8],
    rest: &[u8],
) -> Option<Vec<u8>> {
    let compressed = deflater.deflate_rest(agreed(window), rest)?;
    let mut frame = b"before".to_vec();
    compressed.write_header(OpCode::Text, beginning.len(), &mut frame);
    frame.extend_from_slice(beginning);
    frame.extend_from_slice(compressed.bytes().as_bytes());
    Some(frame.split_off(6))
}

#[test]
fn ex_10_one_compressed_rest_goes_behind_every_beginning() {
    let mut deflater = Deflater::default();
    let rest = "the same for all of them, and all of that again; ".repeat(10);
    for beginning in ["", "{", "{\"sequenceId\":18446744073709551615,"] {
        let mut frame =
            frame_with_beginning(&mut deflater, "15", beginning.as_bytes(), rest.as_bytes())
                .unwrap();
        assert_eq!(frame[0], 0xC1, "FIN, RSV1, text");
        assert!(frame.len() < rest.len() / 2);
        assert_eq!(frame_len_at(&frame), frame.len());
        let heard = read_all(Role::Client, vec![&mut frame]).unwrap();
        assert_eq!(heard, [format!("Text {beginning}{rest}")]);
    }
    let deflate = agreed("15");
    assert!(deflater.deflate_rest(deflate, &[b'a'; 255]).is_none());
    assert!(deflater.deflate_rest(deflate, &[b'a'; 256]).is_some());
    let noise = &samples()[2][..250];
    let noise = [noise, &noise[..6]].concat();
    assert!(deflater.deflate_rest(deflate, &noise).is_none());
    assert_eq!(deflater.tally().message_count, 5);
}

/// Everything that a reader finds, in words, or the first error.
fn read_all(role: Role, inputs: Vec<&mut [u8]>) -> Result<Vec<String>, ProtocolError> {
    let deflate = agreed("15");
    let mut reader = MessageReader::with_deflate(role, Some(deflate));
    let mut inflater = deflate.inflater();
    let mut heard = Vec::new();
    for mut input in inputs {
        while let Some(incoming) =
            reader.next_inflating(&mut input, &LIMITS, Some(&mut inflater))?
        {
            heard.push(match incoming {
                Incoming::Message(Message::Text(text)) => format!("Text {}", text.as_str()),
                Incoming::Message(Message::Binary(bytes)) => format!("Binary {bytes:?}"),
                Incoming::Ping(_) => "Ping".into(),
                Incoming::Pong(_) => "Pong".into(),
                Incoming::Close(_) => "Close".into(),
            });
        }
    }
    Ok(heard)
}

/// A frame of a client with any first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_masked_frame(&mut out, OpCode::Binary, &[payload], [1, 2, 3, 4]);
    out[0] = first;
    out
}

/// What is heard of `bytes` whole, cut everywhere, and byte by byte, which must be the same.
fn heard(bytes: &[u8]) -> Result<Vec<String>, ProtocolError> {
    let whole = read_all(Role::Server, vec![&mut bytes.to_vec()]);
    let mut copy = bytes.to_vec();
    let single = read_all(Role::Server, copy.chunks_mut(1).collect());
    assert_eq!(single, whole, "byte by byte");
    for cut in 0..bytes.len() {
        let mut copy = bytes.to_vec();
        let (front, back) = copy.split_at_mut(cut);
        assert_eq!(
            read_all(Role::Server, vec![front, back]),
            whole,
            "cut at {cut}"
        );
    }
    whole
}

const HELLO: &[u8] = b"\xf2\x48\xcd\xc9\xc9\x07\x00";

#[test]
fn ex_06_compressed_and_plain_messages_alternate_whole_and_in_fragments() {
    let bytes = [
        frame(0xC1, HELLO),
        frame(0x81, b"plain"),
        frame(0x41, &HELLO[..3]),
        frame(0x89, b""),
        frame(0x00, b""),
        frame(0x80, &HELLO[3..]),
        frame(0x01, b"in "),
        frame(0x80, b"parts"),
        frame(0x41, b""),
        frame(0x80, HELLO),
        frame(0xC1, b"\x00"),
        frame(0xC2, HELLO),
    ]
    .concat();
    let expected = [
        "Text Hello",
        "Text plain",
        "Ping",
        "Text Hello",
        "Text in parts",
        "Text Hello",
        "Text ",
        "Binary [72, 101, 108, 108, 111]",
    ];
    assert_eq!(heard(&bytes), Ok(expected.map(String::from).to_vec()));
}

#[test]
fn ex_06_the_bit_is_refused_wherever_it_means_nothing() {
    for before in [vec![], frame(0x41, HELLO), frame(0x01, b"begun")] {
        for first in [
            0x40, 0xC0, 0xC8, 0xC9, 0xCA, 0x43, 0xC3, 0xCB, 0xE1, 0xD1, 0xF2,
        ] {
            let bytes = [before.clone(), frame(first, b"")].concat();
            assert_eq!(
                heard(&bytes),
                Err(ProtocolError::ReservedBitSet),
                "{first:#04x}"
            );
        }
    }
    // A second message inside the first one, whatever it looks like.
    for first in [0x41, 0x01] {
        let bytes = [frame(first, b""), frame(0xC1, HELLO)].concat();
        assert_eq!(heard(&bytes), Err(ProtocolError::InterruptedMessage));
    }
    // Nothing was agreed on.
    let mut reader = MessageReader::new(Role::Server);
    let mut bytes = frame(0xC1, HELLO);
    assert_eq!(
        reader.next(&mut &mut bytes[..], &LIMITS),
        Err(ProtocolError::ReservedBitSet)
    );
}

#[test]
fn ex_08_text_that_is_not_utf_8_inside_is_invalid() {
    let data = compressed_by_another(1, b"caf\xC3");
    for frames in [
        frame(0xC1, &data),
        [frame(0x41, &data[..2]), frame(0x80, &data[2..])].concat(),
    ] {
        assert_eq!(heard(&frames), Err(ProtocolError::InvalidUtf8));
    }
    assert!(heard(&frame(0xC2, &data)).is_ok());
}

proptest! {
    #[test]
    fn ex_09_what_is_compressed_here_another_inflates(
        parts in prop::collection::vec(("[a-e]{1,12}", 1_usize..40), 1..40),
        bits in 8_u8..=15,
    ) {
        let bytes: Vec<u8> = parts.iter().flat_map(|(text, count)| text.repeat(*count).into_bytes()).collect();
        let mut deflater = Deflater::default();
        if let Some(data) = compressed(&mut deflater, agreed(&bits.to_string()), &bytes) {
            let inflated = naive::inflate(&data, &[]).unwrap();
            prop_assert_eq!(&inflated.bytes, &bytes);
            prop_assert!(inflated.distance_max <= 1 << bits);
            prop_assert!(inflater().inflate(&data, &LIMITS) == Ok(&bytes[..]));
        }
    }

    #[test]
    fn ex_09_a_beginning_and_its_rest_are_one_message_for_another(
        parts in prop::collection::vec(("[a-e]{1,12}", 1_usize..40), 1..40),
        beginning in "[a-e]{0,300}",
        bits in 8_u8..=15,
    ) {
        let rest: Vec<u8> = parts.iter().flat_map(|(text, count)| text.repeat(*count).into_bytes()).collect();
        let mut deflater = Deflater::default();
        let frame = frame_with_beginning(&mut deflater, &bits.to_string(), beginning.as_bytes(), &rest);
        if let Some(mut frame) = frame {
            frame[0] &= !0x40;
            let (_, header_len) = FrameHeader::parse(&frame, Role::Client).unwrap().unwrap();
            let data = &frame[header_len..];
            let inflated = naive::inflate(data, &[]).unwrap();
            prop_assert_eq!(inflated.bytes, [beginning.as_bytes(), &rest].concat());
            prop_assert!(inflated.distance_max <= 1 << bits);
            // Nothing refers to the beginning.
            let alone = naive::inflate(&data[5 + beginning.len()..], &[]).unwrap();
            prop_assert_eq!(alone.bytes, rest);
        }
    }

    #[test]
    fn ex_09_what_another_compresses_is_inflated_here(
        bytes in prop::collection::vec(prop::sample::select(b"abc\0\xff".to_vec()), 0..2000),
        level in 0_u32..=9,
    ) {
        let data = compressed_by_another(level, &bytes);
        prop_assert!(inflater().inflate(&data, &LIMITS) == Ok(&bytes[..]));
    }

    #[test]
    fn ex_08_pieces_are_judged_as_the_whole(
        chunks in proptest::collection::vec(prop_oneof![
            Just(compressed_by_another(1, b"a text, and again a text")),
            Just(b"\x00\x00\x00\xFF\xFF".repeat(700)),
            Just(compressed_by_another(0, &[7; 3000])),
            Just(compressed_by_another(9, &[0; 30_000])),
            proptest::collection::vec(any::<u8>(), 0..4),
        ], 0..6),
        cuts in proptest::collection::vec(0_usize..20_000, 0..5),
    ) {
        let data = chunks.concat();
        let limits = MessageLimits { message_bytes_max: 40_000, ..LIMITS };
        let whole = inflater().inflate(&data, &limits).map(<[u8]>::to_vec);
        let mut bounds: Vec<_> = cuts.iter().map(|cut| *cut.min(&data.len())).collect();
        bounds.extend([0, data.len()]);
        bounds.sort_unstable();
        let mut inflater = inflater();
        inflater.begin().unwrap();
        let mut pieces = bounds.windows(2).map(|bounds| &data[bounds[0]..bounds[1]]);
        let parts = pieces
            .try_for_each(|piece| inflater.go_on(piece, &limits))
            .and_then(|()| inflater.finish(&limits).map(<[u8]>::to_vec));
        prop_assert_eq!(parts, whole);
    }

    #[test]
    fn ex_08_any_bytes_are_judged_as_the_slow_one_does(
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        // A last block ends what we read, and the slow one goes on: it is not for judging that.
        if let Ok(inflated) = inflater().inflate(&bytes, &LIMITS)
            && let Some(naive) = naive::inflate(&bytes, &[])
        {
            prop_assert_eq!(inflated, &naive.bytes[..]);
        }
    }
}
