//! Which requests of one client are under way or done, so that none is carried out twice.

use std::collections::VecDeque;

use super::refusal::Refusal;
use crate::delivery::Outcome;

/// How many requests are remembered once they are done.
pub(super) const DONE_MAX: usize = 1024;

/// How many requests may wait for the outcome of their delivery at a time.
///
/// It is more than one read of a connection can ask for, and loops answer each other within a turn or two.
pub(super) const PENDING_MAX: usize = 4096;

/// For whom a message was that still has no outcome: what it means that nobody got it depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// The members of a group, of whom there may be none.
    Members,
    /// Somebody in particular.
    Direct,
}

/// The acknowledgement ids of one client.
///
/// An id is remembered from the success of its request on, until [`DONE_MAX`] others have followed; one that failed
/// may be used again. Clients count upwards, so what is done is kept as runs of neighbouring ids: one run, and no
/// search, for a client that does so, and at most [`DONE_MAX`] runs for one that does not.
#[derive(Debug, Default)]
pub(super) struct AckLog {
    /// No greater id was ever seen.
    greatest: Option<u64>,
    /// Requests under way, the oldest first: outcomes come in the order of asking, or nearly so.
    pending: VecDeque<Pending>,
    /// Ids that are done, in the order of getting so.
    done: VecDeque<Run>,
    /// How many ids there are in `done`.
    done_count: usize,
}

impl AckLog {
    /// Says whether a request may be carried out under this id.
    ///
    /// # Errors
    /// It is a duplicate, or too many are under way.
    pub(super) fn admit(&self, ack_id: u64) -> Result<(), Refusal> {
        let is_new = self.greatest.is_none_or(|greatest| ack_id > greatest);
        if !is_new && (self.is_done(ack_id) || self.pending_position(ack_id).is_some()) {
            return Err(Refusal::Duplicate);
        }
        if self.pending.len() >= PENDING_MAX {
            return Err(Refusal::TooManyPending);
        }
        Ok(())
    }

    /// A request that was admitted is under way, in so many deliveries; [`Self::add_outcome`] ends that.
    pub(super) fn push_pending(&mut self, ack_id: u64, audience: Audience, delivery_count: u32) {
        self.greatest = self.greatest.max(Some(ack_id));
        self.pending.push_back(Pending {
            ack_id,
            audience,
            awaited_count: delivery_count,
            outcome: Outcome::default(),
        });
    }

    /// The outcome of one delivery is known. If that was the last one of a request: for whom it was, and what became of
    /// all of it.
    pub(super) fn add_outcome(
        &mut self,
        ack_id: u64,
        outcome: Outcome,
    ) -> Option<(Audience, Outcome)> {
        let position = self.pending_position(ack_id)?;
        let pending = self.pending.get_mut(position)?;
        pending.outcome += outcome;
        pending.awaited_count = pending.awaited_count.saturating_sub(1);
        if pending.awaited_count > 0 {
            return None;
        }
        let Pending {
            audience, outcome, ..
        } = self.pending.remove(position)?;
        Some((audience, outcome))
    }

    /// A request was carried out with success.
    pub(super) fn push_done(&mut self, ack_id: u64) {
        self.greatest = self.greatest.max(Some(ack_id));
        match self.done.back_mut() {
            Some(run) if run.last.checked_add(1) == Some(ack_id) => run.last = ack_id,
            _ => {
                if self.done.is_empty() {
                    // Most clients count upwards and never have another.
                    self.done.reserve_exact(1);
                }
                self.done.push_back(Run {
                    first: ack_id,
                    last: ack_id,
                });
            }
        }
        if self.done_count < DONE_MAX {
            self.done_count += 1;
        } else {
            self.forget_oldest();
        }
    }

    /// Forgets the id that has been done for the longest time.
    fn forget_oldest(&mut self) {
        if let Some(run) = self.done.front_mut() {
            if run.first < run.last {
                run.first += 1;
            } else {
                self.done.pop_front();
            }
        }
    }

