//! What the server wants of a socket, so that a test can put one below it that fails in every way a network does.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
#[cfg(target_os = "linux")]
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};

/// One end of a stream that was accepted. The server runs on TCP; everything above this line is the same in tests.
pub(super) trait Socket: Read + Write + Source + Sized + 'static {
    /// What such streams come from.
    type Listener: Source;

    /// Whether a poll forgets such a stream when it is dropped, so that it need not be told.
    const IS_FORGOTTEN_WHEN_DROPPED: bool = false;

    /// Takes the next stream that waits.
    fn accept_from(listener: &Self::Listener) -> io::Result<(Self, SocketAddr)>;

    /// Reads what has come, like [`Read::read`].
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    /// Writes, like [`Write::write`].
    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// Writes what is the last before [`Socket::finish`], for which it may wait to go out with it.
    fn write_last(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_vectored(slices)
    }

    /// Ends our side of the stream.
    fn finish(&self) -> io::Result<()>;
}

/// Whether a connection has the settings of the listener that it came by.
const INHERITS_SETTINGS: bool = cfg!(target_os = "linux");

/// A socket that listens on an address, with a queue of that length.
pub(super) fn listen(address: SocketAddr, queue_len: i32) -> io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    // It listens already; to say so again is how the length of its queue is changed.
    rustix::net::listen(&socket, queue_len)?;
    if INHERITS_SETTINGS {
        rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
    }
    Ok(socket)
}

impl Socket for TcpStream {
    type Listener = TcpListener;

    /// The system forgets a descriptor that is closed, of which nobody has another (`epoll(7)`). That saves a call.
    const IS_FORGOTTEN_WHEN_DROPPED: bool = cfg!(target_os = "linux");

    fn accept_from(listener: &TcpListener) -> io::Result<(Self, SocketAddr)> {
        let (stream, remote) = listener.accept()?;
        if !INHERITS_SETTINGS {
            // It fails only for a connection that is gone already, which the first read will tell.
            let _ = stream.set_nodelay(true);
        }
        Ok((stream, remote))
    }

    /// The call of the C library is one at which a thread can be cancelled. With a second thread in the process, that of the
    /// log, each call pays for it with two atomic operations.
    #[cfg(target_os = "linux")]
    #[inline]
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (count, _) = rustix::net::recv(&*self, buffer, RecvFlags::empty())?;
        Ok(count)
    }

    /// For the same reason.
    #[cfg(target_os = "linux")]
    #[inline]
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&*self, bytes, SendFlags::NOSIGNAL)?)
    }

    /// One segment with the end of the stream instead of two: half the work for both ends.
    #[cfg(target_os = "linux")]
    fn write_last(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let flags = SendFlags::MORE | SendFlags::NOSIGNAL;
        let nothing = &mut SendAncillaryBuffer::default();
        Ok(rustix::net::sendmsg(&*self, slices, nothing, flags)?)
    }

    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

#[cfg(test)]
mod tests {
    use std::net;
    use std::time::Duration;

    use super::*;

    /// A connection by a listener of the server, its other end first.
    fn connection() -> (net::TcpStream, TcpStream) {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 128).unwrap();
        let address = listener.local_addr().unwrap();
        let peer = net::TcpStream::connect(address).unwrap();
        let (stream, remote) = loop {
            match TcpStream::accept_from(&listener) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                accepted => break accepted.unwrap(),
            }
        };
        assert_eq!(remote, peer.local_addr().unwrap());
        (peer, stream)
    }

    #[test]
    fn small_writes_go_out_at_once() {
        let (_peer, stream) = connection();
        assert!(stream.nodelay().unwrap());
    }

    #[test]
    fn bytes_come_and_go_and_a_peer_that_is_gone_is_an_error() {
        let (mut peer, mut stream) = connection();
        let mut buffer = [0; 8];
        let nothing = stream.receive(&mut buffer).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        peer.write_all(b"ping").unwrap();
        let count = loop {
            match stream.receive(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                received => break received.unwrap(),
            }
        };
        assert_eq!(&buffer[..count], b"ping");
        assert_eq!(stream.send(b"pong").unwrap(), 4);
        peer.read_exact(&mut buffer[..4]).unwrap();
        assert_eq!(&buffer[..4], b"pong");
        drop(peer);
        let error = loop {
            if let Err(error) = stream.send(b"anybody?") {
                break error;
            }
        };
        let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        assert!(gone.contains(&error.kind()), "{error}");
    }

    #[test]
    fn cl_05_the_last_words_arrive_with_the_end() {
        let (mut peer, mut stream) = connection();
        let words = [IoSlice::new(b"good"), IoSlice::new(b"bye")];
        assert_eq!(stream.write_last(&words).unwrap(), 7);
        stream.finish().unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"goodbye");
    }

    #[test]
    fn a_burst_of_connections_waits_in_the_queue() {
        let socket = listen(SocketAddr::from(([127, 0, 0, 1], 0)), 4096).unwrap();
        let address = socket.local_addr().unwrap();
        // An attempt that is dropped is repeated after a second.
        let patience = Duration::from_millis(900);
        let waiting: Vec<_> = (0..300)
            .map(|_| net::TcpStream::connect_timeout(&address, patience).expect("a place"))
            .collect();
        assert_eq!(waiting.len(), 300);
    }
}
