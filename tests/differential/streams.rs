//! Streams of frames as clients send them, good ones and spoilt ones, each made up from a number.

/// A source of numbers that look random and are the same in each run (xorshift*).
pub(crate) struct Random(u64);

impl Random {
    /// The numbers that belong to `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // The state must not be 0, and near seeds must not give near numbers.
        Self((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).expect("31 bits") % end
    }

    /// True once in `count` times.
    fn is_one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn byte(&mut self) -> u8 {
        self.below(256).to_le_bytes()[0]
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A stream of up to six messages and control frames; every other one is spoilt somewhere.
pub(crate) fn stream(random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..=random.below(6) {
        match random.below(16) {
            0..=4 => message(&mut out, 1, random),
            5..=7 => message(&mut out, 2, random),
            8..=10 => fragments(&mut out, random),
            11 | 12 => control(&mut out, 0x89, random),
            13 => control(&mut out, 0x8a, random),
            14 => close(&mut out, random),
            _ => anything(&mut out, random),
        }
    }
    if random.is_one_in(2) {
        for _ in 0..=random.below(3) {
            spoil(&mut out, random);
        }
    }
    out
}

/// Appends one masked frame; `len_form` is how many bytes beyond the shortest form its length gets.
pub(crate) fn frame(out: &mut Vec<u8>, first: u8, payload: &[u8], key: [u8; 4], len_form: LenForm) {
    out.push(first);
    let len = payload.len();
    match (len_form, u8::try_from(len), u16::try_from(len)) {
        (LenForm::Shortest, Ok(len @ ..=125), _) => out.push(0x80 | len),
        (LenForm::Shortest | LenForm::TwoBytes, _, Ok(len)) => {
            out.push(0x80 | 126);
            out.extend_from_slice(&len.to_be_bytes());
        }
        _ => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(
        payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(byte, key)| byte ^ key),
    );
}

/// How the length of a payload is written.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum LenForm {
    /// As the RFC wants it.
    Shortest,
    /// In 16 bits at least.
    TwoBytes,
    /// In 64 bits.
    EightBytes,
}

/// One message in one frame.
fn message(out: &mut Vec<u8>, opcode: u8, random: &mut Random) {
    let payload = payload(opcode, random);
    let len_form = match random.below(64) {
        0 => LenForm::TwoBytes,
        1 => LenForm::EightBytes,
        _ => LenForm::Shortest,
    };
    let key = key(random);
    frame(out, 0x80 | opcode, &payload, key, len_form);
}

/// One message in up to six frames, perhaps with control frames between them.
fn fragments(out: &mut Vec<u8>, random: &mut Random) {
    let opcode = random.pick(&[1, 1, 2]);
    let payload = payload(opcode, random);
    let mut rest = &payload[..];
    let mut first = opcode;
    for _ in 0..random.below(5) {
        let (piece, behind) = rest.split_at(random.below(rest.len() + 1));
        rest = behind;
        let key = key(random);
        frame(out, first, piece, key, LenForm::Shortest);
        first = 0;
        if random.is_one_in(4) {
            control(out, 0x89, random);
        }
    }
    let key = key(random);
    frame(out, 0x80 | first, rest, key, LenForm::Shortest);
}

/// A ping or a pong.
fn control(out: &mut Vec<u8>, first: u8, random: &mut Random) {
    let len = random.pick(&[0, 0, 1, 5, 124, 125, 126]);
    let payload: Vec<_> = (0..len).map(|_| random.byte()).collect();
    let key = key(random);
    frame(out, first, &payload, key, LenForm::Shortest);
}

/// A Close, whose code is good more often than not.
fn close(out: &mut Vec<u8>, random: &mut Random) {
    let code: u16 = random.pick(&[
        1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 4999, 0, 999, 1004, 1005, 1006, 1015, 1016,
        2999, 5000, 65535,
    ]);
    let mut payload = code.to_be_bytes().to_vec();
    match random.below(6) {
        0 => payload.clear(),
        1 => payload.truncate(1),
        2 => payload.extend_from_slice("bye \u{1F44B}".as_bytes()),
        3 => payload.extend(text(random, 8)),
        _ => {}
    }
    let key = key(random);
    frame(out, 0x88, &payload, key, LenForm::Shortest);
}

/// Any header, with a payload that may be shorter than it says.
fn anything(out: &mut Vec<u8>, random: &mut Random) {
    out.extend((0..2 + random.below(12)).map(|_| random.byte()));
}

/// A payload for a data frame; that of a text is text, mostly.
fn payload(opcode: u8, random: &mut Random) -> Vec<u8> {
    let len = match random.below(400) {
        0 => random.pick(&[65_535, 65_536, 65_537]),
        1..=40 => random.pick(&[0, 124, 125, 126, 127, 128, 129]),
        _ => random.below(24),
    };
    if opcode == 1 {
        text(random, len)
    } else {
        (0..len).map(|index| index.to_le_bytes()[0]).collect()
    }
}

/// About `len` bytes of text, one in a dozen times with something in it that is none.
fn text(random: &mut Random, len: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(len + 4);
    while text.len() < len {
        let piece = random.pick(&[
            "a",
            "b c",
            "\u{0}",
            "é",
            "€",
            "\u{FFFF}",
            "😀",
            "\u{10FFFF}",
        ]);
        text.extend_from_slice(piece.as_bytes());
    }
    if random.is_one_in(12) {
        let bad: &[u8] = random.pick(&[
            b"\xff",
            b"\x80",
            b"\xc0\x80",
            b"\xed\xa0\x80",
            b"\xf4\x90\x80\x80",
            b"\xe2\x82",
            b"\xf0\x9f\x98",
        ]);
        let at = random.below(text.len() + 1);
        text.splice(at..at, bad.iter().copied());
    }
    text
}

fn key(random: &mut Random) -> [u8; 4] {
    std::array::from_fn(|_| random.byte())
}

/// Changes, removes, repeats or cuts off a part of a stream.
fn spoil(out: &mut Vec<u8>, random: &mut Random) {
    if out.is_empty() {
        return;
    }
    // Headers are what is worth changing, and the first is always at the start.
    let at = if random.is_one_in(4) {
        random.below(out.len().min(4))
    } else {
        random.below(out.len())
    };
    match random.below(6) {
        0 | 1 => out[at] ^= 1 << random.below(8),
        2 => out[at] = random.byte(),
        3 => out.truncate(at),
        4 => drop(out.drain(at..(at + 1 + random.below(6)).min(out.len()))),
        _ => {
            let end = (at + 1 + random.below(12)).min(out.len());
            let copy = out[at..end].to_vec();
            out.splice(at..at, copy);
        }
    }
}
