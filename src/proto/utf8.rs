//! UTF-8 that arrives in pieces.

use std::fmt;

use super::ProtocolError;

/// Checks text that arrives in pieces cut anywhere, and fails at its first bad byte (RFC 6455 8.1).
///
/// What a piece completes is handed back as text, so that nobody has to check it a second time.
/// Kept between two pieces are the at most three bytes of a character that is not whole yet.
///
/// ```
/// let mut utf8 = switchboard::proto::Utf8Validator::default();
/// assert_eq!(utf8.check(b"caf\xC3"), Ok((None, "caf")));
/// assert_eq!(utf8.check(b"\xA9!"), Ok((Some('é'), "!")));
/// assert!(utf8.is_complete());
/// ```
#[derive(Clone, Default)]
pub struct Utf8Validator {
    /// The begun character: its first `tail_len` bytes, a proper prefix of a valid sequence.
    tail: [u8; 4],
    /// 0 to 3.
    tail_len: u8,
}

impl Utf8Validator {
    /// Checks the next piece: the character that earlier pieces began and this one ends, and the
    /// whole characters behind it. The beginning of a further one is kept for the next call.
    ///
    /// # Errors
    ///
    /// [`InvalidUtf8`](ProtocolError::InvalidUtf8) if no continuation could make the text valid.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "what has begun is a part of the piece"
    )]
    pub fn check<'a>(
        &mut self,
        mut piece: &'a [u8],
    ) -> Result<(Option<char>, &'a str), ProtocolError> {
        let mut completed = None;
        while self.tail_len > 0 && completed.is_none() {
            let Some(byte) = piece.split_off_first() else {
                return Ok((None, ""));
            };
            completed = self.extend_tail(*byte)?;
        }
        let (whole, tail) = piece.split_at(piece.len() - begun_len(piece));
        let text = to_text(whole).ok_or(ProtocolError::InvalidUtf8)?;
        for byte in tail {
            self.extend_tail(*byte)?;
        }
        Ok((completed, text))
    }

    /// Whether the text may end here: no character is begun and not finished.
    pub fn is_complete(&self) -> bool {
        self.tail_len == 0
    }

    /// Takes the next byte of the begun character, and returns the character if that was its last.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "a character has at most four bytes, and the fourth ends it"
    )]
    fn extend_tail(&mut self, byte: u8) -> Result<Option<char>, ProtocolError> {
        let len = usize::from(self.tail_len) + 1;
        self.tail[len - 1] = byte;
        self.tail_len += 1;
        match str::from_utf8(&self.tail[..len]) {
            Ok(character) => {
                self.tail_len = 0;
                Ok(character.chars().next())
            }
            Err(error) if error.error_len().is_none() => Ok(None),
            Err(_) => Err(ProtocolError::InvalidUtf8),
        }
    }
}

/// The bytes as text if all of them are; whoever knows no more needs no more.
#[inline]
pub(super) fn to_text(bytes: &[u8]) -> Option<&str> {
    /// Below this the standard library is as fast.
    const LONG_LEN: usize = 128;
    if bytes.len() < LONG_LEN {
        str::from_utf8(bytes).ok()
    } else {
        simdutf8::basic::from_utf8(bytes).ok()
    }
}

/// Shows how much is kept, not what.
impl fmt::Debug for Utf8Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Utf8Validator")
            .field("tail_len", &self.tail_len)
            .finish()
    }
}

/// How many bytes at the end of `piece` belong to a character that may continue in the next piece:
/// 0 to 3.
///
/// Only lengths are looked at; whether the bytes are valid is left to the standard library.
#[expect(clippy::arithmetic_side_effects, reason = "an index of at most two")]
fn begun_len(piece: &[u8]) -> usize {
    for (index, byte) in piece.iter().rev().take(3).enumerate() {
        let character_len = match byte {
            0x80..=0xBF => continue,
            0xC0..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xFF => 4,
            _ => 1,
        };
        return if character_len > index + 1 {
            index + 1
        } else {
            0
        };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds all pieces: the text they complete, and whether it may end there.
    fn check_all<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<(String, bool), ProtocolError> {
        let mut utf8 = Utf8Validator::default();
        let mut all = String::new();
        for piece in pieces {
            let (character, text) = utf8.check(piece)?;
            all.extend(character);
            all.push_str(text);
        }
        Ok((all, utf8.is_complete()))
    }

    /// What the standard library says about the bytes as a prefix of a text.
    fn check_naive(bytes: &[u8]) -> Result<(String, bool), ProtocolError> {
        match str::from_utf8(bytes) {
            Ok(text) => Ok((text.to_owned(), true)),
            Err(error) if error.error_len().is_none() => {
                let valid = &bytes[..error.valid_up_to()];
                Ok((str::from_utf8(valid).unwrap().to_owned(), false))
            }
            Err(_) => Err(ProtocolError::InvalidUtf8),
        }
    }

    /// Asserts that whole, byte by byte, and split at every position all give the answer of the
    /// standard library.
    fn assert_agrees(bytes: &[u8]) {
        let expected = check_naive(bytes);
        assert_eq!(check_all([bytes]), expected, "{bytes:02x?} whole");
        assert_eq!(
            check_all(bytes.chunks(1)),
            expected,
            "{bytes:02x?} byte by byte"
        );
        for cut in 0..=bytes.len() {
            let (front, back) = bytes.split_at(cut);
            assert_eq!(
                check_all([front, back]),
                expected,
                "{bytes:02x?} split at {cut}"
            );
        }
    }

    #[test]
    fn ms_01_both_sides_of_every_border_agree_with_the_standard_library() {
        let edges = [
            0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
        ];
        let leads = [
            0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF, b'a', 0xC2,
            0xC0,
        ];
        for lead in leads {
            assert_agrees(&[lead]);
            for second in edges {
                assert_agrees(&[lead, second]);
                for third in edges {
                    assert_agrees(&[lead, second, third]);
                    assert_agrees(&[lead, second, third, 0x80]);
                    assert_agrees(&[lead, second, third, 0xBF, b'z']);
                }
            }
        }
    }

    #[test]
    fn ms_02_the_first_bad_byte_fails_although_the_character_is_not_whole() {
        for bytes in [
            &b"\xE0\x9F"[..],
            b"\xED\xA0",
            b"\xF0\x8F",
            b"\xF4\x90",
            b"\xF5",
            b"\xC1",
            b"a\x80",
        ] {
            let (good, bad) = bytes.split_at(bytes.len() - 1);
            assert!(check_all([good]).is_ok(), "{good:02x?}");
            assert_eq!(
                check_all([good, bad]),
                Err(ProtocolError::InvalidUtf8),
                "{bytes:02x?}"
            );
        }
    }

    proptest! {
        #[test]
        fn ms_02_prefixes_and_splits_agree_with_the_standard_library(
            text in "[a-zé€😀\u{80}\u{7ff}\u{ffff}\u{10ffff}]{0,12}",
            flip in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut bytes = text.into_bytes();
            if let Some((position, value)) = flip && !bytes.is_empty() {
                let position = position.index(bytes.len());
                bytes[position] = value;
            }
            for end in 0..=bytes.len() {
                assert_agrees(&bytes[..end]);
            }
        }

        #[test]
        fn ms_01_any_bytes_agree_with_the_standard_library(
            bytes in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            assert_agrees(&bytes);
        }
    }
}
