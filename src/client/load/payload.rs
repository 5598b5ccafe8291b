//! What is sent, so that whatever comes back can be judged by its number alone.

/// Digits of the number at the beginning of a payload that has room for it.
const NUMBER_LEN: usize = 16;
/// After how many numbers the rest of a payload is the same again.
const PERIOD: usize = 61;

/// Payloads of one length, each made of its number: printable characters, so that they can be text.
#[derive(Clone, Debug)]
pub(super) struct Payloads {
    len: usize,
    /// Every payload's rest is a part of this.
    pattern: Box<[u8]>,
}

impl Payloads {
    pub(super) fn new(len: usize) -> Self {
        const CHARACTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        // Of a length without a common divisor with the period, so that no two parts are alike.
        let pattern = CHARACTERS.iter().copied().cycle().take(len + PERIOD);
        Self {
            len,
            pattern: pattern.collect(),
        }
    }

    /// The payload with this number, in two parts.
    pub(super) fn parts(&self, number: u64) -> ([u8; NUMBER_LEN], &[u8]) {
        let mut digits = [0; NUMBER_LEN];
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(number >> (4 * place) & 15) as usize];
        }
        let begin = usize::try_from(number % PERIOD as u64).unwrap_or_default();
        (digits, &self.pattern[begin..begin + self.rest_len()])
    }

    /// The parts of a payload that are sent of those.
    pub(super) fn number_len(&self) -> usize {
        self.len - self.rest_len()
    }

    /// Whether `payload` is the one with this number, to the byte.
    pub(super) fn is(&self, payload: &[u8], number: u64) -> bool {
        let (digits, rest) = self.parts(number);
        payload
            .split_at_checked(self.number_len())
            .is_some_and(|(begin, end)| begin == &digits[..begin.len()] && end == rest)
    }

    /// The number that `payload` claims to have.
    pub(super) fn number(&self, payload: &[u8]) -> Option<u64> {
        if self.number_len() == 0 {
            return None;
        }
        u64::from_str_radix(str::from_utf8(payload.get(..NUMBER_LEN)?).ok()?, 16).ok()
    }

    /// Bytes behind the number; short payloads have none.
    fn rest_len(&self) -> usize {
        self.len.checked_sub(NUMBER_LEN).unwrap_or(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(payloads: &Payloads, number: u64) -> Vec<u8> {
        let (digits, rest) = payloads.parts(number);
        [&digits[..payloads.number_len()], rest].concat()
    }

    #[test]
    fn a_payload_is_text_of_its_length_and_of_one_number() {
        for len in [0, 1, 15, 16, 17, 64, 1000] {
            let payloads = Payloads::new(len);
            for number in [0, 1, 60, 61, 0xfedc_ba98_7654_3210, u64::MAX] {
                let mut payload = payload(&payloads, number);
                assert_eq!(payload.len(), len);
                assert!(payload.iter().all(u8::is_ascii_graphic));
                assert!(payloads.is(&payload, number));
                assert_eq!(payloads.number(&payload), (len >= 16).then_some(number));
                assert_eq!(payloads.is(&payload, number ^ 1), len == 0);
                for at in [0, len / 2, len.saturating_sub(1)] {
                    if let Some(byte) = payload.get_mut(at) {
                        *byte ^= 1;
                        assert!(!payloads.is(&payload, number), "{len} {number} {at}");
                        payload[at] ^= 1;
                    }
                }
                payload.push(b'A');
                assert!(!payloads.is(&payload, number));
            }
        }
    }
}
