//! What one connection wants of others, run among those of this loop.

use std::collections::BinaryHeap;

use super::application::Application;
use super::connection::Connection;
use super::event_loop::EventLoop;
use super::receipts::Report;
use super::socket::Socket;
use super::tokens::key_of;
use crate::delivery::{Except, Member, Outcome, Page, Recipients, SessionId};
use crate::handler::{Command, Handler};

/// Something that every loop with recipients is to do.
#[derive(Clone, Debug)]
pub(super) struct Errand {
    pub(super) recipients: Recipients,
    pub(super) task: Task,
}

/// What is to be done with the recipients.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// To ask something of each, save those who are left out.
    Command(Command, Except),
    /// To tell who they are.
    List(Page),
}

impl<P, S: Socket> Connection<P, S> {
    /// Has the application do what another connection asks of this one; returns whether it did.
    fn on_command<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        command: &Command,
        application: &mut Application<H>,
    ) -> bool {
        let Some(peer) = &mut self.peer else {
            return false;
        };
        let (handler, mut out) = application.for_session(id);
        let is_done = handler.on_command(peer, command, &mut out);
        if out.is_closing() {
            self.session.stop_listening();
        }
        is_done
    }
}

impl<H: Handler, S: Socket> EventLoop<H, S> {
    /// Runs an errand among the connections of this loop.
    pub(super) fn run_here(&mut self, Errand { recipients, task }: &Errand) -> Report {
        match task {
            Task::Command(command, except) => self.command_here(recipients, except, command).into(),
            Task::List(page) => self.list_here(recipients, *page),
        }
    }

    fn command_here(
        &mut self,
        recipients: &Recipients,
        except: &Except,
        command: &Command,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        for &id in self.registry.recipients(recipients) {
            let Some(connection) = self
                .connections
                .get_mut(key_of(id))
                .filter(|connection| connection.is_present() && !except.contains(id))
            else {
                continue;
            };
            if connection.on_command(id, command, &mut self.application) {
                outcome.recipients += 1;
            } else {
                outcome.dropped += 1;
            }
        }
        outcome
    }

    /// Counts all recipients and names those of the page; the rest costs no memory.
    fn list_here(&self, recipients: &Recipients, page: Page) -> Report {
        let mut count = 0;
        let mut first = BinaryHeap::with_capacity(page.len_max.saturating_add(1));
        for &id in self.registry.recipients(recipients) {
            let connection = self.connections.get(key_of(id));
            if !connection.is_some_and(|connection| connection.is_present()) {
                continue;
            }
            count += 1;
            if page.after.is_none_or(|after| id > after) {
                first.push(id);
                if first.len() > page.len_max {
                    first.pop();
                }
            }
        }
        let name_of = |id| {
            let peer = self.connections.get(key_of(id))?.peer.as_ref()?;
            self.application.handler.name_of(peer).map(Box::from)
        };
        let members = first.into_sorted_vec().into_iter().map(|session| Member {
            session,
            name: name_of(session),
        });
        Report {
            outcome: Outcome {
                recipients: count,
                dropped: 0,
            },
            members: members.collect(),
        }
    }
}
