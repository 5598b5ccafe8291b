//! What the application asked for, done: replies, deliveries on this loop and to others, memberships, ends.

use super::connection::Connection;
use super::errand::{Errand, Task};
use super::event_loop::EventLoop;
use super::mailbox::{Letter, ReceiptAddress};
use super::receipts::{ReceiptKey, Report};
use super::recovery::Numbered;
use super::socket::Socket;
use super::tokens::key_of;
use crate::delivery::{Delivery, Outcome, Recipients, SessionId};
use crate::handler::{Handler, Receipt, What, Wish};
use crate::http::Response;
use crate::outbox::{Overflow, Pushed};
use crate::proto::{CloseFrame, EncodedFrame};

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Does everything that was asked for so far, in the order of asking; then those leave whose WebSocket has ended.
    pub(super) fn grant_wishes(&mut self) {
        if !self.application.wishes.is_empty() {
            self.grant_in_order();
        }
        for id in std::mem::take(&mut self.application.closed) {
            self.registry.remove(id);
            if let Some(connection) = self.connections.get_mut(key_of(id)) {
                connection.push_owed_close();
                self.dirty.add(id, &mut connection.is_dirty);
            }
        }
    }

    fn grant_in_order(&mut self) {
        let frames = self.application.share_frames();
        // Receipts are told on the way and may lead to new wishes, so the list is taken out and given back.
        let spare = std::mem::take(&mut self.spare_wishes);
        let mut wishes = std::mem::replace(&mut self.application.wishes, spare);
        for Wish { session, what } in wishes.drain(..) {
            match what {
                What::Reply(range, count) => {
                    self.reply(session, &frames.slice(range), count);
                }
                What::Deliver { delivery, token } => {
                    let delivery = delivery.map(|range| frames.slice(range));
                    self.deliver(session, &delivery, token);
                }
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
        self.spare_wishes = wishes;
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
        delivery: &Delivery<EncodedFrame>,
        address: Option<ReceiptAddress>,
    ) {
        let outcome = self.deliver_here(delivery);
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
    fn deliver(
        &mut self,
        sender: SessionId,
        delivery: &Delivery<EncodedFrame>,
        token: Option<u64>,
    ) {
        let outcome = if self.is_concerned(&delivery.recipients) {
            self.deliver_here(delivery)
        } else {
            Outcome::default()
        };
        let receipt = token.map(|token| Report::from(outcome).into_receipt(token));
        let address = self.await_others(sender, &delivery.recipients, receipt);
        for index in self.others_concerned(&delivery.recipients) {
            self.post_office
                .send(index, Letter::Deliver(delivery.clone(), address));
        }
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

    /// Puts the frame into the outbox of every recipient that lives on this loop: one range each, no copy.
    fn deliver_here(&mut self, delivery: &Delivery<EncodedFrame>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut numbered = Numbered::default();
        let feed = delivery
            .terms
            .as_ref()
            .and_then(|terms| Some((self.registry.feed(&delivery.recipients)?, terms)));
        for &id in self.registry.recipients(&delivery.recipients) {
            if delivery.except.contains(id) {
                continue;
            }
            let Some(connection) = self
                .connections
                .get_mut(key_of(id))
                .filter(|connection| connection.can_receive())
            else {
                continue;
            };
            let pushed = match (&connection.recovery, feed) {
                // What it loses it is sent again, so nothing may be missing in its count.
                (Some(_), _) => numbered
                    .send(id, connection, &delivery.frame, &self.now)
                    .map(|()| Pushed::Queued),
                (None, None) => connection
                    .send(&delivery.frame, &self.now)
                    .map(|()| Pushed::Queued),
                (None, Some((feed, terms))) => {
                    connection.send_of(feed, terms, &delivery.frame, &self.now)
                }
            };
            connection.account_for(pushed, 1, &self.now.counters);
            match pushed {
                Ok(Pushed::Queued) => outcome.recipients += 1,
                Ok(Pushed::Dropped) | Err(Overflow) => outcome.dropped += 1,
            }
            self.dirty.add(id, &mut connection.is_dirty);
        }
        numbered.push_into(&mut self.connections);
        outcome
    }

    /// Sends frames, of so many messages, to the one who asked for them.
    fn reply(&mut self, session: SessionId, frames: &EncodedFrame, count: u32) {
        if let Some(connection) = self
            .connections
            .get_mut(key_of(session))
            .filter(|connection| connection.can_send())
        {
            let pushed = connection.send(frames, &self.now);
            let pushed = pushed.map(|()| Pushed::Queued);
            connection.account_for(pushed, count, &self.now.counters);
            self.dirty.add(session, &mut connection.is_dirty);
        }
    }

    /// Answers a request that waits for its response; what came behind it is read in the next turn.
    fn respond(&mut self, session: SessionId, response: &Response) {
        if let Some(connection) = self.connections.get_mut(key_of(session))
            && connection.respond(response, &self.now)
        {
            self.unfinished.add(session, &mut connection.is_unfinished);
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
