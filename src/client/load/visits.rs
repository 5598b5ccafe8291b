//! Connections that are opened and closed, again and again.

use std::time::{Duration, Instant};

use super::crowd::Crowd;
use super::generator::TELL_INTERVAL;
use super::peer::{End, Happening};
use super::schedule::Schedule;
use super::tally::{LoadProgress, LoadReport};
use super::{LoadConfig, Pace};
use crate::client::ClientError;

/// Opens and closes until the time is over.
///
/// # Errors
///
/// The first WebSocket cannot be opened, or the system has no more sockets.
pub(super) fn run(
    mut crowd: Crowd,
    config: &LoadConfig,
    mut on_progress: impl FnMut(&LoadProgress),
) -> Result<LoadReport, ClientError> {
    let begin = Instant::now();
    let end = begin + config.duration;
    let mut schedule = match config.pace {
        Pace::PerSecond(rate) => Some(Schedule::new(begin, rate)),
        Pace::InFlight(_) => None,
    };
    let mut visits = Visits {
        report: LoadReport::new(),
        free: (0..config.client_count).rev().collect(),
        opened: Vec::new(),
        failure: None,
    };
    let mut told_at = begin;
    loop {
        let now = Instant::now();
        if now >= end || crowd.stopper().is_stopped() {
            break;
        }
        visits.begin_due(&mut crowd, schedule.as_mut(), now)?;
        let nap = match &schedule {
            Some(schedule) if !visits.free.is_empty() => schedule.nap(now),
            _ => TELL_INTERVAL,
        };
        visits.turn(&mut crowd, nap.min(end - now).min(TELL_INTERVAL))?;
        let now = Instant::now();
        if now - told_at >= TELL_INTERVAL {
            told_at = now;
            visits.expire(&mut crowd, now);
            on_progress(&LoadProgress {
                open_count: crowd.open_count(),
                elapsed: now - begin,
                received: visits.report.received,
                error_count: visits.report.error_count(),
            });
        }
        if let Some(error) = visits.failure.take()
            && visits.report.received == 0
        {
            return Err(error);
        }
    }
    let ended_at = Instant::now().min(end);
    visits.report.elapsed = ended_at - begin;
    visits.report.behind = schedule.map_or(0, |schedule| schedule.behind(ended_at));
    visits.await_rest(&mut crowd, ended_at + config.client.close_timeout)?;
    Ok(visits.report)
}

/// Who is where.
struct Visits {
    report: LoadReport,
    /// Places without a connection.
    free: Vec<usize>,
    /// Places whose WebSocket has just opened.
    opened: Vec<usize>,
    failure: Option<ClientError>,
}

impl Visits {
    /// Begins a visit wherever there is room, as far as the clock says so.
    fn begin_due(
        &mut self,
        crowd: &mut Crowd,
        mut schedule: Option<&mut Schedule>,
        now: Instant,
    ) -> Result<(), ClientError> {
        while let Some(&place) = self.free.last() {
            let since = match &mut schedule {
                None => now,
                Some(schedule) if schedule.next_due() <= now => {
                    let due = schedule.next_due();
                    schedule.advance();
                    due
                }
                Some(_) => return Ok(()),
            };
            crowd.dial(place, since)?;
            self.free.pop();
            self.report.sent += 1;
        }
        Ok(())
    }

    fn turn(&mut self, crowd: &mut Crowd, timeout: Duration) -> Result<(), ClientError> {
        let mut ends = Vec::new();
        let (report, opened) = (&mut self.report, &mut self.opened);
        crowd.turn(timeout, |place, happening, now| match happening {
            Happening::Opened(since) => {
                report.received += 1;
                report.on_latency(now.saturating_duration_since(since));
                opened.push(place);
            }
            // A greeting, perhaps.
            Happening::Message(_) => {}
            Happening::Ended(end) => ends.push((place, end)),
        })?;
        let now = Instant::now();
        while let Some(place) = self.opened.pop() {
            crowd.close(place, now);
        }
        for (place, end) in ends {
            self.on_end(place, end);
        }
        Ok(())
    }

    fn expire(&mut self, crowd: &mut Crowd, now: Instant) {
        let mut ends = Vec::new();
        crowd.expire(now, |place, end| ends.push((place, end)));
        for (place, end) in ends {
            self.on_end(place, end);
        }
    }

    fn on_end(&mut self, place: usize, end: End) {
        self.free.push(place);
        self.report.on_end(&end);
        match end {
            End::Done => {}
            End::Closed(_) => self.report.ended += 1,
            End::Failed(error) => {
                self.failure.get_or_insert(error);
                self.report.ended += 1;
            }
        }
    }

    /// Lets those finish that have begun.
    fn await_rest(&mut self, crowd: &mut Crowd, end: Instant) -> Result<(), ClientError> {
        while !crowd.is_empty() && Instant::now() < end {
            self.turn(crowd, TELL_INTERVAL)?;
        }
        // Whoever ended without an open WebSocket is among those that ended.
        let settled = self.report.received + self.report.ended;
        self.report.lost = self.report.sent.saturating_sub(settled);
        Ok(())
    }
}
