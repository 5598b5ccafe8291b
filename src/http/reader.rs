//! Requests out of a stream of bytes, however it is cut.

use std::fmt;
use std::mem;

use super::head::{BodyPlan, parse_head, target_len};
use super::scan::HeadScan;
use super::{HttpError, Request};

/// Limits of one request; each at most so many, exactly so many included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// Bytes of the head, request line, empty lines before it and final empty line included; 16 KiB.
    pub head_bytes_max: usize,
    /// Bytes of the request target; 8,000, the least that RFC 9112 3 wants to be possible.
    pub target_bytes_max: usize,
    /// Header fields, counted by lines; 100.
    pub fields_max: usize,
    /// Bytes of the body; 1 MiB.
    pub body_bytes_max: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_bytes_max: 16 << 10,
            target_bytes_max: 8000,
            fields_max: 100,
            body_bytes_max: 1 << 20,
        }
    }
}

/// Turns bytes into requests; owned by a connection for as long as it speaks HTTP.
///
/// A request whose head is in one piece of input is borrowed from there. Anything else is collected here, as it comes
/// and never as it is announced, and freed by the call that follows the one which returned the request.
///
/// | State | Bytes | Next state |
/// |---|---|---|
/// | head | of an unfinished head | head |
/// | head | the end of the head, and all of the body | head, with a request |
/// | head | the end of the head, and not all of the body | body |
/// | body | not the last of the body | body |
/// | body | the last of the body | head, with a request |
/// | any | a fault | none: the connection ends |
#[derive(Default)]
pub struct RequestReader {
    /// The bytes of a request that came in several pieces.
    held: Vec<u8>,
    /// How far its head is known.
    scan: HeadScan,
    /// The head's share of the held bytes and the length of the body, once the head is complete and found good.
    body: Option<HeldBody>,
    /// Whether the peer waits to be told to send its body.
    owes_continue: bool,
    /// Whether the held bytes belong to a request that was returned.
    is_done: bool,
}

/// What is known of a held request whose head is complete.
#[derive(Clone, Copy, Debug)]
struct HeldBody {
    /// Bytes of the head, with which the held bytes begin.
    head_len: usize,
    /// Bytes of the body, which follow.
    body_len: usize,
}

