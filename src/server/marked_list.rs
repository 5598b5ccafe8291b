//! Lists of connections to which something happened.

use crate::delivery::SessionId;

/// A list of connections that each know whether they are on it, so that nobody is on it twice.
#[derive(Debug, Default)]
pub(super) struct MarkedList(Vec<SessionId>);

impl MarkedList {
    /// Adds `id` unless its mark is set, and sets the mark.
    pub(super) fn add(&mut self, id: SessionId, mark: &mut bool) {
        if !std::mem::replace(mark, true) {
            self.0.push(id);
        }
    }

    /// Whether nobody is on it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes everybody off; their marks are the caller's business.
    pub(super) fn take(&mut self) -> Vec<SessionId> {
        std::mem::take(&mut self.0)
    }

    /// Gives the memory of an emptied list back, if nobody was added since.
    pub(super) fn give_back(&mut self, emptied: Vec<SessionId>) {
        if self.0.is_empty() {
            self.0 = emptied;
        }
    }
}
