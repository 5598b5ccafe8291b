//! The yardstick: a server on `mio` that passes bytes on and knows no protocol, as good as such a server can be.
//!
//! It works like switchboard where both have a choice: edge-triggered, one read for each readiness into one shared buffer
//! of the same size, `TCP_NODELAY`, an orderly end of the connection. It is written to directly from the read buffer.
//! What a client sends comes back as it is, with the mask: a few bytes more than a WebSocket server would answer.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;

use clap::ValueEnum;
use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::farewell::FAREWELL;
use super::visits::ANSWER;

/// What becomes of bytes that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RawWork {
    /// They go back.
    Echo,
    /// They go to all others.
    FanOut,
    /// The first bring the answer to an upgrade, the second a Close frame and the end.
    Visit,
}

impl RawWork {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::FanOut => "fan-out",
            Self::Visit => "visit",
        }
    }
}

/// As much as switchboard reads at once.
const READ_BUFFER_BYTES: usize = 128 << 10;

const LISTENER: Token = Token(usize::MAX);

struct Connection {
    socket: TcpStream,
    /// What the socket did not take.
    unsent: VecDeque<u8>,
    /// Whether the upgrade of a visit is answered.
    is_answered: bool,
}

struct RawServer {
    poll: Poll,
    listener: TcpListener,
    work: RawWork,
    connections: Vec<Option<Connection>>,
    free: Vec<usize>,
    buffer: Vec<u8>,
}

/// Serves until the process is killed.
pub(crate) fn serve(work: RawWork) -> io::Result<()> {
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    let poll = Poll::new()?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    println!("listening on http://{}", listener.local_addr()?);
    let mut server = RawServer {
        poll,
        listener,
        work,
        connections: Vec::new(),
        free: Vec::new(),
        buffer: vec![0; READ_BUFFER_BYTES],
    };
    let mut events = Events::with_capacity(1024);
    loop {
        match server.poll.poll(&mut events, None) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            match event.token() {
                LISTENER => server.accept()?,
                Token(index) => server.on_event(index, event),
            }
        }
    }
}

impl RawServer {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            socket.set_nodelay(true)?;
            let index = self.free.pop().unwrap_or_else(|| {
                self.connections.push(None);
                self.connections.len() - 1
            });
            let interests = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut socket, Token(index), interests)?;
            self.connections[index] = Some(Connection {
                socket,
                unsent: VecDeque::new(),
                is_answered: false,
            });
        }
    }

    fn on_event(&mut self, index: usize, event: &Event) {
        let Some(connection) = &mut self.connections[index] else {
            return;
        };
        let mut is_alive = !event.is_writable() || connection.flush();
        if is_alive && event.is_readable() {
            is_alive = self.read(index, event.is_read_closed());
        }
        // An event of the same batch may meet the next owner of the index, who then reads in vain.
        if !is_alive {
            self.connections[index] = None;
            self.free.push(index);
        }
    }

    /// Whether the connection lives on.
    fn read(&mut self, index: usize, has_ended: bool) -> bool {
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut is_alive = true;
        while is_alive && let Some(connection) = &mut self.connections[index] {
            match connection.socket.read(&mut buffer) {
                Ok(0) => is_alive = false,
                Ok(count) => {
                    is_alive = self.on_bytes(index, &buffer[..count]);
                    // Fewer than asked for: the socket is drained, and the next byte brings an event.
                    if count < buffer.len() && !has_ended {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => is_alive = false,
            }
        }
        self.buffer = buffer;
        is_alive
    }

    fn on_bytes(&mut self, index: usize, bytes: &[u8]) -> bool {
        match self.work {
            RawWork::Echo => self.at(index).is_some_and(|own| own.send(bytes)),
            RawWork::FanOut => {
                for (other, connection) in self.connections.iter_mut().enumerate() {
                    if let Some(connection) = connection
                        && other != index
                    {
                        connection.send(bytes);
                    }
                }
                true
            }
            RawWork::Visit => self.at(index).is_some_and(Connection::answer),
        }
    }

    fn at(&mut self, index: usize) -> Option<&mut Connection> {
        self.connections[index].as_mut()
    }
}

impl Connection {
    fn answer(&mut self) -> bool {
        if !std::mem::replace(&mut self.is_answered, true) {
            return self.send(ANSWER.as_bytes());
        }
        self.send(&FAREWELL) && self.socket.shutdown(Shutdown::Write).is_ok()
    }

    /// Writes what the socket takes and keeps the rest; whether it is in order.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let written = if self.unsent.is_empty() {
            write(&mut self.socket, bytes)
        } else {
            Some(0)
        };
        if let Some(count) = written {
            self.unsent.extend(&bytes[count..]);
        }
        written.is_some()
    }

    fn flush(&mut self) -> bool {
        while !self.unsent.is_empty() {
            let (front, _) = self.unsent.as_slices();
            let len = front.len();
            match write(&mut self.socket, front) {
                Some(count) => {
                    self.unsent.drain(..count);
                    if count < len {
                        break;
                    }
                }
                None => return false,
            }
        }
        true
    }
}

/// Writes until everything is written or the socket is full; how much, or nothing if the connection is broken.
fn write(socket: &mut TcpStream, bytes: &[u8]) -> Option<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.write(&bytes[written..]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
    Some(written)
}
