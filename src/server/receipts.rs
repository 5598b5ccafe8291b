//! Deliveries whose outcome somebody waits for while other loops work on them.

use slotmap::{SlotMap, new_key_type};

use crate::delivery::{Outcome, SessionId};
use crate::handler::Receipt;

new_key_type! {
    /// Names a delivery that waits for loops; stale keys match nothing.
    pub(super) struct ReceiptKey;
}

/// Open questions of one loop to the others.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    pending: SlotMap<ReceiptKey, Pending>,
}

#[derive(Debug)]
struct Pending {
    session: SessionId,
    receipt: Receipt,
    awaited_count: usize,
}

impl Receipts {
    /// Waits for the outcomes of `awaited_count` loops, in addition to what `receipt` has of this one.
    pub(super) fn await_outcomes(
        &mut self,
        session: SessionId,
        receipt: Receipt,
        awaited_count: usize,
    ) -> ReceiptKey {
        self.pending.insert(Pending {
            session,
            receipt,
            awaited_count,
        })
    }

    /// Adds the outcome of one loop; the whole receipt and who asked for it, if that was the last one.
    pub(super) fn add(
        &mut self,
        key: ReceiptKey,
        outcome: Outcome,
    ) -> Option<(SessionId, Receipt)> {
        let pending = self.pending.get_mut(key)?;
        pending.receipt.outcome += outcome;
        pending.awaited_count -= 1;
        if pending.awaited_count > 0 {
            return None;
        }
        self.pending
            .remove(key)
            .map(|pending| (pending.session, pending.receipt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_whole_when_every_loop_has_answered() {
        let session = SessionId::new(0, 1, 1).unwrap();
        let outcome = |recipients, dropped| Outcome {
            recipients,
            dropped,
        };
        let receipt = |outcome| Receipt { token: 7, outcome };
        let mut receipts = Receipts::default();
        let key = receipts.await_outcomes(session, receipt(outcome(1, 0)), 2);
        assert_eq!(receipts.add(key, outcome(2, 1)), None);
        let whole = receipt(outcome(4, 1));
        assert_eq!(receipts.add(key, outcome(1, 0)), Some((session, whole)));
        assert_eq!(
            receipts.add(key, outcome(1, 0)),
            None,
            "a late answer matches nothing"
        );
    }
}
