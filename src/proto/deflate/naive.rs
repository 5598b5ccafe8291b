//! A slow inflater that is easy to check against RFC 1951, for the tests: it knows how far back data refers.

/// What became of compressed data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inflated {
    pub(super) bytes: Vec<u8>,
    /// The farthest that anything refers back.
    pub(super) distance_max: usize,
}

/// Inflates blocks until the data ends at the border of one, which is where a message without its tail ends; `None` if it
/// does not.
pub(super) fn inflate(compressed: &[u8], history: &[u8]) -> Option<Inflated> {
    let tail = [0, 0, 0xFF, 0xFF];
    let data = [compressed, &tail].concat();
    let mut bits = Bits { data: &data, at: 0 };
    let mut bytes = history.to_vec();
    let mut distance_max = 0;
    while bits.at < data.len() * 8 {
        let _is_last = bits.take(1)?;
        match bits.take(2)? {
            0 => {
                bits.at = bits.at.next_multiple_of(8);
                let (len, check) = (bits.take(16)?, bits.take(16)?);
                if len != !check & 0xFFFF {
                    return None;
                }
                for _ in 0..len {
                    bytes.push(u8::try_from(bits.take(8)?).unwrap());
                }
            }
            kind @ 1..=2 => {
                let (literals, distances) = if kind == 1 {
                    fixed()
                } else {
                    dynamic(&mut bits)?
                };
                let farthest = inflate_block(&mut bits, &literals, &distances, &mut bytes)?;
                distance_max = distance_max.max(farthest);
            }
            _ => return None,
        }
    }
    bytes.drain(..history.len());
    Some(Inflated {
        bytes,
        distance_max,
    })
}

fn inflate_block(
    bits: &mut Bits<'_>,
    literals: &Code,
    distances: &Code,
    bytes: &mut Vec<u8>,
) -> Option<usize> {
    const LENGTHS: [usize; 29] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115,
        131, 163, 195, 227, 258,
    ];
    let mut distance_max = 0;
    loop {
        let symbol = literals.take(bits)?;
        match symbol {
            0..=255 => bytes.push(u8::try_from(symbol).unwrap()),
            256 => return Some(distance_max),
            _ => {
                let index = symbol - 257;
                let extra = if (8..28).contains(&index) {
                    index / 4 - 1
                } else {
                    0
                };
                let len = LENGTHS.get(index)? + bits.take(extra)?;
                let symbol = distances.take(bits)?;
                let distance = match symbol {
                    0..=3 => symbol + 1,
                    4..=29 => {
                        let extra = symbol / 2 - 1;
                        ((2 + symbol % 2) << extra) + 1 + bits.take(extra)?
                    }
                    _ => return None,
                };
                distance_max = distance_max.max(distance);
                let from = bytes.len().checked_sub(distance)?;
                for index in from..from + len {
                    bytes.push(bytes[index]);
                }
            }
        }
    }
}

fn fixed() -> (Code, Code) {
    let lens: Vec<usize> = (0..288)
        .map(|symbol| match symbol {
            0..=143 => 8,
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        })
        .collect();
    (Code::new(&lens), Code::new(&[5; 30]))
}

fn dynamic(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    const ORDER: [usize; 19] = [
        16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
    ];
    let literal_count = bits.take(5)? + 257;
    let distance_count = bits.take(5)? + 1;
    let len_count = bits.take(4)? + 4;
    let mut lens = [0; 19];
    for &symbol in &ORDER[..len_count] {
        lens[symbol] = bits.take(3)?;
    }
    let code = Code::new(&lens);
    let mut lens = Vec::new();
    while lens.len() < literal_count + distance_count {
        match code.take(bits)? {
            16 => {
                let last = *lens.last()?;
                let count = 3 + bits.take(2)?;
                lens.extend(std::iter::repeat_n(last, count));
            }
            17 => {
                let count = 3 + bits.take(3)?;
                lens.extend(std::iter::repeat_n(0, count));
            }
            18 => {
                let count = 11 + bits.take(7)?;
                lens.extend(std::iter::repeat_n(0, count));
            }
            len => lens.push(len),
        }
    }
    let (literals, distances) = lens.split_at(literal_count);
    Some((Code::new(literals), Code::new(distances)))
}

/// A prefix code: by length and bits, the symbol.
struct Code(std::collections::HashMap<(usize, usize), usize>);

impl Code {
    /// The code in which symbol `n` has `lens[n]` bits (RFC 1951 3.2.2).
    fn new(lens: &[usize]) -> Self {
        let mut symbols = std::collections::HashMap::new();
        let mut code = 0;
        for len in 1..=15 {
            for (symbol, _) in lens.iter().enumerate().filter(|(_, it)| **it == len) {
                symbols.insert((len, code), symbol);
                code += 1;
            }
            code <<= 1;
        }
        Self(symbols)
    }

    fn take(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let mut code = 0;
        for len in 1..=15 {
            code = code << 1 | bits.take(1)?;
            if let Some(&symbol) = self.0.get(&(len, code)) {
                return Some(symbol);
            }
        }
        None
    }
}

struct Bits<'a> {
    data: &'a [u8],
    /// In bits.
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, the first one as the lowest.
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for place in 0..count {
            let byte = *self.data.get(self.at / 8)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << place;
            self.at += 1;
        }
        Some(value)
    }
}
