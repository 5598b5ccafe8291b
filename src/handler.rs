//! The application behind the connections: what it is told, and what it may ask for.
//!
//! A [`Handler`] never touches a connection. It is told what happened, and says to [`Outgoing`] what is to be done
//! about it; the event loop does that when the handler has returned. So no callback can reach into another
//! connection, and everything that is asked for in one turn is encoded into one buffer.
//!
//! Handlers of different loops share nothing. What one has to tell another is a *note* ([`Handler::Note`]), which
//! arrives once; notes from one loop to another keep their order.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::delivery::{
    Delivery, Except, GroupName, Member, Numbering, Outcome, Page, Recipients, RecoveryToken,
    SessionId,
};
use crate::http::{ClientAddress, Handshake, Request, Response, Scheme};
use crate::metrics::Metrics;
use crate::proto::{AtHand, CloseCode, FrameBuffer, FrameRange, Message, OpCode};

/// An application: every loop has its own clone, and what it knows of one connection is its [`Handler::Peer`].
pub trait Handler: Clone + Send + 'static {
    /// What the application remembers of one open WebSocket, or of one request that it answers later.
    type Peer: Send;

    /// What the handler of one loop tells that of another; `()` if they have nothing to say.
    type Note: Send;

    /// The handler is about to serve: comes once, before anything else, and says where among all loops, and where they
    /// count what they do.
    fn on_start(&mut self, place: LoopPlace, metrics: &Metrics) {
        let _ = (place, metrics);
    }

    /// A request is complete: answer it, now or later, or accept it as a WebSocket.
    fn on_request(
        &mut self,
        request: &Request<'_>,
        arrival: Arrival,
        out: &mut Outgoing<'_, Self::Note>,
    ) -> Answer<Self::Peer>;

    /// A request is complete while the server is going away: a response for those who watch that, and `None` for all
    /// others, who are told that the server is unavailable.
    fn on_request_while_draining(
        &self,
        request: &Request<'_>,
        arrival: Arrival,
    ) -> Option<Response> {
        let _ = (request, arrival);
        None
    }

    /// The head of a request is complete, and its client waits with the body until it is told to send it.
    ///
    /// # Errors
    ///
    /// What the client is told instead; the connection ends then.
    fn on_expectation(&mut self, request: &Request<'_>, arrival: Arrival) -> Result<(), Response> {
        let _ = (request, arrival);
        Ok(())
    }

    /// The opening handshake is done; what is sent now goes out right behind it.
    fn on_open(&mut self, peer: &mut Self::Peer, out: &mut Outgoing<'_, Self::Note>) {
        let _ = (peer, out);
    }

    /// A whole message has come.
    fn on_message(
        &mut self,
        peer: &mut Self::Peer,
        message: Message<'_>,
        out: &mut Outgoing<'_, Self::Note>,
    );

    /// A new socket goes on with the session of `peer`, which missed nothing that it will not get again. What is sent now
    /// goes out right behind the handshake; [`Outgoing::replay`] has to follow.
    fn on_recovered(&mut self, peer: &mut Self::Peer, out: &mut Outgoing<'_, Self::Note>) {
        let _ = (peer, out);
    }

    /// Somebody wanted to go on with a session that there is, and showed another secret than its own: a guess, most likely.
    fn on_wrong_token(&mut self, client: ClientAddress, moment: Moment) {
        let _ = (client, moment);
    }

    /// What was asked for with a receipt has been done on every loop.
    fn on_receipt(
        &mut self,
        peer: &mut Self::Peer,
        receipt: Receipt,
        out: &mut Outgoing<'_, Self::Note>,
    ) {
        let _ = (peer, receipt, out);
    }

    /// Another connection asks something of this WebSocket; returns whether it was done.
    fn on_command(
        &mut self,
        peer: &mut Self::Peer,
        command: &Command,
        out: &mut Outgoing<'_, Self::Note>,
    ) -> bool {
        let _ = (peer, command, out);
        false
    }

    /// Who is connected, as lists of connections tell it.
    fn name_of<'p>(&self, peer: &'p Self::Peer) -> Option<&'p str> {
        let _ = peer;
        None
    }

    /// The WebSocket has ended, whoever ended it; its memberships are gone. Comes once for each `on_open`.
    fn on_close(&mut self, peer: Self::Peer, out: &mut Outgoing<'_, Self::Note>) {
        let _ = (peer, out);
    }

    /// A note has come, from another loop or this one. It is on behalf of no connection that something is asked for
    /// here, so there is nobody to reply to: deliver.
    fn on_note(&mut self, note: Self::Note, out: &mut Outgoing<'_, Self::Note>) {
        let _ = (note, out);
    }

    /// All that has happened so far was told, so what was put off to be said in one can be said now.
    ///
    /// Comes at the end of each turn at which [`Handler::has_put_off`] says so, in between when much has piled up, and again
    /// when it has asked for anything. As with a note, there is nobody to reply to.
    fn on_turn_end(&mut self, out: &mut Outgoing<'_, Self::Note>) {
        let _ = out;
    }

    /// Whether [`Handler::on_turn_end`] has anything to say; asked for several times in each turn.
    fn has_put_off(&self) -> bool {
        false
    }
}

