//! What can be read with a browser or a probe; everything is compiled in.

use crate::http::Response;

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// `/`: what this server is and how to talk to it.
    Front,
    /// `/healthz`: whether the process lives, which it shows by answering.
    Health,
}

impl Page {
    /// The page as a response to GET or HEAD.
    pub(super) fn response(self) -> Response {
        match self {
            Self::Front => Response::new(200, "text/html; charset=utf-8", FRONT.as_bytes())
                .with_header("Cache-Control", "no-cache")
                .with_header("Content-Security-Policy", FRONT_POLICY),
            Self::Health => Response::new(200, "text/plain; charset=utf-8", b"ok".as_slice())
                .with_header("Cache-Control", "no-store"),
        }
    }
}

/// The front page.
const FRONT: &str = include_str!("front.html");

/// The front page has no script and loads nothing; it may not be framed by other sites.
const FRONT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
