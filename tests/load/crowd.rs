//! Thousands of clients on one thread, behind one poll.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::client::{Client, Happening};
use super::until;
use crate::peer::upgrade_request;

/// Handshakes under way at a time while a crowd gathers: fewer than a listener's queue holds, of which more would wait
/// a second for the kernel's next attempt.
const GATHERING_MAX: usize = 200;

/// Clients of one server. They answer pings and Close frames by themselves; all else is told to whoever takes a turn.
#[derive(Debug)]
pub(crate) struct Crowd {
    addr: SocketAddr,
    poll: Poll,
    events: Events,
    /// By token. Those of clients that are gone are used again.
    clients: Vec<Client>,
    free: Vec<usize>,
    buffer: Box<[u8]>,
    message_count: u64,
}

impl Crowd {
    /// Nobody yet.
    pub(crate) fn new(addr: SocketAddr) -> Self {
        Self {
            addr,
            poll: Poll::new().unwrap(),
            events: Events::with_capacity(1024),
            clients: Vec::new(),
            free: Vec::new(),
            buffer: vec![0; 64 << 10].into(),
            message_count: 0,
        }
    }

    /// Has one more client connect and ask for a WebSocket at `path`; its index.
    pub(crate) fn open(&mut self, path: &str) -> usize {
        let request = upgrade_request(self.addr, path, "");
        self.add(request.as_bytes(), true)
    }

    /// Has one more client connect and send these bytes; its index.
    pub(crate) fn open_raw(&mut self, bytes: &[u8]) -> usize {
        self.add(bytes, false)
    }

    /// Has `count` more clients connect and waits until all have their WebSocket; their indices.
    pub(crate) fn gather(&mut self, count: usize, path: &str) -> Vec<usize> {
        let mut indices = Vec::with_capacity(count);
        let mut opened_count = 0;
        until("everyone has a WebSocket", || {
            while indices.len() < count && indices.len() - opened_count < GATHERING_MAX {
                indices.push(self.open(path));
            }
            self.turn(
                Duration::from_millis(100),
                |_, _, happening| match happening {
                    Happening::Opened => opened_count += 1,
                    Happening::Connected | Happening::Message(_) => {}
                    Happening::Unread | Happening::Ping => {}
                    _ => panic!("{happening:?} instead of a WebSocket"),
                },
            );
            opened_count == count
        });
        indices
    }

    /// Waits for events and tells what happened to whom; whoever is told may have the client do something.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        mut tell: impl FnMut(usize, &mut Client, Happening<'_>),
    ) {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() != ErrorKind::Interrupted => panic!("{error}"),
            _ => {}
        }
        for event in &self.events {
            let index = event.token().0;
            let client = &mut self.clients[index];
            if client.is_gone() {
                continue;
            }
            let message_count = &mut self.message_count;
            client.on_event(event, &mut self.buffer, &mut |client, happening| {
                *message_count += u64::from(matches!(happening, Happening::Message(_)));
                tell(index, client, happening);
            });
            if client.is_gone() {
                self.free.push(index);
            }
        }
    }

    /// A client that is not gone, to have it do something.
    pub(crate) fn client(&mut self, index: usize) -> &mut Client {
        &mut self.clients[index]
    }

    /// Lets go of a client's socket without a word.
    pub(crate) fn kill(&mut self, index: usize) {
        if !self.clients[index].is_gone() {
            self.clients[index].kill();
            self.free.push(index);
        }
    }

    /// Clients that are not gone.
    pub(crate) fn len(&self) -> usize {
        self.clients.len() - self.free.len()
    }

    /// Messages that have come so far, for all clients together.
    pub(crate) fn message_count(&self) -> u64 {
        self.message_count
    }

    fn add(&mut self, first: &[u8], is_websocket: bool) -> usize {
        let socket = TcpStream::connect(self.addr).expect("a socket");
        let _ = socket.set_nodelay(true);
        let mut client = Client::new(socket, first, is_websocket);
        let index = self.free.pop().unwrap_or(self.clients.len());
        let interests = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(client.socket_mut().unwrap(), Token(index), interests)
            .unwrap();
        if index < self.clients.len() {
            self.clients[index] = client;
        } else {
            self.clients.push(client);
        }
        index
    }
}