/// Which of the loops a handler serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoopPlace {
    /// Its number, below `count`.
    pub index: usize,
    /// How many loops there are; at least one.
    pub count: usize,
}

impl LoopPlace {
    /// The place of a handler that no server has started.
    pub const ALONE: Self = Self { index: 0, count: 1 };
}

/// What the address is for that a connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// For clients: one of [`Config::listen`](crate::config::Config::listen).
    Public,
    /// For monitoring: [`Config::metrics_listen`](crate::config::Config::metrics_listen).
    Metrics,
}

/// Whence and when a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The other end of the connection.
    pub remote: SocketAddr,
    /// Which of the addresses of the server it came to.
    pub entrance: Entrance,
    /// How it came.
    pub scheme: Scheme,
    /// Who counts as the client: the other end, or whom a trusted proxy speaks for.
    pub client: ClientAddress,
    /// The time on the clock of the server, which nobody sets.
    pub moment: Moment,
    /// Whether so much waits for the peers of all loops that it had better not become more.
    pub is_overloaded: bool,
    /// The time on the wall, which is what tokens are dated by: whole seconds since the beginning of 1970.
    pub unix_seconds: u64,
}

#[cfg(test)]
impl Arrival {
    /// From this machine, at a time that a test makes up.
    pub(crate) fn of_a_test(unix_seconds: u64) -> Self {
        let remote = SocketAddr::from(([127, 0, 0, 1], 1));
        Self {
            remote,
            entrance: Entrance::Public,
            scheme: Scheme::Http,
            client: remote.ip().into(),
            moment: Moment::START,
            is_overloaded: false,
            unix_seconds,
        }
    }
}

/// What a handler makes of a request.
#[derive(Debug)]
pub enum Answer<P> {
    /// This is the response; the connection goes on with HTTP, or ends, as the two heads say.
    Respond(Response),
    /// The response follows, by [`Outgoing::respond`]; until then nothing more is read from the connection. If it does
    /// not come within the handshake timeout, the client is told that the server is unavailable.
    Later(P),
    /// The connection becomes a WebSocket.
    Upgrade(Upgrade<P>),
    /// The connection becomes the WebSocket of a session that has lost its own, or is about to.
    Recover(Recover),
}

/// A request that is accepted as a WebSocket.
#[derive(Debug)]
pub struct Upgrade<P> {
    /// What the request is answered with.
    pub handshake: Handshake,
    /// What the application remembers of the connection.
    pub peer: P,
    /// After how long it is closed with 1008, because its credential ends then; `None` if it does not.
    pub expires_after: Option<Duration>,
    /// If another socket may go on with the session: how its messages are numbered, and the secret for that.
    pub recovery: Option<(Numbering, RecoveryToken)>,
}

