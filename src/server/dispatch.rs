//! What the application asked for, done: replies, deliveries on this loop and to others, memberships, ends.

use std::io;

use super::application::SharedFrames;
use super::compression::Parcel;
use super::connection::Connection;
use super::errand::{Errand, Task};
use super::event_loop::EventLoop;
use super::fan_out::Haste;
use super::mailbox::{Letter, ReceiptAddress};
use super::receipts::{ReceiptKey, Report};
use super::socket::Socket;
use super::tokens::key_of;
use crate::delivery::{Delivery, Outcome, Recipients, SessionId};
use crate::handler::{Handler, Receipt, What, Wish};
use crate::http::Response;
use crate::proto::{CloseFrame, FrameRange};

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Does everything that was asked for so far, in the order of asking; then those leave whose WebSocket has ended.
    ///
    /// # Errors
    ///
    /// What the system says if another loop cannot be woken.
    pub(super) fn grant_wishes(&mut self) -> io::Result<()> {
        let mut posted = Ok(());
        if !self.application.wishes.is_empty() {
            posted = self.grant_in_order();
        }
        for id in std::mem::take(&mut self.application.closed) {
            self.registry.remove(id);
            if let Some(connection) = self.connections.get_mut(key_of(id)) {
                connection.push_owed_close();
                self.dirty.add(id, &mut connection.is_dirty);
            }
        }
        posted
    }

    fn grant_in_order(&mut self) -> io::Result<()> {
        let mut posted = Ok(());
        let frames = self.application.share_frames();
        // Receipts are told on the way and may lead to new wishes, so the list is taken out and given back.
        let spare = std::mem::take(&mut self.spare_wishes);
        let mut wishes = std::mem::replace(&mut self.application.wishes, spare);
        let mut ungranted = wishes.drain(..);
        while let Some(Wish { session, what }) = ungranted.next() {
            match what {
                What::Deliver {
                    mut delivery,
                    token,
                } => {
                    let rest = ungranted.as_slice();
                    let joined_count = join_following(&mut delivery, token, rest);
                    let haste = Haste::when(joined_count == rest.len());
                    if joined_count > 0 {
                        ungranted.nth(joined_count - 1);
                    }
                    let mut delivery = delivery.map(|range| Parcel::new(frames.slice(range)));
                    posted = self.deliver(session, &mut delivery, token, haste);
                }
                what => self.grant(session, what, &frames),
            }
        }
        drop(ungranted);
        self.spare_wishes = wishes;
        posted
    }

    /// Does what was asked for, if that is no delivery.
    fn grant(&mut self, session: SessionId, what: What<H::Note>, frames: &SharedFrames) {
        match what {
            What::Reply(range, count) => self.reply(session, &frames.slice(range), count),
            What::Deliver { .. } => unreachable!("deliveries are granted together"),
            What::Command {
                recipients,
                except,
                command,
                token,
            } => {
                let task = Task::Command(command, except);
                self.send_on_errand(session, &Errand { recipients, task }, token);
            }
            What::List {
                recipients,
                page,
                token,
            } => {
                let task = Task::List(page);
                self.send_on_errand(session, &Errand { recipients, task }, token);
            }
            What::Respond(response) => self.respond(session, &response),
            What::Join(group) => {
                // A wish can outlive the one who had it.
                if self.is_present(session) {
                    self.registry.join(session, group);
                }
            }
            What::Leave(group) => {
                self.registry.leave(session, &group);
            }
            What::Acknowledge(number) => self.acknowledge(session, number),
            What::Replay => self.replay(session),
            What::Note { loop_index, note } => self.pass_on(loop_index, note),
            What::Close(code, reason) => self.close(
                session,
                CloseFrame {
                    code,
                    reason: &reason,
                },
            ),
        }
    }

    /// Hands a note to the application of a loop: this one gets it at once, and its wishes are done after these.
    fn pass_on(&mut self, loop_index: usize, note: H::Note) {
        if loop_index == usize::from(self.index) {
            self.application.on_note(note);
        } else {
            self.post_office.send(loop_index, Letter::Note(note));
        }
    }

    /// Delivers what another loop sent, and tells it the outcome if it asked.
    pub(super) fn on_delivery(
        &mut self,
        delivery: &mut Delivery<Parcel>,
        address: Option<ReceiptAddress>,
        haste: Haste,
    ) {
        let outcome = self.deliver_here(delivery, haste);
        if let Some(ReceiptAddress { loop_index, key }) = address {
            self.post_office
                .send(loop_index, Letter::Receipt(key, outcome.into()));
        }
    }

    /// Runs an errand of another loop, and tells it what became of that.
    pub(super) fn on_errand(&mut self, errand: &Errand, address: ReceiptAddress) {
        let report = self.run_here(errand);
        let ReceiptAddress { loop_index, key } = address;
        self.post_office
            .send(loop_index, Letter::Receipt(key, report));
    }

    /// Another loop tells what became of a delivery or an errand.
    pub(super) fn on_receipt(&mut self, key: ReceiptKey, report: Report) {
        if let Some((session, receipt)) = self.receipts.add(key, report) {
            self.tell(session, receipt);
        }
    }

    /// Delivers to recipients on every loop, and sees to it that the sender hears of the outcome if it asked.
    ///
    /// # Errors
    ///
    /// What the system says if another loop has to be woken at once and cannot be.
    fn deliver(
        &mut self,
        sender: SessionId,
        delivery: &mut Delivery<Parcel>,
        token: Option<u64>,
        haste: Haste,
    ) -> io::Result<()> {
        let others = self.others_concerned(&delivery.recipients);
        let other_count = others.clone().count();
        let address = token
            .filter(|_| other_count > 0)
            .map(|token| ReceiptAddress {
                loop_index: usize::from(self.index),
                key: self.receipts.await_reports(
                    sender,
                    Report::default().into_receipt(token),
                    other_count + 1,
                ),
            });
        if other_count > 0
            && delivery
                .frame
                .may_be_compressed(delivery.terms.as_deref(), &self.now)
        {
            delivery.frame.share_forms();
        }
        for index in others {
            self.post_office
                .send(index, Letter::Deliver(delivery.clone(), address));
        }
        let posted = match haste {
            // Before anybody gets it: whoever acts on that from another loop must not be faster.
            Haste::AtOnce => self.post_office.post_all(),
            Haste::WithTheTurn => Ok(()),
        };
        let outcome = if self.is_concerned(&delivery.recipients) {
            self.deliver_here(delivery, haste)
        } else {
            Outcome::default()
        };
        match (address, token) {
            (Some(ReceiptAddress { key, .. }), _) => self.on_receipt(key, outcome.into()),
            (None, Some(token)) => self.tell(sender, Report::from(outcome).into_receipt(token)),
            (None, None) => {}
        }
        posted
    }

    /// Runs an errand on every loop, and sees to it that whoever sent it hears of it.
    fn send_on_errand(&mut self, sender: SessionId, errand: &Errand, token: u64) {
        let report = if self.is_concerned(&errand.recipients) {
            self.run_here(errand)
        } else {
            Report::default()
        };
        let receipt = Some(report.into_receipt(token));
        let Some(address) = self.await_others(sender, &errand.recipients, receipt) else {
            return;
        };
        for index in self.others_concerned(&errand.recipients) {
            self.post_office
                .send(index, Letter::Errand(errand.clone(), address));
        }
    }

    /// Whether any of the recipients can be on this loop.
    fn is_concerned(&self, recipients: &Recipients) -> bool {
        match recipients {
            Recipients::One(id) | Recipients::Member(id, _) => {
                id.loop_index() == usize::from(self.index)
            }
            Recipients::Group(_) => true,
        }
    }

    /// The other loops that recipients can be on.
    fn others_concerned(
        &self,
        recipients: &Recipients,
    ) -> impl Iterator<Item = usize> + Clone + use<H, S> {
        let loops = match recipients {
            Recipients::One(id) | Recipients::Member(id, _) => id.loop_index()..id.loop_index() + 1,
            Recipients::Group(_) => 0..self.now.config.loop_count,
        };
        let (own_index, loop_count) = (usize::from(self.index), self.now.config.loop_count);
        loops.filter(move |&index| index != own_index && index < loop_count)
    }

    /// Where the other loops are to send their reports, if they are to. If there are none to wait for, the sender is told
    /// at once.
    fn await_others(
        &mut self,
        sender: SessionId,
        recipients: &Recipients,
        receipt: Option<Receipt>,
    ) -> Option<ReceiptAddress> {
        let receipt = receipt?;
        let other_count = self.others_concerned(recipients).count();
        if other_count == 0 {
            self.tell(sender, receipt);
            return None;
        }
        Some(ReceiptAddress {
            loop_index: usize::from(self.index),
            key: self.receipts.await_reports(sender, receipt, other_count),
        })
    }

    /// Answers a request that waits for its response; what came behind it is read in the next turn.
    fn respond(&mut self, session: SessionId, response: &Response) {
        if let Some(connection) = self.connections.get_mut(key_of(session))
            && connection.respond(response, &self.now)
        {
            self.unfinished
                .add_first(session, &mut connection.is_unfinished);
            self.touch(session);
        }
    }

    /// Tells the sender what became of its delivery or errand.
    fn tell(&mut self, session: SessionId, receipt: Receipt) {
        if let Some(connection) = self.connections.get_mut(key_of(session)) {
            connection.on_receipt(session, receipt, &mut self.application);
        }
    }

    fn close(&mut self, session: SessionId, close: CloseFrame<'_>) {
        if let Some(connection) = self.connections.get_mut(key_of(session)) {
            connection.close(close, &self.now);
            self.touch(session);
        }
    }

    fn is_present(&self, session: SessionId) -> bool {
        self.connections
            .get(key_of(session))
            .is_some_and(Connection::is_present)
    }
}

/// Has a delivery bring along what follows it to the same recipients on the same terms, of which nobody wants to know
/// the outcome; returns how many wishes that were.
fn join_following<N>(
    delivery: &mut Delivery<FrameRange>,
    token: Option<u64>,
    following: &[Wish<N>],
) -> usize {
    if token.is_some() {
        return 0;
    }
    let joined = following.iter().take_while(|wish| match &wish.what {
        What::Deliver {
            delivery: next,
            token: None,
        } if next.recipients == delivery.recipients
            && next.except == delivery.except
            && next.terms == delivery.terms
            && delivery.frame.try_merge(next.frame) =>
        {
            delivery.message_count += next.message_count;
            true
        }
        _ => false,
    });
    joined.count()
}
