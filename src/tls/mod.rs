//! TLS (RFC 8446, RFC 5246) between a session and whatever carries its bytes; knows no socket.
//!
//! A layer is one end of an encrypted connection. It reads from a carrier and writes to it, and both may take their
//! time: what it has decrypted and what it has still to send is asked for, since no event of a socket tells. An
//! acceptor makes such layers for a server, a connector for a client.
//!
//! Versions are 1.2 and 1.3, the application protocol is `http/1.1`. Sessions are resumed by tickets, which take no memory
//! of the server; they end with their acceptor, so that a certificate that is replaced leaves nothing behind. There is no
//! early data, which could be replayed, no renegotiation, and no compression.

mod acceptor;
mod carrier;
mod connector;
mod fault;
mod layer;
#[cfg(test)]
mod tests;

pub(crate) use self::acceptor::Acceptor;
pub use self::acceptor::CertificateError;
pub(crate) use self::connector::Connector;
pub use self::connector::{Trust, TrustError};
pub use self::fault::{CertificateFault, TlsFault};
pub(crate) use self::layer::Layer;

/// What is spoken inside (RFC 7301 6).
const APPLICATION_PROTOCOL: &[u8] = b"http/1.1";
