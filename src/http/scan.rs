//! Finding the end of a request head, each byte looked at once.

use super::field::is_token_byte;
use super::{HttpError, HttpLimits};

/// Looks for the empty line that ends a head, in new bytes only, however the head is cut into pieces.
///
/// It also settles what must not wait for the end, because the end might never come: line endings, the limits, and
/// whether this is HTTP at all. The rest of the grammar is judged once the head is complete.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadScan {
    /// Bytes seen so far, empty lines before the request line included.
    len: usize,
    /// Bytes of the line that is not finished yet, its carriage return included.
    line_len: usize,
    /// Whether the last byte seen was a carriage return.
    ends_in_return: bool,
    /// Finished lines, empty ones before the request line excluded.
    line_count: usize,
}

impl HeadScan {
    /// Takes the bytes that follow those of the last call; returns how many of them belong to the head if it ends
    /// among them.
    ///
    /// # Errors
    ///
    /// The first fault, at the same byte for every way to cut the head into pieces.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "positions inside the window, and counts of its bytes"
    )]
    pub(super) fn advance(
        &mut self,
        new: &[u8],
        limits: &HttpLimits,
    ) -> Result<Option<usize>, HttpError> {
        let room = limits.head_bytes_max.saturating_sub(self.len);
        let window = &new[..new.len().min(room)];
        let mut rest = window;
        loop {
            self.check_first_byte(rest)?;
            let Some(at) = memchr::memchr(b'\n', rest) else {
                break;
            };
            let has_return = if at == 0 {
                self.ends_in_return
            } else {
                rest[at - 1] == b'\r'
            };
            if !has_return {
                return Err(HttpError::BareLineFeed);
            }
            let is_empty = self.line_len + at == 1;
            self.len += at + 1;
            self.line_len = 0;
            self.ends_in_return = false;
            rest = &rest[at + 1..];
            if !is_empty {
                self.line_count += 1;
                if self.field_count() > limits.fields_max {
                    return Err(HttpError::TooManyFields);
                }
            } else if self.line_count > 0 {
                return Ok(Some(window.len() - rest.len()));
            }
        }
        self.len += rest.len();
        self.line_len += rest.len();
        if let Some(&last) = rest.last() {
            self.ends_in_return = last == b'\r';
        }
        if self.len >= limits.head_bytes_max {
            Err(HttpError::HeadTooLarge)
        } else {
            Ok(None)
        }
    }

    /// Finished lines after the request line: once the head is complete, the number of its fields.
    pub(super) fn field_count(&self) -> usize {
        self.line_count.saturating_sub(1)
    }

    /// How many bytes were seen.
    #[cfg(test)]
    pub(super) fn seen_len(&self) -> usize {
        self.len
    }

    /// Whether more than empty lines was seen.
    pub(super) fn has_begun(&self) -> bool {
        self.line_count > 0 || self.line_len > 0
    }

    /// Refuses what cannot become a method, such as the hello of TLS, without waiting for the end of its line.
    fn check_first_byte(&self, rest: &[u8]) -> Result<(), HttpError> {
        match rest.first() {
            Some(&byte)
                if !self.has_begun() && !is_token_byte(byte) && byte != b'\r' && byte != b'\n' =>
            {
                Err(HttpError::MalformedRequestLine)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans `bytes` in two pieces cut at `at`: where the head ends, and what was found.
    fn scan(bytes: &[u8], at: usize, limits: &HttpLimits) -> Result<Option<usize>, HttpError> {
        let mut scan = HeadScan::default();
        if let Some(end) = scan.advance(&bytes[..at], limits)? {
            return Ok(Some(end));
        }
        Ok(scan.advance(&bytes[at..], limits)?.map(|end| at + end))
    }

    #[track_caller]
    fn check(bytes: &[u8], limits: &HttpLimits, expected: Result<Option<usize>, HttpError>) {
        for at in 0..=bytes.len() {
            assert_eq!(
                scan(bytes, at, limits),
                expected,
                "{:?} cut at {at}",
                bytes.escape_ascii().to_string()
            );
        }
    }

    #[test]
    fn the_first_empty_line_after_the_request_line_ends_the_head() {
        let limits = HttpLimits::default();
        check(b"GET / HTTP/1.1\r\n\r\nrest\n", &limits, Ok(Some(18)));
        check(b"G\r\nA:\r\nB:\r\n\r\n", &limits, Ok(Some(13)));
        check(b"G\r\nA:\r\n", &limits, Ok(None));
        check(b"\r\n\r\nG\r\n\r\n\r\n", &limits, Ok(Some(9)));
        check(b"", &limits, Ok(None));
    }

    #[test]
    fn hs_13_a_line_feed_needs_its_carriage_return() {
        let limits = HttpLimits::default();
        for bytes in [
            "\n",
            "\r\n\n",
            "G\n",
            "G\r\nA:\n",
            "G\r\n\n",
            "G\r\nA\r:\n\r\n",
        ] {
            check(bytes.as_bytes(), &limits, Err(HttpError::BareLineFeed));
        }
    }

    #[test]
    fn hs_13_what_cannot_be_a_method_is_refused_at_its_first_byte() {
        let limits = HttpLimits::default();
        for bytes in [&b"\x16\x03\x01"[..], b" GET", b"\0", b"\r\n\x80", b":"] {
            check(bytes, &limits, Err(HttpError::MalformedRequestLine));
        }
    }

    #[test]
    fn hs_14_a_head_may_be_as_long_as_the_limit_and_no_longer() {
        let head = b"\r\nG\r\nA: b\r\n\r\n";
        let limits = |head_bytes_max| HttpLimits {
            head_bytes_max,
            ..HttpLimits::default()
        };
        check(head, &limits(head.len()), Ok(Some(head.len())));
        for short in 0..head.len() {
            check(head, &limits(short), Err(HttpError::HeadTooLarge));
        }
    }

    #[test]
    fn hs_14_one_field_too_many_is_an_error() {
        let limits = |fields_max| HttpLimits {
            fields_max,
            ..HttpLimits::default()
        };
        let head = b"G\r\nA:\r\nB:\r\n\r\n";
        check(head, &limits(2), Ok(Some(13)));
        check(head, &limits(1), Err(HttpError::TooManyFields));
        check(head, &limits(0), Err(HttpError::TooManyFields));
    }
}
