//! The line of the log for each connection that has ended (LG-02), and for how many it is not written (LG-03).

use std::fmt;

use super::accounts::Tally;
use super::connection::{Connection, Now};
use super::socket::Socket;
use crate::clock::Moment;
use crate::delivery::SessionId;
use crate::http::HttpError;
use crate::metrics::Label;
use crate::session::{Cause, Ending};

/// Lines of one cause that a loop writes in one period; further ones are only counted.
const LINES_PER_PERIOD: u32 = 100;
/// How long a period is, in milliseconds.
const PERIOD_MILLIS: u64 = 10_000;

/// What one loop has said of ended connections lately.
#[derive(Debug)]
pub(super) struct EndLog {
    quotas: [Quota; Cause::COUNT],
}

/// What was said of one cause.
#[derive(Clone, Copy, Debug, Default)]
struct Quota {
    period: u64,
    written_count: u32,
    suppressed_count: u64,
}

impl Default for EndLog {
    fn default() -> Self {
        Self {
            quotas: [Quota::default(); Cause::COUNT],
        }
    }
}

impl EndLog {
    /// Whether to write a line of `cause` now; how many lines were suppressed since the last one that was written.
    fn admit(&mut self, cause: Cause, now: Moment) -> Option<u64> {
        let quota = self.quotas.get_mut(cause.index())?;
        let period = now.as_millis() / PERIOD_MILLIS;
        if quota.period != period {
            quota.period = period;
            quota.written_count = 0;
        }
        if quota.written_count >= LINES_PER_PERIOD {
            quota.suppressed_count += 1;
            return None;
        }
        quota.written_count += 1;
        Some(std::mem::take(&mut quota.suppressed_count))
    }

    /// Says how many lines were suppressed of which no line has told: the loop ends.
    pub(super) fn finish(&mut self) {
        for (quota, cause) in self.quotas.iter_mut().zip(Cause::NAMES) {
            let count = std::mem::take(&mut quota.suppressed_count);
            if count > 0 {
                log::info!("end lines suppressed={count} cause={cause}");
            }
        }
    }

    /// Writes the line of a connection that has ended, unless there were too many.
    pub(super) fn write<P, S: Socket>(
        &mut self,
        id: SessionId,
        connection: &Connection<P, S>,
        now: &Now,
    ) {
        let ending = connection.session.ending();
        // A request that is refused, or a response, is a matter of the metrics; an ended WebSocket is a person gone, and
        // whoever cannot agree on encryption is one that will not come.
        let level = if connection.session.is_websocket() || is_of_encryption(ending.cause) {
            log::Level::Info
        } else {
            log::Level::Debug
        };
        if !log::log_enabled!(level) {
            return;
        }
        if let Some(suppressed_count) = self.admit(ending.cause, now.moment) {
            let line = EndLine {
                ending,
                tally: connection.tally(),
                open_tenths: connection.open_tenths(now.moment),
                suppressed_count,
            };
            log::log!(
                level,
                "end id={id} peer={} {line}",
                connection.link.address()
            );
        }
    }
}

/// The line but for who it is about: fields as `key=value`, none of which a peer has chosen.
struct EndLine {
    ending: Ending,
    tally: Tally,
    open_tenths: u32,
    suppressed_count: u64,
}

impl fmt::Display for EndLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, tenths) = (self.open_tenths / 10, self.open_tenths % 10);
        let cause = Cause::NAMES[self.ending.cause.index()];
        write!(f, "seconds={seconds}.{tenths} cause={cause}")?;
        let has_fault = matches!(
            self.ending.cause,
            Cause::Violation(_) | Cause::Refused(_) | Cause::TooFast(_)
        );
        if has_fault || is_of_encryption(self.ending.cause) {
            write!(f, " fault=\"{}\"", self.ending.cause)?;
        }
        for (name, code) in [
            ("sent", self.ending.sent),
            ("received", self.ending.received),
        ] {
            match code {
                Some(code) => write!(f, " {name}={}", code.get())?,
                None => write!(f, " {name}=none")?,
            }
        }
        let Tally {
            bytes_in,
            bytes_out,
            messages_in,
            messages_out,
            dropped,
        } = self.tally;
        write!(
            f,
            " bytes_in={bytes_in} bytes_out={bytes_out} messages_in={messages_in} \
             messages_out={messages_out} dropped={dropped}"
        )?;
        if self.suppressed_count > 0 {
            write!(f, " suppressed={}", self.suppressed_count)?;
        }
        Ok(())
    }
}

fn is_of_encryption(cause: Cause) -> bool {
    #[cfg(feature = "tls")]
    if let Cause::Encryption(_) = cause {
        return true;
    }
    cause == Cause::Refused(HttpError::NotEncrypted)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lg_03_of_a_million_ends_few_are_written_and_the_others_counted() {
        let mut log = EndLog::default();
        let written = (0..1_000_000_u64)
            .map(|number| Moment::START + Duration::from_millis(number / 50))
            .filter_map(|now| log.admit(Cause::PeerLost, now))
            .collect::<Vec<_>>();
        assert_eq!(written.len(), 200, "in twenty seconds");
        let told: u64 = written.iter().sum();
        let untold = log.quotas[Cause::PeerLost.index()].suppressed_count;
        assert_eq!(told + untold + 200, 1_000_000);
        assert_eq!(
            log.admit(Cause::PeerClosed, Moment::START),
            Some(0),
            "another cause has a quota of its own"
        );
    }
}
