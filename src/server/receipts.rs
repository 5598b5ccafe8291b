//! Deliveries and errands whose outcome somebody waits for while other loops work on them.

use slotmap::{SlotMap, new_key_type};

use crate::delivery::{Member, Outcome, SessionId};
use crate::handler::Receipt;

new_key_type! {
    /// Names something that waits for loops; stale keys match nothing.
    pub(super) struct ReceiptKey;
}

/// What became of a delivery or an errand on one loop.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) outcome: Outcome,
    /// The answer to a list.
    pub(super) members: Vec<Member>,
}

impl From<Outcome> for Report {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            members: Vec::new(),
        }
    }
}

impl Report {
    /// The same for the one who asked.
    pub(super) fn into_receipt(self, token: u64) -> Receipt {
        Receipt {
            token,
            outcome: self.outcome,
            members: self.members,
        }
    }
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
    /// Waits for the reports of `awaited_count` loops, in addition to what `receipt` has of this one.
    pub(super) fn await_reports(
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

    /// Adds the report of one loop; the whole receipt and who asked for it, if that was the last one.
    pub(super) fn add(&mut self, key: ReceiptKey, report: Report) -> Option<(SessionId, Receipt)> {
        let pending = self.pending.get_mut(key)?;
        pending.receipt.outcome += report.outcome;
        pending.receipt.members.extend(report.members);
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
        let report = |recipients, dropped| Report {
            outcome: Outcome {
                recipients,
                dropped,
            },
            members: vec![Member {
                session: SessionId::from_bits(recipients.into()),
                name: None,
            }],
        };
        let mut receipts = Receipts::default();
        let key = receipts.await_reports(session, report(1, 0).into_receipt(7), 2);
        assert_eq!(receipts.add(key, report(2, 1)), None);
        let mut whole = report(4, 1).into_receipt(7);
        whole.members = [1, 2, 1].map(|n| report(n, 0).members.remove(0)).into();
        assert_eq!(receipts.add(key, report(1, 0)), Some((session, whole)));
        assert_eq!(
            receipts.add(key, report(1, 0)),
            None,
            "a late answer matches nothing"
        );
    }
}