/// A request to go on with a session.
#[derive(Debug)]
pub struct Recover {
    /// What the request is answered with, whether or not the session is found.
    pub handshake: Handshake,
    /// The session.
    pub session: SessionId,
    /// What the peer takes for the secret of the session.
    pub token: RecoveryToken,
    /// Who asks, who is told of if the secret is wrong.
    pub client: ClientAddress,
    /// How the WebSocket is closed if there is no such session any more.
    pub refusal: (CloseCode, &'static str),
}

/// What became of something that was asked for with a receipt, all loops together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The number that the handler gave to it.
    pub token: u64,
    /// Deliveries and commands: who got it and who did not. Lists: how many connections there are in all.
    pub outcome: Outcome,
    /// Lists: the page of each loop, one behind the other.
    pub members: Vec<Member>,
}

/// What one connection can ask of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To be a member of the group of that name.
    Join(Arc<str>),
    /// To be a member of the group of that name no longer.
    Leave(Arc<str>),
    /// To be a member of no group.
    LeaveAll,
    /// To go, for this reason.
    Close(Arc<str>),
}

/// What a handler asks for on behalf of one connection, in the order of asking; `N` is its [`Handler::Note`].
#[derive(Debug)]
pub struct Outgoing<'a, N = ()> {
    session: SessionId,
    frames: &'a mut FrameBuffer,
    wishes: &'a mut Vec<Wish<N>>,
    at_hand: Option<AtHand<'a>>,
    is_closing: bool,
}

impl<'a, N> Outgoing<'a, N> {
    /// Collects the wishes of `session`: their frames in `frames`, the rest in `wishes`.
    #[must_use]
    pub fn new(
        session: SessionId,
        frames: &'a mut FrameBuffer,
        wishes: &'a mut Vec<Wish<N>>,
    ) -> Self {
        Self {
            session,
            frames,
            wishes,
            at_hand: None,
            is_closing: false,
        }
    }

    /// The same, for a handler that is told of a message which can be sent on from where it is.
    #[must_use]
    pub fn with_message_at_hand(self, at_hand: Option<AtHand<'a>>) -> Self {
        Self { at_hand, ..self }
    }

    /// The connection on whose behalf all this is asked.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Sends one message to the connection itself; its payload is the concatenation of `parts`.
    pub fn reply(&mut self, opcode: OpCode, parts: &[&[u8]]) {
        let frame = self.frames.encode(opcode, parts);
        self.reply_frame(frame);
    }

    /// Sends `message` to the connection itself. If the handler is just told of it and it is long, it is not copied: the
    /// connection keeps what it came in until it has taken it. There is no such thing for deliveries, because many slow
    /// receivers would keep much more than they are owed.
    #[inline]
    pub fn send_back(&mut self, message: Message<'_>) {
        let frame = self.frames.encode_message(message, self.at_hand);
        self.reply_frame(frame);
    }

    /// Sends one message to whom `delivery` says; its payload is the concatenation of `parts`.
    ///
    /// With a `token` the outcome comes back as a [`Receipt`], once all loops have applied it.
    pub fn deliver(
        &mut self,
        delivery: Delivery<()>,
        opcode: OpCode,
        parts: &[&[u8]],
        token: Option<u64>,
    ) {
        let frame = self.frames.encode(opcode, parts);
        self.wish(What::Deliver {
            delivery: delivery.map(|()| frame),
            token,
        });
    }

    /// Asks something of all `recipients` but `except`; how many did it comes back as a [`Receipt`].
    pub fn command(
        &mut self,
        recipients: Recipients,
        except: Except,
        command: Command,
        token: u64,
    ) {
        self.wish(What::Command {
            recipients,
            except,
            command,
            token,
        });
    }

