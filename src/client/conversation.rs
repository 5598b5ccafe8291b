//! One WebSocket of a client behind the opening handshake: a state machine without a socket and without a clock.
//!
//! | Stage | What happens | What comes of it |
//! |---|---|---|
//! | `Open` | a message, a pong | an [`Event`] |
//! | `Open` | a ping | a pong is queued |
//! | `Open` | a Close frame | the same code is queued: `Over` |
//! | `Open` | a violation of the protocol | a Close frame with its code is queued: `Over`, and an error |
//! | `Open` | we close | a Close frame is queued: `Closing` |
//! | `Closing` | messages | still events: the server may have sent them before it knew |
//! | `Closing` | a Close frame | `Over` |
//! | `Over` | anything | discarded |

use std::fmt;

use super::frame_queue::FrameQueue;
use crate::proto::{
    CloseCode, CloseFrame, Deflate, Deflater, Incoming, Inflater, Message, MessageLimits,
    MessageReader, OpCode, ProtocolError, Role,
};

/// What comes from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// The answer to a ping of the application, with its payload.
    Pong(Vec<u8>),
    /// The WebSocket has ended, and nothing comes after this.
    Closed(Ending),
    /// Another thread wants the attention of the one that waits, see [`Sender::nudge`](super::Sender::nudge).
    Nudged,
}

/// What the server said at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// The code of its Close frame; `None` if that had none.
    pub code: Option<CloseCode>,
    /// The reason in its Close frame; often empty.
    pub reason: String,
}

/// The protocol of one connection behind the opening handshake: bytes of the server in, events out; messages in, bytes for
/// the server out. [`WebSocket`](super::WebSocket) is this with a socket and a clock; whoever has those already takes it
/// alone.
///
/// ```
/// use switchboard::client::{ClientConfig, Conversation, Event};
/// use switchboard::proto::OpCode;
///
/// let mut conversation = Conversation::new(ClientConfig::default().message);
/// let mut arrived = *b"\x81\x02hi\x89\x00";
/// let mut input = &mut arrived[..];
/// assert_eq!(conversation.next_event(&mut input), Ok(Some(Event::Text("hi".into()))));
/// assert_eq!(conversation.next_event(&mut input), Ok(None));
/// conversation.send(OpCode::Text, b"hello");
/// // A pong of 6 bytes and a text of 11: masked, so that nobody knows what they look like.
/// assert_eq!(conversation.unsent().len(), 6 + 11);
/// conversation.on_written(17);
/// # Ok::<(), switchboard::proto::ProtocolError>(())
/// ```
#[derive(Debug)]
pub struct Conversation {
    reader: MessageReader,
    limits: MessageLimits,
    stage: Stage,
    outgoing: FrameQueue,
    /// What compressed messages take, if they were agreed on.
    compression: Option<Box<Compression>>,
}

/// What compresses our messages, and makes sense of compressed ones of the server.
#[derive(Debug)]
struct Compression {
    deflate: Deflate,
    deflater: Deflater,
    inflater: Inflater,
}

/// Where the conversation is; see the table of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    Closing,
    Over,
}

impl Conversation {
    /// A WebSocket that has just been opened.
    #[must_use]
    pub fn new(limits: MessageLimits) -> Self {
        Self {
            reader: MessageReader::new(Role::Client),
            limits,
            stage: Stage::Open,
            outgoing: FrameQueue::new(),
            compression: None,
        }
    }

    /// The same, where messages may be compressed as was agreed on, if it was.
    #[must_use]
    pub fn with_deflate(self, deflate: Option<Deflate>) -> Self {
        let compression = deflate.map(|deflate| {
            Box::new(Compression {
                deflate,
                deflater: Deflater::default(),
                inflater: deflate.inflater(),
            })
        });
        Self {
            reader: MessageReader::with_deflate(Role::Client, deflate),
            compression,
            ..self
        }
    }

    /// Takes bytes from the front of `input` up to the next event; `None` when all of it is used up.
    ///
    /// # Errors
    ///
    /// The server broke the protocol. The Close frame that says so is queued, and nothing that comes later counts.
    pub fn next_event(&mut self, input: &mut &mut [u8]) -> Result<Option<Event>, ProtocolError> {
        while self.stage != Stage::Over {
            let inflater = self.compression.as_mut().map(|it| &mut it.inflater);
            let incoming = match self.reader.next_inflating(input, &self.limits, inflater) {
                Ok(None) => return Ok(None),
                Ok(Some(incoming)) => incoming,
                Err(error) => {
                    self.fail(error);
                    return Err(error);
                }
            };
            match incoming {
                Incoming::Message(Message::Text(text)) => {
                    return Ok(Some(Event::Text(text.as_str().into())));
                }
                Incoming::Message(Message::Binary(bytes)) => {
                    return Ok(Some(Event::Binary(bytes.into())));
                }
                Incoming::Pong(payload) => return Ok(Some(Event::Pong(payload.into()))),
                Incoming::Ping(payload) => {
                    if self.stage == Stage::Open {
                        self.outgoing.push_pong(payload);
                    }
                }
                Incoming::Close(close) => {
                    let ending = Ending {
                        code: close.map(|close| close.code),
                        reason: close.map_or_else(String::new, |close| close.reason.into()),
                    };
                    self.end(ending.code, "");
                    return Ok(Some(Event::Closed(ending)));
                }
            }
        }
        *input = &mut [];
        Ok(None)
    }

    /// Queues a frame; discards it if the WebSocket is being closed. Payloads of control frames have at most 125 bytes.
    pub fn send(&mut self, opcode: OpCode, payload: &[u8]) {
        if self.stage != Stage::Open {
            return;
        }
        let queue = &mut self.outgoing;
        let is_compressed = !opcode.is_control()
            && self.compression.as_deref_mut().is_some_and(|it| {
                queue.push_compressed(&mut it.deflater, it.deflate, opcode, payload)
            });
        if !is_compressed {
            queue.push(opcode, &[payload]);
        }
    }

    /// Queues our Close frame if none was; a reason of more than 123 bytes is cut.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        if self.stage == Stage::Open {
            self.push_close(Some(code), reason);
            self.stage = Stage::Closing;
        }
    }

    /// The first `len` unsent bytes were written.
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn on_written(&mut self, len: usize) {
        self.outgoing.on_written(len);
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn unsent(&self) -> &[u8] {
        self.outgoing.unsent()
    }

    /// Whether messages can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Whether nothing that comes counts any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    fn fail(&mut self, error: ProtocolError) {
        self.end(Some(error.close_code()), &error.to_string());
    }

    /// Queues our Close frame if none was, and ends.
    fn end(&mut self, code: Option<CloseCode>, reason: &str) {
        if self.stage == Stage::Open {
            self.push_close(code, reason);
        }
        self.stage = Stage::Over;
    }

    fn push_close(&mut self, code: Option<CloseCode>, reason: &str) {
        match code {
            None => self.outgoing.push(OpCode::Close, &[]),
            Some(code) => {
                let reason = CloseFrame { code, reason }.short_reason();
                self.outgoing.push(
                    OpCode::Close,
                    &[&code.get().to_be_bytes(), reason.as_bytes()],
                );
            }
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            None => f.write_str("no code"),
            Some(code) if self.reason.is_empty() => write!(f, "{}", code.get()),
            Some(code) => write!(f, "{} {}", code.get(), self.reason.escape_debug()),
        }
    }
}

#[cfg(test)]
mod tests;
