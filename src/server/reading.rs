//! What a connection does with what its socket has: bytes to the session, and what that makes of them to the application.

use std::io;

use super::application::Application;
use super::connection::{Connection, Now, Progress};
use super::fairness::PORTION_BYTES;
use super::places::Place;
use super::requests::answer_to;
use super::socket::Socket;
use crate::delivery::SessionId;
use crate::handler::{Answer, Handler, Recover};
use crate::http::{HttpError, Response};
use crate::proto::{AtHand, Inflater, Message};
#[cfg(feature = "tls")]
use crate::session::Cause;
use crate::session::{Event, Intake};
#[cfg(feature = "tls")]
use crate::tls::TlsFault;

/// How far a socket is to be read, apart from the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadExtent {
    /// Until a read brings less than it could: the socket was empty then, and whatever comes later is another event. This
    /// saves a system call for each event. It is right for bytes only: the end of a stream that was there before the
    /// last read brings no event any more.
    UntilDrained,
    /// Until the socket says that it has nothing, whatever events there were.
    UntilBlocked,
    /// The same, with a small budget: others wait.
    Portion,
}

/// What becomes of an input when it has been dealt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It stays as it is until the frames of the turn are shared, so that messages can be sent on from it.
    UntilShared,
    /// Nobody can send anything from it.
    Elsewhere,
}

impl Kept {
    /// The message, if it can be sent on from the input of so many bytes, of which `rest` is left.
    #[inline]
    fn at_hand<'a>(
        self,
        message: Message<'a>,
        rest: &[u8],
        input_len: usize,
    ) -> Option<AtHand<'a>> {
        match self {
            Self::UntilShared => AtHand::find(message.payload(), rest, input_len),
            Self::Elsewhere => None,
        }
    }
}

