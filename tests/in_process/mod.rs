//! A server in a thread of the test, with an application of the test's own.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use switchboard::config::Config;
use switchboard::handler::{Answer, Handler, Upgrade};
use switchboard::http::{Handshake, Request, Response};
use switchboard::server::{Ended, Server, Stopper};

/// A server that runs until it is drained or dropped.
#[derive(Debug)]
pub(crate) struct InProcess {
    addr: SocketAddr,
    stopper: Stopper,
    thread: Option<JoinHandle<Ended>>,
}

impl InProcess {
    /// Starts one on a port of its own, with the settings that `change` leaves.
    pub(crate) fn start<H: Handler>(handler: &H, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
        change(&mut config);
        let server = Server::bind(config, handler).unwrap();
        Self {
            addr: server.local_addresses()[0],
            stopper: server.stopper(),
            thread: Some(thread::spawn(move || server.run().unwrap())),
        }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Has it serve everybody to the end, which must come.
    #[allow(dead_code, reason = "not every test cares")]
    pub(crate) fn drain(mut self) {
        self.stopper.drain();
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(matches!(ended, Some(Ok(Ended::Drained))), "{ended:?}");
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stopper.stop();
            let ended = thread.join();
            assert!(matches!(ended, Ok(Ended::AtOnce)) || thread::panicking());
        }
    }
}

/// What an application that remembers nothing makes of a request for a WebSocket, or of any other.
pub(crate) fn answer(request: &Request<'_>) -> Answer<()> {
    match Handshake::accept(request) {
        Ok(handshake) => Answer::Upgrade(Upgrade {
            handshake,
            peer: (),
            expires_after: None,
            recovery: None,
        }),
        Err(error) => Answer::Respond(Response::refusal(error)),
    }
}
