//! The WebSocket protocol (RFC 6455) over byte slices: it knows no socket, no clock and no server.
//!
//! Reading goes up three steps, each of which takes bytes cut anywhere and gives the same answers
//! for every cut:
//!
//! | Step | Gives | Judges |
//! |---|---|---|
//! | [`FrameHeader::parse`] | one header | all that one header can do wrong |
//! | [`FrameDecoder`] | unmasked pieces of frames | nothing more |
//! | [`MessageReader`] | whole messages and control frames | order, sizes, UTF-8, Close payloads |
//!
//! Writing is a few functions that append whole frames ([`encode_frame`] and its kin), and
//! [`FrameBuffer`], which encodes the frames of many messages back to back and shares them as
//! [`EncodedFrame`]s. A long message that is sent on as it is becomes a frame where it came
//! ([`AtHand`]).
//!
//! What the peer did wrong is a [`ProtocolError`]; it knows the status code to fail the connection
//! with. Input from the network never causes a panic, and memory grows with the bytes received,
//! never with a length that was only announced.
//!
//! The one extension is permessage-deflate: a reader that is lent an [`Inflater`] takes compressed
//! messages, and a [`Deflater`] makes compressed frames of finished ones. All other reserved bits
//! are refused.
//!
//! Not handled here: fragmentation of what is sent.
// A peer must not be able to make us panic: where one of these is used, the reason why it holds stands beside it.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::arithmetic_side_effects
    )
)]

mod assembly;
mod close;
mod compressed;
mod decoder;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "no_deflate.rs"]
mod deflate;
mod encode;
mod error;
mod frame_buffer;
mod header;
mod incoming;
mod mask;
mod message;
mod opcode;
mod passage;
mod utf8;

pub use close::{CloseCode, CloseFrame};
pub use decoder::{FrameDecoder, FramePart};
pub use deflate::{CompressedRest, Deflate, Deflater, Inflater};
#[cfg(feature = "deflate")]
pub use deflate::{DeflateTally, WindowBits};
pub use encode::{encode_close, encode_frame, encode_masked_frame, frame_len_at};
pub use error::ProtocolError;
pub use frame_buffer::{EncodedFrame, FrameBuffer, FrameRange, Home};
pub use header::{FrameHeader, Role};
pub use incoming::{Incoming, Message, MessageLimits, Text};
pub use mask::apply_mask;
pub use message::MessageReader;
pub use opcode::OpCode;
pub use passage::AtHand;
pub use utf8::Utf8Validator;