    /// Whether a request of this id is among the last that were done.
    fn is_done(&self, ack_id: u64) -> bool {
        self.done
            .iter()
            .any(|run| run.first <= ack_id && ack_id <= run.last)
    }

    /// Where in the list of requests under way this one is.
    fn pending_position(&self, ack_id: u64) -> Option<usize> {
        self.pending
            .iter()
            .position(|pending| pending.ack_id == ack_id)
    }
}

/// A request under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// Its id.
    ack_id: u64,
    /// For whom the message is.
    audience: Audience,
    /// Deliveries whose outcome is not known.
    awaited_count: u32,
    /// What became of the others.
    outcome: Outcome,
}

/// Ids that follow each other; both ends belong to it.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The least of them.
    first: u64,
    /// The greatest.
    last: u64,
}

#[cfg(test)]
mod tests {
    use super::{AckLog, Audience, DONE_MAX, PENDING_MAX};
    use crate::delivery::Outcome;
    use crate::endpoints::pubsub::refusal::Refusal;

    /// A log in which all of `ids` are done.
    fn done(ids: impl IntoIterator<Item = u64>) -> AckLog {
        let mut log = AckLog::default();
        for id in ids {
            assert_eq!(log.admit(id), Ok(()));
            log.push_done(id);
        }
        log
    }

    #[test]
    fn an_id_is_refused_while_its_request_is_under_way_and_when_it_is_done() {
        let mut log = AckLog::default();
        let outcome = |recipients, dropped| Outcome {
            recipients,
            dropped,
        };
        log.push_pending(7, Audience::Direct, 2);
        assert_eq!(log.add_outcome(7, outcome(1, 0)), None);
        assert_eq!(log.admit(7), Err(Refusal::Duplicate));
        let all = Some((Audience::Direct, outcome(3, 1)));
        assert_eq!(log.add_outcome(7, outcome(2, 1)), all);
        assert_eq!(log.admit(7), Ok(()), "it may have failed");
        log.push_done(7);
        assert_eq!(log.admit(7), Err(Refusal::Duplicate));
        assert_eq!(log.add_outcome(7, outcome(1, 0)), None);
    }

    #[test]
    fn the_last_1024_ids_are_remembered_and_no_more() {
        let count = DONE_MAX as u64;
        let upwards: Vec<u64> = (0..=count).collect();
        let downwards: Vec<u64> = (0..=count).map(|n| u64::MAX - n).collect();
        let scattered: Vec<u64> = (0..=count)
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        for ids in [upwards, downwards, scattered] {
            let log = done(ids.iter().copied());
            assert_eq!(log.admit(ids[0]), Ok(()));
            for &id in &ids[1..] {
                assert_eq!(log.admit(id), Err(Refusal::Duplicate));
            }
            assert_eq!(log.done_count, DONE_MAX);
        }
    }

    #[test]
    fn counting_upwards_takes_a_single_run() {
        assert_eq!(done(1..=5000).done.len(), 1);
    }

    #[test]
    fn ids_at_the_ends_of_their_range_are_ids_like_others() {
        let log = done([u64::MAX, 0]);
        assert_eq!(log.admit(u64::MAX), Err(Refusal::Duplicate));
        assert_eq!(log.admit(0), Err(Refusal::Duplicate));
        assert_eq!(log.admit(1), Ok(()));
    }

    #[test]
    fn requests_under_way_are_limited() {
        let mut log = AckLog::default();
        for id in 0..PENDING_MAX as u64 {
            assert_eq!(log.admit(id), Ok(()));
            log.push_pending(id, Audience::Members, 1);
        }
        assert_eq!(log.admit(u64::MAX), Err(Refusal::TooManyPending));
        assert_eq!(log.admit(3), Err(Refusal::Duplicate));
        assert!(log.add_outcome(3, Outcome::default()).is_some());
        assert_eq!(log.admit(u64::MAX), Ok(()));
    }
}
