//! What stands for permessage-deflate in a build without it: types without values, so that nobody can agree on it and
//! the code for those who have is left out.

use super::{EncodedFrame, MessageLimits, OpCode, ProtocolError};

/// What the two ends of a WebSocket have agreed on: never anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deflate {}

impl Deflate {
    /// What makes sense of the peer's messages.
    #[must_use]
    pub fn inflater(self) -> Inflater {
        match self {}
    }

    /// What makes sense of one message alone.
    pub(super) fn inflater_of_one(self) -> Option<Inflater> {
        match self {}
    }
}

/// Makes messages of what came compressed, which nothing does.
#[derive(Debug)]
pub enum Inflater {}

impl Inflater {
    /// The whole message whose compressed form this is.
    pub(super) fn inflate(
        &mut self,
        _compressed: &[u8],
        _limits: &MessageLimits,
    ) -> Result<&[u8], ProtocolError> {
        match *self {}
    }

    /// Begins another message.
    pub(super) fn begin(&mut self) -> Result<(), ProtocolError> {
        match *self {}
    }

    /// Inflates the next bytes of the message.
    pub(super) fn go_on(
        &mut self,
        _compressed: &[u8],
        _limits: &MessageLimits,
    ) -> Result<(), ProtocolError> {
        match *self {}
    }

    /// Ends the message; all of it.
    pub(super) fn finish(&mut self, _limits: &MessageLimits) -> Result<&[u8], ProtocolError> {
        match *self {}
    }

    /// What there is of the message.
    pub(super) fn message(&self) -> &[u8] {
        match *self {}
    }

    /// Bytes of heap memory that it holds while a message is under way.
    pub(super) fn held_len(&self) -> usize {
        match *self {}
    }

    /// Gives back what only a large message needs.
    pub fn release(&mut self) {
        match *self {}
    }
}

/// What is compressed once for messages that begin differently for each receiver, which there are none of.
#[derive(Clone, Debug)]
pub enum CompressedRest {}

impl CompressedRest {
    /// Appends what precedes a beginning.
    pub fn write_header(&self, _opcode: OpCode, _beginning_len: usize, _out: &mut Vec<u8>) {
        match *self {}
    }

    /// The compressed bytes.
    #[must_use]
    pub fn bytes(&self) -> &EncodedFrame {
        match *self {}
    }
}

/// Compresses frames that are to be sent, which there is nobody for.
#[derive(Debug, Default)]
pub struct Deflater(());

impl Deflater {
    /// Messages below this many bytes go as they are, as all others do.
    pub const WORTHWHILE_LEN: usize = 256;

    /// How many classes of receivers there are.
    pub const CLASS_COUNT: usize = 0;

    /// Which receivers get the same.
    #[must_use]
    pub fn class_of(deflate: Deflate) -> usize {
        match deflate {}
    }

    /// The same frames for receivers that have agreed on `deflate`.
    pub fn deflate_frames(
        &mut self,
        deflate: Deflate,
        _frames: &EncodedFrame,
    ) -> Option<EncodedFrame> {
        match deflate {}
    }

    /// What comes behind the beginning of a text message.
    pub fn deflate_rest(&mut self, deflate: Deflate, _rest: &[u8]) -> Option<CompressedRest> {
        match deflate {}
    }

    /// Appends one final frame with this payload in its compressed form.
    pub fn deflate(
        &mut self,
        deflate: Deflate,
        _opcode: OpCode,
        _payload: &[u8],
        _key: Option<[u8; 4]>,
        _out: &mut Vec<u8>,
    ) -> bool {
        match deflate {}
    }
}
