//! Those that a budget has cut off, and in which order they go on.

use std::collections::VecDeque;

use crate::delivery::SessionId;

/// How many budgets one connection may use up in a row, with the events of all others in between, before those who wait
/// with it have their turn.
///
/// What a peer sends while it is being served is still in the caches. What one of fifty has sent is not, if it was read
/// last when all others had a budget each: messages of 64 KiB cost 38 µs instead of 29 then. But the longer a run is,
/// the longer do the others wait for theirs.
const RUN_LEN_MAX: u32 = 16;

/// A line of connections that each know whether they stand in it, so that nobody does twice.
#[derive(Debug, Default)]
pub(super) struct WaitingLine {
    line: VecDeque<SessionId>,
    /// Who has gone on last, and how often in a row it was cut off again.
    run: Option<(SessionId, u32)>,
}

impl WaitingLine {
    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// Puts `id` behind all others unless its mark is set, and sets the mark.
    pub(super) fn add(&mut self, id: SessionId, mark: &mut bool) {
        if !std::mem::replace(mark, true) {
            self.line.push_back(id);
        }
    }

    /// Puts `id` before all others unless its mark is set, and sets the mark.
    pub(super) fn add_first(&mut self, id: SessionId, mark: &mut bool) {
        if !std::mem::replace(mark, true) {
            self.line.push_front(id);
        }
    }

    /// Puts `id`, which has used up its budget, before all others as long as its run lasts, and then behind them.
    pub(super) fn add_runner(&mut self, id: SessionId, mark: &mut bool) {
        match &mut self.run {
            Some((runner, run_len)) if *runner == id && *run_len < RUN_LEN_MAX => {
                *run_len += 1;
                self.add_first(id, mark);
            }
            _ => {
                self.run = None;
                self.add(id, mark);
            }
        }
    }

    /// Takes out who goes on next; its mark is the caller's business.
    pub(super) fn next(&mut self) -> Option<SessionId> {
        let next = self.line.pop_front()?;
        if self.run.is_none_or(|(runner, _)| runner != next) {
            self.run = Some((next, 1));
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32) -> SessionId {
        SessionId::new(0, slot, 0).unwrap()
    }

    #[test]
    fn sc_04_a_run_ends_and_everybody_else_goes_on_before_the_next() {
        let mut line = WaitingLine::default();
        let mut marks = [false; 4];
        for slot in 1..4 {
            line.add(id(slot), &mut marks[slot as usize]);
            line.add(id(slot), &mut marks[slot as usize]);
        }
        let mut runs: Vec<(SessionId, u32)> = Vec::new();
        for _ in 0..6 * RUN_LEN_MAX {
            assert_eq!(line.len(), 3);
            let next = line.next().unwrap();
            match runs.last_mut() {
                Some((runner, run_len)) if *runner == next => *run_len += 1,
                _ => runs.push((next, 1)),
            }
            line.add_runner(next, &mut false);
        }
        let expected = [1, 2, 3, 1, 2, 3].map(|slot| (id(slot), RUN_LEN_MAX));
        assert_eq!(runs, expected);
    }

    #[test]
    fn a_run_is_over_when_its_runner_has_nothing_more() {
        let mut line = WaitingLine::default();
        line.add(id(1), &mut false);
        assert_eq!(line.next(), Some(id(1)));
        assert!(line.is_empty());
        line.add(id(2), &mut false);
        line.add_first(id(3), &mut false);
        assert_eq!(line.next(), Some(id(3)));
        line.add_runner(id(1), &mut false);
        assert_eq!(line.next(), Some(id(2)), "another has gone on since");
        assert_eq!(line.next(), Some(id(1)));
        assert_eq!(line.next(), None);
    }
}
