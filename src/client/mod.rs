//! A blocking WebSocket client over the same protocol code as the server.
//!
//! [`WebSocket`] is one connection: dial it, send, and ask for what comes. It is used by one thread; other threads send
//! through a [`Sender`] of it.
//!
//! A reader, a sender on a thread of its own, and a way out: Ctrl+C closes the WebSocket properly, the reader hears the
//! server agree, and a second Ctrl+C ends the program at once.
//!
//! ```no_run
//! use std::thread;
//! use std::time::Duration;
//!
//! use signal_hook::consts::SIGINT;
//! use signal_hook::iterator::Signals;
//! use switchboard::client::{ClientConfig, Event, WebSocket};
//! use switchboard::proto::CloseCode;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = ClientConfig::default();
//! config.dial_timeout = Duration::from_secs(3);
//! let mut socket = WebSocket::dial("ws://127.0.0.1:8080/echo", &config)?;
//!
//! let sender = socket.sender();
//! thread::spawn(move || {
//!     let mut number = 0_u64;
//!     // An error says that the WebSocket is gone, and why is the reader's to hear.
//!     while sender.send_text(format!("message {number}")).is_ok() {
//!         number += 1;
//!         thread::sleep(Duration::from_secs(1));
//!     }
//! });
//!
//! let sender = socket.sender();
//! let mut signals = Signals::new([SIGINT])?;
//! thread::spawn(move || {
//!     let mut arrived = signals.forever();
//!     arrived.next();
//!     let _ = sender.close(CloseCode::NORMAL, "bye");
//!     arrived.next();
//!     std::process::exit(130);
//! });
//!
//! while let Some(event) = socket.next_event(None)? {
//!     match event {
//!         Event::Text(text) => println!("{text}"),
//!         Event::Binary(bytes) => println!("{} bytes", bytes.len()),
//!         Event::Closed(ending) => println!("closed: {ending}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! | Module | What it is |
//! |---|---|
//! | [`Conversation`] | one connection behind the handshake: a state machine without a socket |
//! | `frame_queue` | masked frames that wait to be written |
//! | `mask_keys` | unpredictable keys, drawn in advance |
//! | `dial` | connecting and the opening handshake, within one deadline |
//! | `doorbell` | what a client sleeps on |
//! | `patience` | how long to wait for the server, and for what |
//! | `sender` | sending from other threads |
//! | `service` | requests over HTTP, as services make them |
//! | `stream` | the socket, encrypted or not |
//! | `web_socket` | the one place where socket, clock and conversation meet |
//! | [`load`] | many connections to one server, counted and timed |
//! | [`hub`] | the JSON protocol on top, with a connection that comes back |

mod conversation;
mod dial;
mod doorbell;
mod error;
mod frame_queue;
pub mod hub;
pub mod load;
mod mask_keys;
mod patience;
mod sender;
mod service;
mod stream;
mod web_socket;

use std::time::Duration;

pub use self::conversation::{Conversation, Ending, Event};
pub use self::error::ClientError;
pub use self::sender::Sender;
pub use self::service::{Called, call};
pub use self::web_socket::WebSocket;
use crate::proto::MessageLimits;
#[cfg(feature = "tls")]
pub use crate::tls::{CertificateFault, TlsFault, Trust, TrustError};

/// How a client connects, and how patient it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientConfig {
    /// From the first packet to the last byte of the server's answer. The look-up of a name comes before it and takes as
    /// long as the system lets it. Default: 10 s.
    pub dial_timeout: Duration,
    /// How long the server may say nothing before it is pinged. Default: 25 s.
    pub ping_interval: Duration,
    /// For a sign of life after a ping, before the server counts as lost. Default: 10 s.
    pub ping_timeout: Duration,
    /// How long the server may take nothing of what waits to be sent. Default: 10 s.
    pub write_timeout: Duration,
    /// For the server's Close frame after ours, and for its end of the stream after both. Default: 5 s.
    pub close_timeout: Duration,
    /// What the server may send. Default: messages of up to 16 MiB in up to 131,072 frames.
    pub message: MessageLimits,
    /// Whether to offer that messages may be compressed. Default: false.
    #[cfg(feature = "deflate")]
    pub offers_compression: bool,
    /// Subprotocols to offer, the preferred one first. Default: none.
    pub subprotocols: Vec<String>,
    /// Header fields of the request besides those of the handshake, such as Origin. Default: none.
    pub fields: Vec<(String, String)>,
    /// Whom to trust to say who the server is, if the connection is to be encrypted. Default: whom the system trusts.
    #[cfg(feature = "tls")]
    pub trust: Trust,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            dial_timeout: Duration::from_secs(10),
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(5),
            message: MessageLimits {
                message_bytes_max: 16 << 20,
                fragments_max: 131_072,
            },
            #[cfg(feature = "deflate")]
            offers_compression: false,
            subprotocols: Vec::new(),
            fields: Vec::new(),
            #[cfg(feature = "tls")]
            trust: Trust::default(),
        }
    }
}