impl RequestReader {
    /// Bytes of a request that came in several pieces, and are kept until it is whole.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.held.len()
    }

    /// Takes bytes from the front of `input`, never past the end of the request; `None` if more are needed, and then
    /// all of `input` is taken.
    ///
    /// What follows a request stays in `input`: it is the next request or, after an upgrade, the first frames. Call
    /// again, if only with nothing, to free the memory of the request before.
    ///
    /// # Errors
    ///
    /// What the client did wrong, in the order of the [table](super), at the same byte for every way to cut the
    /// stream. The connection cannot be continued: answer, and discard what follows.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i mut [u8],
        limits: &HttpLimits,
    ) -> Result<Option<Request<'a>>, HttpError> {
        if self.is_done {
            *self = Self::default();
        }
        if self.held.is_empty() {
            self.next_in_place(input, limits)
        } else {
            self.next_held(input, limits)
        }
    }

    /// Whether the peer waits for `100 Continue` before it sends the body; true once, and only while no byte of the
    /// body has come (RFC 9110 10.1.1).
    ///
    /// Ask when [`RequestReader::next`] has returned `None`, and answer with [`Response::CONTINUE`].
    ///
    /// [`Response::CONTINUE`]: super::Response::CONTINUE
    #[must_use]
    pub fn take_continue(&mut self) -> bool {
        mem::take(&mut self.owes_continue)
    }

    /// The request whose body is still to come, without it; `None` if there is no such request.
    #[must_use]
    pub fn head(&self, limits: &HttpLimits) -> Option<Request<'_>> {
        let head = self.held.get(..self.body?.head_len)?;
        let (request, _) = parse_head(head, self.scan.field_count(), limits).ok()?;
        Some(request)
    }

    /// Whether a request has begun and is not finished; empty lines begin none.
    #[must_use]
    pub fn is_mid_request(&self) -> bool {
        !self.is_done && self.scan.has_begun()
    }

    /// Reads a request of which nothing is held: borrows it if all of it is there, else holds what is there.
    fn next_in_place<'a, 'i: 'a>(
        &mut self,
        input: &mut &'i mut [u8],
        limits: &HttpLimits,
    ) -> Result<Option<Request<'a>>, HttpError> {
        let Some(head_len) = find_head_end(&mut self.scan, input, 0, limits)? else {
            self.hold(input, input.len());
            return Ok(None);
        };
        let (head, rest) = mem::take(input).split_at_mut(head_len);
        let (request, plan) = parse_head(head, self.scan.field_count(), limits)?;
        if rest.len() < plan.len {
            self.held.extend_from_slice(head);
            self.held.extend_from_slice(rest);
            self.await_body(head_len, plan);
            return Ok(None);
        }
        let (body, rest) = rest.split_at_mut(plan.len);
        *input = rest;
        self.scan = HeadScan::default();
        Ok(Some(request.with_body(body)))
    }

    /// Reads on in a request of which something is held.
    #[expect(
        clippy::arithmetic_side_effects,
        reason = "both lengths are within their limits"
    )]
    fn next_held(
        &mut self,
        input: &mut &mut [u8],
        limits: &HttpLimits,
    ) -> Result<Option<Request<'_>>, HttpError> {
        if self.body.is_none() {
            self.hold_head(input, limits)?;
        }
        let Some(HeldBody { head_len, body_len }) = self.body else {
            return Ok(None);
        };
        let missing_len = (head_len + body_len).saturating_sub(self.held.len());
        self.hold(input, missing_len.min(input.len()));
        if self.held.len() < head_len + body_len {
            self.owes_continue &= self.held.len() == head_len;
            return Ok(None);
        }
        self.owes_continue = false;
        self.is_done = true;
        let (head, body) = self.held.split_at(head_len);
        // The head was found good when it was complete. Parsing it again costs less than keeping what it says.
        let (request, _) = parse_head(head, self.scan.field_count(), limits)?;
        Ok(Some(request.with_body(body)))
    }

    /// Moves bytes of the head from `input` to what is held, and judges the head if that completes it.
    #[expect(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        reason = "positions inside the input"
    )]
    fn hold_head(&mut self, input: &mut &mut [u8], limits: &HttpLimits) -> Result<(), HttpError> {
        let old_len = self.held.len();
        // A copy of what may be the head, so that it is in one piece; what turns out to lie behind it goes back.
        let room = limits
            .head_bytes_max
            .saturating_sub(old_len)
            .min(input.len());
        self.held.extend_from_slice(&input[..room]);
        let Some(end) = find_head_end(&mut self.scan, &self.held, old_len, limits)? else {
            *input = &mut mem::take(input)[room..];
            return Ok(());
        };
        let head_len = old_len + end;
        self.held.truncate(head_len);
        *input = &mut mem::take(input)[end..];
        let (_, plan) = parse_head(&self.held, self.scan.field_count(), limits)?;
        self.await_body(head_len, plan);
        Ok(())
    }

    /// Goes on to the body of a held request.
    fn await_body(&mut self, head_len: usize, plan: BodyPlan) {
        self.body = Some(HeldBody {
            head_len,
            body_len: plan.len,
        });
        self.owes_continue = plan.expects_continue && self.held.len() == head_len;
    }

    /// Moves `len` bytes from the front of `input` to what is held.
    fn hold(&mut self, input: &mut &mut [u8], len: usize) {
        let (taken, rest) = mem::take(input).split_at_mut(len);
        self.held.extend_from_slice(taken);
        *input = rest;
    }
}

impl fmt::Debug for RequestReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestReader")
            .field("held_len", &self.held.len())
            .field("scan", &self.scan)
            .field("body", &self.body)
            .field("owes_continue", &self.owes_continue)
            .field("is_done", &self.is_done)
            .finish()
    }
}

