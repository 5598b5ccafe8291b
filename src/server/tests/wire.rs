//! A socket that behaves as a network may: it takes and gives what it likes, fails at any call, and says so late.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::server::socket::Socket;

/// What goes wrong at one call.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Nothing,
    /// At most so many bytes are moved.
    Short(usize),
    Interrupted,
    /// Nothing is moved although there would be something, or room.
    WouldBlock,
    /// Nothing is moved, which is the end of the stream to a reader, and nonsense to a writer.
    Zero,
    /// The connection is broken, now and for ever.
    Broken(ErrorKind),
}

impl Fault {
    /// What can go wrong when something is written.
    pub(super) const OF_A_WRITE: [Self; 6] = [
        Self::Interrupted,
        Self::WouldBlock,
        Self::Zero,
        Self::Short(1),
        Self::Broken(ErrorKind::ConnectionReset),
        Self::Broken(ErrorKind::BrokenPipe),
    ];
}

/// What lies between the server and one peer.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// What the peer has sent and the server has not read.
    pub(super) incoming: VecDeque<u8>,
    /// Whether nothing comes behind that.
    pub(super) is_ended: bool,
    /// What the peer gets.
    pub(super) taken: Vec<u8>,
    /// How much more it would take.
    pub(super) room: usize,
    /// One for each call to come; then all is well.
    pub(super) faults: VecDeque<Fault>,
    pub(super) broken: Option<ErrorKind>,
    /// Whether the server was told that.
    pub(super) is_broken_told: bool,
    /// Whether the server has ended its side.
    pub(super) is_finished: bool,
    /// What a poll knows the socket by.
    pub(super) token: Option<Token>,
    /// Whether the server let go of the socket.
    pub(super) is_dropped: bool,
    /// Whether a poll would tell of it.
    pub(super) is_readable: bool,
    pub(super) is_writable: bool,
    /// What the server did that it must not.
    pub(super) misuse: Option<&'static str>,
}

impl Wire {
    /// The peer sends bytes.
    pub(super) fn send(&mut self, bytes: &[u8]) {
        if !self.is_ended && self.broken.is_none() {
            self.incoming.extend(bytes);
            self.is_readable = true;
        }
    }

    /// The peer ends its side.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
        self.is_readable = true;
    }

    /// The connection breaks; what was not read is lost.
    pub(super) fn reset(&mut self, kind: ErrorKind) {
        self.broken.get_or_insert(kind);
        self.incoming.clear();
        self.is_readable = true;
        self.is_writable = true;
    }

    /// The peer takes so many bytes more.
    pub(super) fn make_room(&mut self, len: usize) {
        self.is_writable |= self.room == 0;
        self.room = self.room.saturating_add(len);
    }

    /// What the next call comes to: at most so many bytes, or an error.
    fn begin_call(&mut self) -> io::Result<usize> {
        if self.is_dropped {
            self.misuse = Some("used after it was dropped");
        }
        if let Some(kind) = self.broken {
            if std::mem::replace(&mut self.is_broken_told, true) {
                self.misuse = Some("used after it was broken");
            }
            return Err(kind.into());
        }
        match self.faults.pop_front().unwrap_or(Fault::Nothing) {
            Fault::Nothing => Ok(usize::MAX),
            Fault::Short(len) => Ok(len),
            Fault::Zero => Ok(0),
            Fault::Interrupted => Err(ErrorKind::Interrupted.into()),
            Fault::WouldBlock => {
                self.is_readable |= !self.incoming.is_empty() || self.is_ended;
                self.is_writable |= self.room > 0;
                Err(ErrorKind::WouldBlock.into())
            }
            Fault::Broken(kind) => {
                self.broken = Some(kind);
                self.begin_call()
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len_max = self.begin_call()?;
        if len_max == 0 {
            self.is_ended = true;
            self.incoming.clear();
        }
        if self.incoming.is_empty() {
            return if self.is_ended {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        let len = buffer.len().min(len_max).min(self.incoming.len());
        for (to, from) in buffer.iter_mut().zip(self.incoming.drain(..len)) {
            *to = from;
        }
        // The rest comes a moment later, as far as anybody can tell.
        self.is_readable |= !self.incoming.is_empty() || self.is_ended;
        Ok(len)
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_finished {
            self.misuse = Some("written to after its end");
        }
        let len_max = self.begin_call()?;
        if len_max == 0 {
            return Ok(0);
        }
        if self.room == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        let begun = self.taken.len();
        self.taken.extend(bytes.take(len_max.min(self.room)));
        let len = self.taken.len() - begun;
        self.room -= len;
        Ok(len)
    }
}

/// The server's end of a wire.
#[derive(Debug)]
pub(super) struct FaultySocket(pub(super) Rc<RefCell<Wire>>);

impl Socket for FaultySocket {
    type Listener = FaultyListener;

    fn accept_from(listener: &FaultyListener) -> io::Result<(Self, SocketAddr)> {
        let next = listener.0.borrow_mut().pop_front();
        next.unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()))
    }

    fn finish(&self) -> io::Result<()> {
        let mut wire = self.0.borrow_mut();
        match wire.begin_call() {
            // Neither is an answer of this call.
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            other => _ = other?,
        }
        if std::mem::replace(&mut wire.is_finished, true) {
            wire.misuse = Some("ended twice");
        }
        Ok(())
    }
}

impl Read for FaultySocket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl Write for FaultySocket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.borrow_mut().write(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for FaultySocket {
    fn drop(&mut self) {
        let mut wire = self.0.borrow_mut();
        if wire.token.is_some() {
            wire.misuse = Some("dropped while a poll knows it");
        }
        wire.is_dropped = true;
    }
}

impl Source for FaultySocket {
    fn register(&mut self, _: &Registry, token: Token, _: Interest) -> io::Result<()> {
        let mut wire = self.0.borrow_mut();
        if wire.token.replace(token).is_some() {
            wire.misuse = Some("registered twice");
        }
        // What is there already is told at once.
        wire.is_readable |= !wire.incoming.is_empty() || wire.is_ended || wire.broken.is_some();
        wire.is_writable = true;
        Ok(())
    }

    fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Err(io::Error::other(
            "both interests are registered once and never again",
        ))
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        let token = self.0.borrow_mut().token.take();
        token.map(|_| ()).ok_or_else(|| ErrorKind::NotFound.into())
    }
}

/// What [`FaultyListener`] gives out, one for each call.
pub(super) type Waiting = Rc<RefCell<VecDeque<io::Result<(FaultySocket, SocketAddr)>>>>;

/// A listening socket whose backlog a test fills, with peers and with errors.
#[derive(Debug, Default)]
pub(super) struct FaultyListener(pub(super) Waiting);

impl Drop for FaultyListener {
    /// Whoever still waits is cut off.
    fn drop(&mut self) {
        self.0.take();
    }
}

impl Source for FaultyListener {
    fn register(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn reregister(&mut self, _: &Registry, _: Token, _: Interest) -> io::Result<()> {
        Ok(())
    }

    fn deregister(&mut self, _: &Registry) -> io::Result<()> {
        Ok(())
    }
}
