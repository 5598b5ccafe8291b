//! HTTP/1.1 over byte slices: request heads and small bodies, the upgrade handshake, responses (RFC 9110, RFC 9112,
//! RFC 6455 4).
//!
//! Like [`proto`](crate::proto), nothing here knows a socket or a clock. [`RequestReader`] turns bytes into
//! [`Request`]s, [`Handshake`] judges whether one opens a WebSocket, [`OriginPolicy`] whether its page may, and
//! [`Response`] is everything that can be said instead. [`HttpError`] names what a client did wrong and is the only
//! place that knows the status for it.
//!
//! A request is judged in a fixed order, and the first fault answers:
//!
//! | Fault | Status | Judged by |
//! |---|---|---|
//! | head, target or field list over its limit | 431, 414 | [`RequestReader`] |
//! | bad syntax | 400 | [`RequestReader`] |
//! | HTTP of another major version | 505 | [`RequestReader`] |
//! | Host missing, repeated or malformed | 400 | [`RequestReader`] |
//! | body without usable framing, or on an upgrade request | 400, 411, 501, 413, 417 | [`RequestReader`] |
//! | path or method unknown | 404, 405 | the endpoint |
//! | no usable upgrade | 405, 426, 400 | [`Handshake::accept`] |
//! | origin not allowed | 403, 400 | [`OriginPolicy::judge`] |
//!
//! The client's side is short: [`SocketUrl`] says where to connect, [`Opening`] what to ask there and what the answer has
//! to be.
//!
//! Not handled, on purpose: chunked bodies (411), line folding, bare line feeds, HTTP/2. Each is an error, never a
//! guess, so that no two parties can read the same bytes differently.
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

mod answer_body;
mod authority;
#[cfg(feature = "deflate")]
mod compression;
mod error;
mod extension;
mod field;
mod forwarded;
mod head;
mod host;
mod network;
mod opening;
mod origin;
mod reader;
mod request;
mod response;
mod scan;
mod service_call;
mod socket_url;
mod upgrade;
mod url;

pub use answer_body::{AnswerBody, BodyBeginning};
pub use error::HttpError;
pub use extension::{Extension, ExtensionParameter};
pub use forwarded::TrustedProxies;
pub use host::HostPolicy;
pub use network::{ClientAddress, Network, NetworkError};
pub use opening::{Opening, OpeningAnswer, OpeningError};
pub use origin::{OriginEntryError, OriginPolicy, Scheme};
pub use reader::{HttpLimits, RequestReader};
pub use request::Request;
pub use response::Response;
pub use service_call::{ServiceAnswer, ServiceCall};
pub use socket_url::{SocketUrl, SocketUrlError};
pub use upgrade::Handshake;
pub use url::WebUrl;