    /// Asks who the `recipients` are; the answer comes back as a [`Receipt`].
    pub fn list(&mut self, recipients: Recipients, page: Page, token: u64) {
        self.wish(What::List {
            recipients,
            page,
            token,
        });
    }

    /// Answers the request that was to be answered [`Later`](Answer::Later); does nothing if there is none any more.
    pub fn respond(&mut self, response: Response) {
        self.wish(What::Respond(response));
    }

    /// Makes the connection a member of `group`.
    pub fn join(&mut self, group: GroupName) {
        self.wish(What::Join(group));
    }

    /// Ends the membership in `group`.
    pub fn leave(&mut self, group: GroupName) {
        self.wish(What::Leave(group));
    }

    /// Tells the handler of a loop something; nobody hears it if there is no such loop.
    ///
    /// Notes to one loop arrive in the order of sending, and none later than a delivery that is asked for after it. So
    /// whoever acts on that delivery and sends a note to the same loop is heard there second.
    pub fn note(&mut self, loop_index: usize, note: N) {
        self.wish(What::Note { loop_index, note });
    }

    /// Closes the connection after what was sent so far; the reason is cut to 123 bytes. No further message comes.
    pub fn close(&mut self, code: CloseCode, reason: impl Into<Cow<'static, str>>) {
        self.is_closing = true;
        self.wish(What::Close(code, reason.into()));
    }

    /// Whether the end of the connection was asked for.
    #[must_use]
    #[inline]
    pub fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// The peer has the numbered messages up to `number`. If it was not sent that many, the connection is closed with
    /// 1007.
    pub fn acknowledge(&mut self, number: u64) {
        self.wish(What::Acknowledge(number));
    }

    /// Sends again what a recovered peer has not acknowledged, behind what was sent so far.
    pub fn replay(&mut self) {
        self.wish(What::Replay);
    }

    #[inline]
    fn reply_frame(&mut self, frame: FrameRange) {
        if let Some(Wish {
            session,
            what: What::Reply(last, count),
        }) = self.wishes.last_mut()
            && *session == self.session
            && last.try_merge(frame)
        {
            *count += 1;
            return;
        }
        self.wish(What::Reply(frame, 1));
    }

    fn wish(&mut self, what: What<N>) {
        self.wishes.push(Wish {
            session: self.session,
            what,
        });
    }
}

/// One thing that was asked for, to be done when the handlers of the turn have returned.
#[derive(Debug)]
pub struct Wish<N = ()> {
    /// Who asks.
    pub session: SessionId,
    /// For what.
    pub what: What<N>,
}

/// What can be asked for; see the methods of [`Outgoing`].
#[derive(Debug)]
pub enum What<N = ()> {
    /// Frames for the one who asks, and how many messages they are.
    Reply(FrameRange, u32),
    /// A frame for others.
    Deliver {
        /// The frame, as a range of the turn's buffer, and who gets it.
        delivery: Delivery<FrameRange>,
        /// Set if the outcome is to come back as a [`Receipt`].
        token: Option<u64>,
    },
    /// Something of others.
    Command {
        /// Of whom.
        recipients: Recipients,
        /// Of whom not.
        except: Except,
        /// What.
        command: Command,
        /// What the [`Receipt`] is to carry.
        token: u64,
    },
    /// To know who others are.
    List {
        /// Who.
        recipients: Recipients,
        /// How many of them.
        page: Page,
        /// What the [`Receipt`] is to carry.
        token: u64,
    },
    /// The response to the request that waits for one.
    Respond(Response),
    /// Membership in a group.
    Join(GroupName),
    /// The end of a membership.
    Leave(GroupName),
    /// Numbered messages up to this one need not be kept any more.
    Acknowledge(u64),
    /// Numbered messages that were not acknowledged are to be sent again.
    Replay,
    /// Something for the handler of a loop.
    Note {
        /// The loop.
        loop_index: usize,
        /// What it is told.
        note: N,
    },
    /// The end of the connection.
    Close(CloseCode, Cow<'static, str>),
}
