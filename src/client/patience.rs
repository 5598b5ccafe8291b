//! How long a client waits for its server, and for what.

use std::time::{Duration, Instant};

use super::{ClientConfig, ClientError};

/// The deadlines of a connection.
#[derive(Debug)]
pub(super) struct Patience {
    ping_interval: Duration,
    ping_timeout: Duration,
    write_timeout: Duration,
    pub(super) close_timeout: Duration,
    /// When the server last sent anything.
    heard_at: Instant,
    /// Whether it was pinged since.
    is_pinged: bool,
    /// Since when it takes nothing although something waits.
    pub(super) stalled_since: Option<Instant>,
    /// When the end has to be over.
    end_by: Option<Instant>,
}

impl Patience {
    /// The server has just answered the opening handshake.
    pub(super) fn new(config: &ClientConfig, now: Instant) -> Self {
        Self {
            ping_interval: config.ping_interval,
            ping_timeout: config.ping_timeout,
            write_timeout: config.write_timeout,
            close_timeout: config.close_timeout,
            heard_at: now,
            is_pinged: false,
            stalled_since: None,
            end_by: None,
        }
    }

    /// The server has sent something: it lives.
    pub(super) fn on_heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.is_pinged = false;
    }

    /// Whether a ping is due; says so once.
    pub(super) fn wants_ping(&mut self, now: Instant) -> bool {
        !self.is_pinged && {
            self.is_pinged = now >= self.heard_at + self.ping_interval;
            self.is_pinged
        }
    }

    /// We have said that it is over.
    pub(super) fn end_soon(&mut self, now: Instant) {
        self.end_by.get_or_insert(now + self.close_timeout);
    }

    /// Whether the server took too long for something.
    pub(super) fn judge(&self, now: Instant) -> Result<(), ClientError> {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(self.stalled_since.map(|since| since + self.write_timeout)) {
            Err(ClientError::Stalled)
        } else if is_over(self.end_by) || is_over(self.silent_at()) {
            Err(ClientError::Silent)
        } else {
            Ok(())
        }
    }

    /// When the server counts as lost, if it was pinged.
    fn silent_at(&self) -> Option<Instant> {
        self.is_pinged
            .then(|| self.heard_at + self.ping_interval + self.ping_timeout)
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ping = (!self.is_pinged).then(|| self.heard_at + self.ping_interval);
        let stalled = self.stalled_since.map(|since| since + self.write_timeout);
        [ping, self.silent_at(), stalled, self.end_by]
            .into_iter()
            .flatten()
            .min()
    }
}
