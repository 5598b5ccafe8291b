//! A small WebSocket message server: broadcast, direct and group messages, strictly, fast, and honest about what was
//! delivered.
//!
//! The binary `switchboard` runs [`endpoints::Endpoints`] on [`server::Server`]. As a library the crate offers the same
//! parts: bring a [`handler::Handler`] of your own, or use the protocol alone.
//!
//! # The layers
//!
//! Imports point up this list only; `tests/architecture.rs` enforces it.
//!
//! | Module | What it is |
//! |---|---|
//! | [`proto`] | RFC 6455 and 7692 over byte slices; knows no socket, no clock, no server |
//! | [`http`] | request heads and small bodies, the opening handshake, responses |
//! | `tls` | encryption between session and socket; knows no socket |
//! | [`delivery`], [`clock`] | the words that the layers share: who is meant, when it is |
//! | [`config`] | every limit and timeout |
//! | [`registry`] | who is in which group of one loop |
//! | [`outbox`] | what one peer still has to be sent: bounded, writes itself to any `io::Write` |
//! | [`replay`] | what a recoverable peer was sent and has not acknowledged |
//! | [`session`] | one peer from first byte to last: a state machine without a socket |
//! | [`metrics`] | what each loop counts, and the balances that have to hold |
//! | [`handler`] | what an application is told, and what it may ask for |
//! | [`endpoints`] | the applications; the only place that knows paths |
//! | [`server`] | sockets, threads, the clock and mio |
//! | [`client`] | the other end: a blocking client over the same protocol |
//!
//! # How a message travels
//!
//! ```text
//! socket -> session -> handler -> wishes and frames of the turn -> registry -> outbox -> socket
//!                                              |
//!                                              +-> mailbox of another loop -> registry -> outbox -> socket
//! ```
//!
//! Each event loop is one thread with one `Poll`, one read buffer for all its connections, and its own registry. In a
//! turn, bytes that are ready are read and unmasked in place; a message that one read holds is borrowed by the handler,
//! which says what is to be sent to whom. Every frame of the turn is encoded once, back to back, into one buffer that
//! then becomes immutable and shared ([`proto::FrameBuffer`]); a long message that is sent on as it is becomes a frame in
//! the read buffer itself, which is shared in its turn ([`proto::AtHand`]). What a receiver is owed are ranges of such buffers, and
//! ranges that touch merge: sixteen messages to a group are one range and one plain write per receiver. Only a receiver
//! that blocks gets a copy of its own bytes, so that it does not pin what belongs to others.
//!
//! Loops share nothing but mailboxes, a few counts and marks, and what a message becomes when it is compressed: whichever
//! loop needs that first makes it, for all of them. A delivery to a group is one letter to every other loop; a sender that
//! wants to know the outcome gets it when all loops have answered.
//!
//! What concerns a group as a whole, who is there and what was said, is kept by one loop, its home. The handlers of the
//! others tell that one by notes ([`handler::Handler::Note`]), and it delivers to whoever wants to know.
//!
//! # What holds
//!
//! - Messages of one sender reach each receiver in the order sent, at most once, whole or not at all.
//! - What was accepted is delivered, or counted as dropped and logged: a receiver that lets more than its outbox holds
//!   pile up is closed with 1008, and nobody else waits for it. Groups can have another policy
//!   ([`delivery::Policy`]): then it loses messages instead, and is told how many and where.
//! - A peer cannot make the server panic, allocate what was only announced, or hold a descriptor without a deadline.
//! - An idle connection owns no buffer and no timer object.
//!
//! # An echo server
//!
//! ```no_run
//! use switchboard::config::Config;
//! use switchboard::handler::{Answer, Arrival, Handler, Outgoing, Upgrade};
//! use switchboard::http::{Handshake, Request, Response};
//! use switchboard::proto::Message;
//! use switchboard::server::Server;
//!
//! #[derive(Clone)]
//! struct Echo;
//!
//! impl Handler for Echo {
//!     type Peer = ();
//!     type Note = ();
//!
//!     fn on_request(&mut self, request: &Request<'_>, _arrival: Arrival, _out: &mut Outgoing<'_>) -> Answer<()> {
//!         match Handshake::accept(request) {
//!             Ok(handshake) => Answer::Upgrade(Upgrade { handshake, peer: (), expires_after: None, recovery: None }),
//!             Err(error) => Answer::Respond(Response::refusal(error)),
//!         }
//!     }
//!
//!     fn on_message(&mut self, _peer: &mut (), message: Message<'_>, out: &mut Outgoing<'_>) {
//!         out.reply(message.opcode(), &[message.payload()]);
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind(Config::default(), &Echo)?;
//! println!("listening on {:?}", server.local_addresses());
//! server.run()?;
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::print_stdout))]

pub mod client;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod endpoints;
pub mod handler;
pub mod http;
pub mod metrics;
pub mod outbox;
pub mod proto;
pub mod registry;
pub mod replay;
pub mod server;
pub mod session;
#[cfg(feature = "tls")]
pub mod tls;
