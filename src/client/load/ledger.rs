//! Which messages are under way, and to whom.

use std::collections::VecDeque;
use std::time::Instant;

use super::payload::Payloads;
use super::tally::LoadReport;

/// What each connection is to get, in this order.
#[derive(Debug)]
pub(super) struct Ledger {
    payloads: Payloads,
    /// Of each connection: the numbers of the messages, and since when they are timed.
    awaited: Vec<VecDeque<(u64, Instant)>>,
    /// All of them together.
    awaited_count: usize,
}

impl Ledger {
    pub(super) fn new(client_count: usize, payloads: Payloads) -> Self {
        Self {
            payloads,
            awaited: vec![VecDeque::new(); client_count],
            awaited_count: 0,
        }
    }

    pub(super) fn payloads(&self) -> &Payloads {
        &self.payloads
    }

    /// Messages that are under way to everyone.
    pub(super) fn awaited_count(&self) -> usize {
        self.awaited_count
    }

    /// Messages that are under way to `client`.
    pub(super) fn awaited_by(&self, client: usize) -> usize {
        self.awaited[client].len()
    }

    /// The message with this number is on its way to `client`.
    pub(super) fn on_sent(&mut self, client: usize, number: u64, since: Instant) {
        self.awaited[client].push_back((number, since));
        self.awaited_count += 1;
    }

    /// Judges what `client` got: the message that is next, or one behind it, which leaves those between lost.
    pub(super) fn on_received(
        &mut self,
        client: usize,
        payload: &[u8],
        now: Instant,
        report: &mut LoadReport,
    ) {
        let awaited = &mut self.awaited[client];
        let is_at = |&(number, _): &(u64, Instant)| self.payloads.is(payload, number);
        let place = match awaited.front() {
            Some(next) if is_at(next) => Some(0),
            // Numbers rise, so that one that was lost on the way need not be searched for.
            _ => self
                .payloads
                .number(payload)
                .and_then(|number| awaited.binary_search_by_key(&number, |(it, _)| *it).ok())
                .filter(|place| awaited.get(*place).is_some_and(is_at)),
        };
        let Some(place) = place else {
            report.unexpected += 1;
            report
                .first_error
                .get_or_insert_with(|| "the server sent what was not sent to it".into());
            return;
        };
        let since = awaited[place].1;
        awaited.drain(..=place);
        self.awaited_count -= place + 1;
        report.lost += place as u64;
        report.received += 1;
        report.bytes_in += payload.len() as u64;
        report.on_latency(now.saturating_duration_since(since));
    }

    /// `client` gets nothing any more.
    pub(super) fn on_gone(&mut self, client: usize, report: &mut LoadReport) {
        let lost = std::mem::take(&mut self.awaited[client]).len();
        self.awaited_count -= lost;
        report.lost += lost as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn payload(ledger: &Ledger, number: u64) -> Vec<u8> {
        let (digits, rest) = ledger.payloads().parts(number);
        [&digits[..ledger.payloads().number_len()], rest].concat()
    }

    #[test]
    fn what_comes_is_timed_and_what_is_left_out_is_lost() {
        let mut report = LoadReport::new();
        let mut ledger = Ledger::new(2, Payloads::new(20));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        for number in 0..6 {
            ledger.on_sent(usize::from(number % 2 == 1), number, at(number));
        }
        assert_eq!((ledger.awaited_count(), ledger.awaited_by(0)), (6, 3));
        let payloads: Vec<_> = (0..6).map(|number| payload(&ledger, number)).collect();
        ledger.on_received(0, &payloads[0], at(10), &mut report);
        assert_eq!((report.received, report.lost, report.unexpected), (1, 0, 0));
        assert_eq!(report.latency(1.0).unwrap().as_secs(), 10);
        // Somebody else's, and one that came already.
        ledger.on_received(0, &payloads[1], at(10), &mut report);
        ledger.on_received(0, &payloads[0], at(10), &mut report);
        assert_eq!((report.received, report.lost, report.unexpected), (1, 0, 2));
        ledger.on_received(0, &payloads[4], at(10), &mut report);
        assert_eq!((report.received, report.lost, report.unexpected), (2, 1, 2));
        let mut altered = payloads[1].clone();
        altered[19] ^= 1;
        ledger.on_received(1, &altered, at(10), &mut report);
        assert_eq!((report.received, report.lost, report.unexpected), (2, 1, 3));
        ledger.on_gone(1, &mut report);
        assert_eq!((report.lost, ledger.awaited_count()), (4, 0));
        assert_eq!((report.bytes_in, report.error_count()), (40, 7));
    }
}