impl<P, S: Socket> Connection<P, S> {
    /// Reads as far as `extent` says or until the budget is used up, and hands every event to the application. Nothing more
    /// is read once messages are sent on from the buffer, which is to be shared then.
    pub(super) fn read<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        extent: ReadExtent,
        buffer: &mut [u8],
        application: &mut Application<H>,
        now: &Now,
    ) -> Progress {
        let soft_bytes_max = self.soft_bytes_max(now);
        if self.is_held_back(now) || !self.session.wants_input(&self.outbox, soft_bytes_max) {
            return Progress::Done;
        }
        if self.has_held()
            && let Some(progress) = self.read_held(id, application, now)
        {
            return progress;
        }
        let mut budget = match extent {
            ReadExtent::Portion => now.config.read_budget_bytes.min(PORTION_BYTES),
            ReadExtent::UntilDrained | ReadExtent::UntilBlocked => now.config.read_budget_bytes,
        };
        while self.session.wants_input(&self.outbox, soft_bytes_max) {
            let room = (buffer.len() / 2).min(budget);
            match self.link.read(buffer, room) {
                Ok(0) => {
                    self.session.on_eof(&self.outbox, now.moment, &now.config);
                    self.tell_end(id, application, now);
                    break;
                }
                Ok(mut count) => {
                    if count == room && extent != ReadExtent::Portion {
                        count += self.read_rest_of_frame(buffer, count);
                    }
                    now.counters.bytes_in.add(count as u64);
                    let input = &mut buffer[..count];
                    let recover = self.on_bytes(id, input, Kept::UntilShared, application, now);
                    if let Some(recover) = recover {
                        return Progress::Recovers(recover);
                    }
                    let has_passed = application.frames.has_passed();
                    if has_passed {
                        application.frames.write_passed_headers(input);
                    }
                    let is_drained = count < room && extent == ReadExtent::UntilDrained;
                    let is_empty = is_drained && !self.link.has_unread() && self.unread_len() == 0;
                    if self.is_held_back(now) || is_empty {
                        break;
                    }
                    budget = budget.saturating_sub(self.link.read_cost(count));
                    if budget == 0 || has_passed || self.unread_len() > 0 {
                        return Progress::Unfinished;
                    }
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    log::debug!("{id}: read: {error}");
                    self.on_read_error(&error, now);
                }
            }
            self.tell_end(id, application, now);
        }
        self.count_if_encrypted(now);
        Progress::Done
    }

    /// Counts a connection once encryption was agreed upon.
    #[inline]
    fn count_if_encrypted(&mut self, now: &Now) {
        if self.link.take_established() {
            now.counters.encrypted.add(1);
        }
    }

    /// Whether anything was read before and could not be dealt with.
    #[inline]
    fn has_held(&self) -> bool {
        self.session.has_held() || self.unread_len() > 0
    }

    /// Goes on with what was read before and could not be dealt with; how that ended, if no more is to be read.
    #[cold]
    fn read_held<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        application: &mut Application<H>,
        now: &Now,
    ) -> Option<Progress> {
        let mut held = self.session.take_held();
        if held.is_empty() {
            held = self.take_unread();
        }
        if !held.is_empty()
            && let Some(recover) = self.on_bytes(id, &mut held, Kept::Elsewhere, application, now)
        {
            return Some(Progress::Recovers(recover));
        }
        (self.unread_len() > 0).then_some(Progress::Unfinished)
    }

    #[cfg_attr(
        not(feature = "tls"),
        expect(unused_variables, reason = "only encryption has faults of its own")
    )]
    /// The socket cannot be read any more, or what it has cannot be decrypted.
    fn on_read_error(&mut self, error: &io::Error, now: &Now) {
        #[cfg(feature = "tls")]
        if let Some(fault) = TlsFault::of(error)
            && !self.session.is_websocket()
        {
            // The peer was told by an alert, if it speaks TLS. What is on its way shall not destroy that.
            self.link.strip();
            match fault {
                TlsFault::NotTls => {
                    let error = HttpError::NotEncrypted;
                    let config = &now.config;
                    self.session
                        .refuse(error, now.moment, config, &mut self.outbox);
                }
                fault => {
                    let cause = Cause::Encryption(fault);
                    self.session.part(cause, now.moment, &now.config);
                }
            }
            return;
        }
        self.session.on_broken();
    }

    /// Reads what a frame lacks that is cut by the end of the bytes read so far, if it fits into the buffer: a message
    /// that is whole there is not copied. Returns how many bytes that were; whatever else the socket has to say, it will
    /// say again.
    fn read_rest_of_frame(&mut self, buffer: &mut [u8], read_len: usize) -> usize {
        let (bytes, rest) = buffer.split_at_mut(read_len);
        let missing_len = self.session.missing_len(bytes);
        if missing_len == 0 || missing_len > rest.len() {
            return 0;
        }
        self.link.read(rest, missing_len).unwrap_or_default()
    }

    /// Tells the application if the WebSocket has ended.
    pub(super) fn tell_end<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        application: &mut Application<H>,
        now: &Now,
    ) {
        if self.session.take_closed() {
            self.on_closed(id, application, now);
        }
    }

    /// What makes sense of compressed messages, if the peer may send some.
    #[inline]
    fn take_inflater<H: Handler<Peer = P>>(
        &self,
        application: &mut Application<H>,
    ) -> Option<Box<Inflater>> {
        let deflate = self.deflate()?;
        Some(application.take_inflater(deflate))
    }

    /// Does what the application makes of a request that `rest` follows; returns what is to go on with another session.
    fn on_answer<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        answer: Answer<P>,
        place: Option<Place>,
        rest: &[u8],
        application: &mut Application<H>,
        now: &Now,
    ) -> Option<Box<(Recover, Vec<u8>)>> {
        if place.is_some() {
            self.hold(place);
        }
        let answer = match answer {
            Answer::Recover(recover) if self.outbox.is_empty() => {
                return Some(Box::new((recover, rest.to_vec())));
            }
            // The response to the request before is not out, and would not get out without the socket.
            Answer::Recover(_) => Answer::Respond(Response::refusal(HttpError::Unavailable)),
            answer => answer,
        };
        self.answer(id, answer, application, now);
        None
    }

    /// Does what is due once everything that was read is dealt with.
    fn settle_intake<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        intake: Intake,
        was_open: bool,
        application: &mut Application<H>,
        now: &Now,
    ) {
        self.tally_intake(intake, was_open);
        if self.charge(intake, now).is_err() {
            self.tell_end(id, application, now);
        }
        if !self.session.is_websocket() {
            self.meet_expectation(application, now);
        }
    }

    /// Has the session make sense of `input`, and the application of what the session found.
    ///
    /// Returns the request to go on with another session, with the input behind it, if that was found.
    pub(super) fn on_bytes<H: Handler<Peer = P>>(
        &mut self,
        id: SessionId,
        mut input: &mut [u8],
        kept: Kept,
        application: &mut Application<H>,
        now: &Now,
    ) -> Option<Box<(Recover, Vec<u8>)>> {
        let message_allowance = self.message_allowance(now);
        let was_open = self.session.is_open();
        let input_len = input.len();
        let mut intake = Intake {
            byte_count: input_len,
            ..Intake::default()
        };
        let mut inflater = self.take_inflater(application);
        let mut said_len = 0;
        while let Some(event) = self.session.next_event_inflating(
            &mut input,
            now.moment,
            &now.config,
            &mut self.outbox,
            inflater.as_deref_mut(),
        ) {
            match event {
                Event::Message(message) => {
                    intake.message_count += 1;
                    if intake.message_count > message_allowance {
                        break;
                    }
                    said_len += message.payload().len();
                    if let Some(peer) = &mut self.peer {
                        let (handler, out) = application.for_session(id);
                        let at_hand = kept.at_hand(message, input, input_len);
                        let mut out = out.with_message_at_hand(at_hand);
                        handler.on_message(peer, message, &mut out);
                        if out.is_closing() {
                            self.session.stop_listening();
                        }
                    }
                    // What comes compressed says far more than was read: the budget is for that, too.
                    let says_much = said_len > now.config.read_budget_bytes;
                    if inflater.is_some() && says_much && !input.is_empty() {
                        intake.byte_count -= input.len();
                        self.keep_unread(input);
                        break;
                    }
                }
                Event::Control => intake.control_frame_count += 1,
                Event::Answered(ping_time) => now.counters.ping_time.observe(ping_time),
                Event::Handled => {}
                Event::Request(request) => {
                    let (answer, place) = answer_to(&request, &self.link, id, application, now);
                    if let Some(recover) =
                        self.on_answer(id, answer, place, input, application, now)
                    {
                        return Some(recover);
                    }
                    // The next bytes may be frames already.
                    inflater = inflater.or_else(|| self.take_inflater(application));
                }
                Event::Closed => self.on_closed(id, application, now),
            }
        }
        application.give_back_inflater(inflater);
        let message_count = intake.message_count.min(message_allowance);
        now.counters.messages_in.add(u64::from(message_count));
        self.settle_intake(id, intake, was_open, application, now);
        None
    }
}
