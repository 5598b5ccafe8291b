//! Peers for which there is no room: they are told so at once, whatever they want, and do not become connections.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::time::Duration;

use super::link::Link;
use super::socket::Socket;
use crate::clock::Moment;
use crate::http::{HttpError, Response, Scheme};

/// Read from a peer that is let go: more than a request usually is.
const DISCARDED_BYTES_MAX: usize = 32 << 10;
const DISCARDED_AT_ONCE: usize = 4 << 10;

/// What a peer is told that wants to agree on encryption first: a fatal alert, `internal_error` (RFC 8446 6). There is none
/// for having no place, and to say it in an encrypted response would cost as much as a place.
const BUSY_ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 80];

/// The peers that were refused and may still be reading that.
///
/// A socket that is closed while bytes of its peer are unread, or on their way, resets the connection, and the peer may
/// never see the answer. So each socket stays for a while; when there are too many, the oldest one has to go.
#[derive(Debug)]
pub(super) struct Refusals<S> {
    /// The whole answer, ready-made.
    response: Vec<u8>,
    /// Oldest first, each with the moment at which it is closed.
    links: VecDeque<(Moment, Link<S>)>,
    count_max: usize,
    linger: Duration,
}

impl<S: Socket> Refusals<S> {
    /// At most `count_max` peers linger, each for `linger`.
    pub(super) fn new(count_max: usize, linger: Duration) -> Self {
        Self {
            response: Response::refusal(HttpError::Unavailable).encode(false, true),
            links: VecDeque::new(),
            count_max,
            linger,
        }
    }

    /// Tells a peer that has just connected to come back later.
    pub(super) fn refuse(&mut self, mut link: Link<S>, now: Moment) {
        let response: &[u8] = match link.scheme() {
            Scheme::Http => &self.response,
            Scheme::Https => &BUSY_ALERT,
        };
        link.strip();
        // The buffer of a new socket has room for these few bytes. If the peer is gone already, nobody is left to tell.
        let is_told = link.write(response).is_ok() && link.finish().is_ok();
        if !is_told {
            return;
        }
        if self.links.len() >= self.count_max {
            self.let_oldest_go();
        }
        self.links.push_back((now + self.linger, link));
    }

    /// Closes the sockets that have lingered long enough.
    pub(super) fn let_go(&mut self, now: Moment) {
        while self.next_end().is_some_and(|end| end <= now) {
            self.let_oldest_go();
        }
    }

    /// When [`Refusals::let_go`] has something to do.
    pub(super) fn next_end(&self) -> Option<Moment> {
        self.links.front().map(|&(end, _)| end)
    }

    /// Closes the oldest socket, after reading what its peer has said.
    fn let_oldest_go(&mut self) {
        if let Some((_, mut link)) = self.links.pop_front() {
            discard_input(&mut link);
        }
    }
}

/// Reads what has come and drops it.
fn discard_input<S: Socket>(link: &mut Link<S>) {
    let mut left = DISCARDED_BYTES_MAX;
    let mut buffer = [0; DISCARDED_AT_ONCE];
    while left > 0 {
        match link.read(&mut buffer, DISCARDED_AT_ONCE) {
            Ok(count @ 1..) => left = left.saturating_sub(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            _ => break,
        }
    }
}