/// Scans `bytes`, the head as far as it has come, from `scanned_len` on; returns how many of the bytes from there
/// belong to the head if it ends among them.
///
/// Too much of something is blamed on the target if that alone is too long.
#[expect(clippy::indexing_slicing, reason = "positions inside what is held")]
fn find_head_end(
    scan: &mut HeadScan,
    bytes: &[u8],
    scanned_len: usize,
    limits: &HttpLimits,
) -> Result<Option<usize>, HttpError> {
    scan.advance(&bytes[scanned_len..], limits)
        .map_err(|error| match error {
            HttpError::HeadTooLarge | HttpError::TooManyFields
                if target_len(&bytes[..bytes.len().min(limits.head_bytes_max)])
                    > limits.target_bytes_max =>
            {
                HttpError::TargetTooLong
            }
            other => other,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POST: &[u8] =
        b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody";
    const HEAD_LEN: usize = POST.len() - 4;

    /// Feeds `bytes`; the body of the request, if there is one now, and how many bytes were left.
    fn feed(reader: &mut RequestReader, bytes: &[u8]) -> (Option<Vec<u8>>, usize) {
        let mut bytes = bytes.to_vec();
        let mut input = &mut bytes[..];
        let body = reader
            .next(&mut input, &HttpLimits::default())
            .unwrap()
            .map(|request| request.body().to_vec());
        (body, input.len())
    }

    #[test]
    fn hs_15_each_byte_of_a_head_is_looked_at_once() {
        let head = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(16_000)
        );
        let (last, start) = head.as_bytes().split_last().unwrap();
        let mut reader = RequestReader::default();
        for (at, byte) in start.iter().enumerate() {
            assert_eq!(feed(&mut reader, &[*byte]), (None, 0));
            assert_eq!(reader.scan.seen_len(), at + 1);
        }
        assert_eq!(feed(&mut reader, &[*last]), (Some(vec![]), 0));
    }

    #[test]
    fn hs_17_what_follows_a_request_stays_in_the_input() {
        let stream = [POST, b"GET"].concat();
        for at in 0..=POST.len() {
            let mut reader = RequestReader::default();
            let (body, left) = feed(&mut reader, &stream[..at]);
            if at < POST.len() {
                assert_eq!((body, left), (None, 0), "cut at {at}");
                assert_eq!(
                    feed(&mut reader, &stream[at..]),
                    (Some(b"body".to_vec()), 3),
                    "cut at {at}"
                );
            } else {
                assert_eq!((body, left), (Some(b"body".to_vec()), 0));
            }
        }
    }

    #[test]
    fn a_request_in_one_piece_is_borrowed_and_one_in_pieces_is_freed_by_the_next_call() {
        let mut reader = RequestReader::default();
        feed(&mut reader, POST);
        assert_eq!(reader.held.capacity(), 0);
        feed(&mut reader, &POST[..10]);
        feed(&mut reader, &POST[10..]);
        assert!(reader.held.capacity() > 0);
        assert!(!reader.is_mid_request());
        assert_eq!(feed(&mut reader, b""), (None, 0));
        assert_eq!(reader.held.capacity(), 0);
        assert!(!reader.is_mid_request());
    }

    #[test]
    fn a_request_has_begun_with_its_first_byte_but_not_with_an_empty_line() {
        let mut reader = RequestReader::default();
        for (piece, is_mid_request) in [
            (&b""[..], false),
            (b"\r\n", false),
            (b"P", true),
            (&POST[1..HEAD_LEN], true),
        ] {
            feed(&mut reader, piece);
            assert_eq!(reader.is_mid_request(), is_mid_request);
        }
        feed(&mut reader, b"body");
        assert!(!reader.is_mid_request());
    }

    #[test]
    fn ht_04_a_client_that_waits_is_told_once_to_continue() {
        let mut reader = RequestReader::default();
        for at in [10, HEAD_LEN - 1] {
            assert_eq!(feed(&mut reader, &POST[..at]), (None, 0));
            assert!(!reader.take_continue());
            feed(&mut reader, &POST[at..HEAD_LEN]);
            assert!(reader.take_continue());
            assert!(!reader.take_continue());
            assert_eq!(feed(&mut reader, b"body").0.unwrap(), b"body");
            assert!(!reader.take_continue());
        }
    }

    #[test]
    fn ht_04_a_client_that_has_begun_its_body_is_not_told_to_continue() {
        for pieces in [
            &[HEAD_LEN + 1][..],
            &[10, HEAD_LEN + 1],
            &[HEAD_LEN, HEAD_LEN + 1],
            &[POST.len()],
        ] {
            let mut reader = RequestReader::default();
            let mut start = 0;
            for &end in pieces {
                feed(&mut reader, &POST[start..end]);
                start = end;
            }
            assert!(!reader.take_continue(), "{pieces:?}");
        }
    }

    #[test]
    fn a_body_is_held_as_it_comes_and_not_as_it_is_announced() {
        let mut reader = RequestReader::default();
        feed(
            &mut reader,
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx",
        );
        assert!(reader.held.capacity() < 1000);
    }

    #[test]
    fn debug_output_shows_no_bytes() {
        let mut reader = RequestReader::default();
        feed(&mut reader, b"GET /?token=SECRET");
        assert!(!format!("{reader:?}").contains("SECRET"));
    }
}
