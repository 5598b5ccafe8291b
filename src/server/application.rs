//! The handler of one loop, and what it asked for in this turn.

use crate::delivery::SessionId;
use crate::handler::{Handler, Outgoing, Wish};
use crate::proto::{Deflate, EncodedFrame, FrameBuffer, FrameRange, Home, Inflater};

/// The application side of a turn: callbacks go in, frames and wishes come out.
pub(super) struct Application<H: Handler> {
    pub(super) handler: H,
    /// Every frame of the turn, back to back.
    pub(super) frames: FrameBuffer,
    /// The input in which the other frames of the turn are, if there are any.
    pub(super) input: Option<EncodedFrame>,
    /// What was asked for, in the order of asking.
    pub(super) wishes: Vec<Wish<H::Note>>,
    /// Whose WebSocket has ended and who is still in the registry.
    pub(super) closed: Vec<SessionId>,
    /// What makes sense of compressed messages, once one has come.
    pub(super) inflater: Option<Box<Inflater>>,
}

impl<H: Handler> Application<H> {
    pub(super) fn new(handler: H) -> Self {
        Self {
            handler,
            frames: FrameBuffer::default(),
            input: None,
            wishes: Vec::new(),
            closed: Vec::new(),
            inflater: None,
        }
    }

    /// The handler, and the collector for what it asks on behalf of `id`.
    pub(super) fn for_session(&mut self, id: SessionId) -> (&mut H, Outgoing<'_, H::Note>) {
        (
            &mut self.handler,
            Outgoing::new(id, &mut self.frames, &mut self.wishes),
        )
    }

    /// Ends the frames of this turn: they are shared and immutable from now on.
    pub(super) fn share_frames(&mut self) -> SharedFrames {
        SharedFrames {
            input: self.input.take(),
            turn: self.frames.share(),
        }
    }

    /// The inflater of the loop, for as long as a connection is read. Peers keep no context, so one serves them all.
    #[inline]
    pub(super) fn take_inflater(&mut self, deflate: Deflate) -> Box<Inflater> {
        let inflater = self.inflater.take();
        inflater.unwrap_or_else(|| Box::new(deflate.inflater()))
    }

    /// Takes the inflater back for the next connection.
    #[inline]
    pub(super) fn give_back_inflater(&mut self, inflater: Option<Box<Inflater>>) {
        if let Some(mut inflater) = inflater {
            inflater.release();
            self.inflater = Some(inflater);
        }
    }

    /// A handler of this server has sent a note to this loop.
    pub(super) fn on_note(&mut self, note: H::Note) {
        let (handler, mut out) = self.for_session(nobody());
        handler.on_note(note, &mut out);
    }

    /// All that has happened so far was told.
    #[inline]
    pub(super) fn on_turn_end(&mut self) {
        if self.handler.has_put_off() {
            let (handler, mut out) = self.for_session(nobody());
            handler.on_turn_end(&mut out);
        }
    }

    /// The WebSocket of `id` has ended.
    pub(super) fn on_closed(&mut self, id: SessionId, peer: Option<H::Peer>) {
        self.closed.push(id);
        if let Some(peer) = peer {
            let (handler, mut out) = self.for_session(id);
            handler.on_close(peer, &mut out);
        }
    }
}

/// The frames of a turn, wherever they are.
pub(super) struct SharedFrames {
    turn: EncodedFrame,
    input: Option<EncodedFrame>,
}

impl SharedFrames {
    /// The frames at `range`.
    #[inline]
    pub(super) fn slice(&self, range: FrameRange) -> EncodedFrame {
        let frames = match range.home {
            Home::Turn => &self.turn,
            Home::Input => self.input.as_ref().expect("no other input was read since"),
        };
        frames.slice(range)
    }
}

/// On whose behalf something is asked for that no connection has caused: slots of connections count from one.
fn nobody() -> SessionId {
    SessionId::from_bits(0)
}
