//! Compressed messages from any bytes: no more comes out than may, for no more work than goes in, whatever the cut.
//!
//! | Byte | Meaning |
//! |---|---|
//! | 0 | bit 0: the server keeps its context; bit 1: binary; bit 2: messages are cut in two fragments; rest: where |
//! | 1, 2 | how many bytes of compressed data follow, the lower byte first; then the next message |

use switchboard::proto::{
    Deflate, Incoming, MessageLimits, MessageReader, ProtocolError, Role, WindowBits,
};

/// Small, so that short inputs reach it.
const LIMITS: MessageLimits = MessageLimits {
    message_bytes_max: 20_000,
    fragments_max: 4,
};

/// A step ends with a block that says to be the last, if with nothing else; the shortest one has two bytes.
const BLOCK_LEN_MIN: usize = 2;

/// What the reader may need besides: for the end of a message, and for a message that fills its memory more than once.
const FREE_STEPS: usize = 8;

/// Checks one input.
///
/// # Panics
///
/// If a message is longer than its limit, takes more work than its data can cost, or depends on how it is cut.
pub(crate) fn check(data: &[u8]) {
    let Some((&mode, mut rest)) = data.split_first() else {
        return;
    };
    let mut messages = Vec::new();
    while let Some((&len, more)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(len)).min(more.len());
        let (message, behind) = more.split_at(len);
        messages.push(message);
        rest = behind;
    }
    let whole = read(mode, &messages, false);
    let byte_by_byte = read(mode, &messages, true);
    assert_eq!(whole, byte_by_byte, "a cut changes what is read");
}

/// What is read of the messages, and the first error.
fn read(mode: u8, messages: &[&[u8]], in_bytes: bool) -> (Vec<Vec<u8>>, Option<ProtocolError>) {
    let deflate = Deflate {
        own_window: WindowBits::MAX,
        peer_keeps_context: mode & 1 != 0,
    };
    let mut inflater = deflate.inflater();
    let mut reader = MessageReader::with_deflate(Role::Client, Some(deflate));
    let mut read = Vec::new();
    let mut longest_len = 0;
    for message in messages {
        longest_len = longest_len.max(message.len());
        let mut frames = frames_of(mode, message);
        let piece_len = if in_bytes { 1 } else { frames.len() };
        for mut piece in frames.chunks_mut(piece_len) {
            loop {
                let found = reader.next_inflating(&mut piece, &LIMITS, Some(&mut inflater));
                let found = match found {
                    Ok(Some(Incoming::Message(found))) => Ok(found.payload().to_vec()),
                    Ok(Some(other)) => panic!("{other:?} was not sent"),
                    Ok(None) => break,
                    Err(error) => Err(error),
                };
                // What was given up counts as well; it may be that the last one inflated was one before.
                let step_count = inflater.step_count();
                assert!(
                    step_count <= longest_len / BLOCK_LEN_MIN + FREE_STEPS,
                    "{step_count} steps for {longest_len} bytes"
                );
                match found {
                    Ok(payload) => {
                        assert!(payload.len() as u64 <= LIMITS.message_bytes_max);
                        read.push(payload);
                    }
                    Err(error) => return (read, Some(error)),
                }
            }
        }
    }
    (read, None)
}

/// The frames of one compressed message, as a server sends them.
fn frames_of(mode: u8, message: &[u8]) -> Vec<u8> {
    let opcode = if mode & 2 == 0 { 1 } else { 2 };
    if mode & 4 == 0 {
        return frame(0xC0 | opcode, message);
    }
    let cut = usize::from(mode >> 3).min(message.len());
    let (front, back) = message.split_at(cut);
    [frame(0x40 | opcode, front), frame(0x80, back)].concat()
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(len @ ..126) => frame.push(len),
        _ => {
            let len = u16::try_from(payload.len()).expect("two bytes give the length");
            frame.push(126);
            frame.extend(len.to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}
