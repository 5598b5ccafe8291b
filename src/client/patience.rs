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
    /// When it was pinged since.
    pinged_at: Option<Instant>,
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
            pinged_at: None,
            stalled_since: None,
            end_by: None,
        }
    }

    /// The server has sent something: it lives.
    pub(super) fn on_heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.pinged_at = None;
    }

    /// Whether a ping is due; says so once.
    pub(super) fn wants_ping(&mut self, now: Instant) -> bool {
        let is_due = self.pinged_at.is_none() && after(self.heard_at, self.ping_interval) <= now;
        if is_due {
            self.pinged_at = Some(now);
        }
        is_due
    }

    /// We have said that it is over.
    pub(super) fn end_soon(&mut self, now: Instant) {
        self.end_by
            .get_or_insert_with(|| after(now, self.close_timeout));
    }

    /// Whether the server took too long for something.
    pub(super) fn judge(&self, now: Instant) -> Result<(), ClientError> {
        let is_over = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        if is_over(self.stalled_at()) {
            Err(ClientError::Stalled)
        } else if is_over(self.end_by) || is_over(self.silent_at()) {
            Err(ClientError::Silent)
        } else {
            Ok(())
        }
    }

    /// When the server counts as lost, if it was pinged.
    fn silent_at(&self) -> Option<Instant> {
        self.pinged_at.map(|at| after(at, self.ping_timeout))
    }

    fn stalled_at(&self) -> Option<Instant> {
        self.stalled_since.map(|at| after(at, self.write_timeout))
    }

    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ping = match self.pinged_at {
            None => Some(after(self.heard_at, self.ping_interval)),
            Some(_) => None,
        };
        [ping, self.silent_at(), self.stalled_at(), self.end_by]
            .into_iter()
            .flatten()
            .min()
    }
}

/// That much later; a time that the clock cannot name is as good as a year.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    now.checked_add(wait).unwrap_or(now + YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_was_busy_still_gives_the_server_time_to_answer_its_ping() {
        let config = ClientConfig::default();
        let begun = Instant::now();
        let mut patience = Patience::new(&config, begun);
        assert!(!patience.wants_ping(begun + config.ping_interval / 2));
        let late = begun + config.ping_interval * 10;
        assert!(patience.wants_ping(late));
        assert!(!patience.wants_ping(late), "once");
        assert!(patience.judge(late).is_ok());
        assert_eq!(patience.deadline(), Some(late + config.ping_timeout));
        assert!(matches!(
            patience.judge(late + config.ping_timeout),
            Err(ClientError::Silent)
        ));
        patience.on_heard(late);
        assert!(patience.judge(late + config.ping_timeout).is_ok());
    }

    #[test]
    fn endless_patience_is_not_more_than_the_clock_can_name() {
        let config = ClientConfig {
            ping_interval: Duration::MAX,
            close_timeout: Duration::MAX,
            ..ClientConfig::default()
        };
        let now = Instant::now();
        let mut patience = Patience::new(&config, now);
        patience.end_soon(now);
        assert!(!patience.wants_ping(now));
        assert!(patience.judge(now).is_ok());
        assert!(patience.deadline() > Some(now));
    }
}
