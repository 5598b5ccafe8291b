//! Requests of one peer, one at a time.

use std::fmt;

use super::Event;
use super::lifecycle::Lifecycle;
use crate::clock::Moment;
use crate::config::Config;
use crate::http::{HttpError, Request, RequestReader, Response};
use crate::outbox::Outbox;

/// Requests, and what the answer to the current one has to know of it.
#[derive(Default)]
pub(super) struct HttpReader {
    requests: RequestReader,
    answered_count: u32,
    is_head: bool,
    /// Whether another request may follow the current one.
    pub(super) is_keep_alive: bool,
    /// Whether the response to the current request follows later.
    pub(super) is_waiting: bool,
    /// What came behind the request that waits, or behind too many: at most what was read at once.
    pub(super) held: Vec<u8>,
}

impl HttpReader {
    pub(super) fn next_event<'a, 'i: 'a>(
        &'a mut self,
        life: &mut Lifecycle,
        input: &mut &'i mut [u8],
        now: Moment,
        config: &Config,
        outbox: &mut Outbox,
    ) -> Option<Event<'a>> {
        let is_between_requests = self.answered_count > 0 && !self.requests.is_mid_request();
        // Empty lines begin no request, and so no new span of time (RFC 9112 2.2).
        let begins_one = is_between_requests && input.iter().any(|byte| !b"\r\n".contains(byte));
        match self.requests.next(input, &config.http) {
            Ok(Some(request)) => {
                self.is_head = request.is_head();
                self.is_keep_alive = request.is_keep_alive();
                Some(Event::Request(request))
            }
            Ok(None) => {
                if begins_one {
                    life.await_request(now + config.handshake_timeout);
                }
                None
            }
            Err(error) => {
                *input = &mut [];
                life.refuse(error, now, config, outbox);
                None
            }
        }
    }

    /// Bytes that have come and are kept.
    pub(super) fn held_len(&self) -> usize {
        self.held.len() + self.requests.held_len()
    }

    /// The request whose client waits with its body; there is one only once.
    pub(super) fn expectation(&mut self, config: &Config) -> Option<Request<'_>> {
        if self.is_waiting || !self.requests.take_continue() {
            return None;
        }
        let request = self.requests.head(&config.http)?;
        self.is_head = request.is_head();
        // Whoever is refused may send its body all the same, and then nobody can tell where the next request begins.
        self.is_keep_alive = false;
        Some(request)
    }

    /// Queues the response to the current request; returns whether it is the last one of the connection.
    pub(super) fn respond(
        &mut self,
        response: &Response,
        config: &Config,
        outbox: &mut Outbox,
    ) -> bool {
        self.is_waiting = false;
        self.answered_count += 1;
        let is_last = !self.is_keep_alive
            || response.must_close()
            || self.answered_count >= config.http_requests_max;
        outbox.push_response(response.encode(self.is_head, is_last));
        is_last
    }

    /// Whether no request is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.late().is_none()
    }

    /// What is wrong if the time is over now; `None` if no request is under way.
    pub(super) fn late(&self) -> Option<HttpError> {
        if self.is_waiting {
            Some(HttpError::Unavailable)
        } else {
            let is_mid_request = self.requests.is_mid_request();
            is_mid_request.then_some(HttpError::RequestTimeout)
        }
    }
}

/// Shows what is held by its length.
impl fmt::Debug for HttpReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpReader")
            .field("requests", &self.requests)
            .field("answered_count", &self.answered_count)
            .field("is_waiting", &self.is_waiting)
            .field("held_len", &self.held.len())
            .finish_non_exhaustive()
    }
}
