//! Messages that differ in numbers only, so that making and checking one costs the generator next to nothing.

use switchboard::proto::{OpCode, apply_mask, encode_frame, encode_masked_frame};

/// A part of a message's text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece {
    /// The same in every message.
    Text(&'static str),
    /// The same letters in every message, this many bytes.
    Filler(usize),
    /// The number of the client that sends.
    Sender,
    /// The number of the client that is to receive.
    Receiver,
    /// Which message of its sender it is.
    Number,
}

/// A finished frame with places for numbers, which are text of constant length.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    frame: Vec<u8>,
    /// What number goes where; for a masked frame with the mask that lies over its first byte.
    places: Vec<(Piece, usize, [u8; 4])>,
}

/// Digits of the number of a client.
const CLIENT_DIGITS: usize = 5;
/// Digits of the number of a message.
const NUMBER_DIGITS: usize = 9;
/// A mask with four different bytes.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

impl Template {
    /// A text message as a client sends it.
    pub(crate) fn from_client(pieces: &[Piece]) -> Self {
        let mut frame = Vec::new();
        encode_masked_frame(&mut frame, OpCode::Text, &[text(pieces).as_bytes()], MASK);
        Self::new(frame, pieces, MASK)
    }

    /// A text message as a server sends it.
    pub(crate) fn from_server(pieces: &[Piece]) -> Self {
        let mut frame = Vec::new();
        encode_frame(&mut frame, OpCode::Text, &[text(pieces).as_bytes()]);
        Self::new(frame, pieces, [0; 4])
    }

    fn new(frame: Vec<u8>, pieces: &[Piece], mut mask: [u8; 4]) -> Self {
        let mut at = frame.len() - text(pieces).len();
        let mut places = Vec::new();
        for &piece in pieces {
            let len = text(&[piece]).len();
            if matches!(piece, Piece::Sender | Piece::Receiver | Piece::Number) {
                places.push((piece, at, mask));
            }
            mask.rotate_left(len % 4);
            at += len;
        }
        Self { frame, places }
    }

    /// The frame with its numbers.
    pub(crate) fn fill(&mut self, sender: usize, receiver: usize, number: u64) -> &[u8] {
        for &(piece, at, mask) in &self.places {
            let number = match piece {
                Piece::Sender => sender as u64,
                Piece::Receiver => receiver as u64,
                _ => number,
            };
            let place = &mut self.frame[at..at + digits(piece)];
            write_digits(place, number);
            apply_mask(place, mask, 0);
        }
        &self.frame
    }

    /// Bytes of the frame.
    pub(crate) fn len(&self) -> usize {
        self.frame.len()
    }
}

/// How many digits a number has; for text none.
fn digits(piece: Piece) -> usize {
    match piece {
        Piece::Sender | Piece::Receiver => CLIENT_DIGITS,
        Piece::Number => NUMBER_DIGITS,
        Piece::Text(_) | Piece::Filler(_) => 0,
    }
}

/// The text of a message whose numbers are all zero.
fn text(pieces: &[Piece]) -> String {
    let text_of = |piece: &Piece| match *piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Filler(len) => ('a'..='z').cycle().take(len).collect(),
        number => "0".repeat(digits(number)),
    };
    pieces.iter().map(text_of).collect()
}

fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).expect("one digit");
        number /= 10;
    }
}

/// The pieces of a text of `len` bytes that says who sends it and which of its messages it is.
pub(crate) fn numbered(len: usize) -> Vec<Piece> {
    let mut pieces = vec![Piece::Sender, Piece::Text(" "), Piece::Number];
    let rest = len
        .checked_sub(text(&pieces).len())
        .expect("room for the numbers");
    pieces.push(Piece::Filler(rest));
    pieces
}
