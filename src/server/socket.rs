//! What the server wants of a socket, so that a test can put one below it that fails in every way a network does.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream};

/// One end of a stream that was accepted. The server runs on TCP; everything above this line is the same in tests.
pub(super) trait Socket: Read + Write + Source + Sized + 'static {
    /// What such streams come from.
    type Listener: Source;

    /// Takes the next stream that waits.
    fn accept_from(listener: &Self::Listener) -> io::Result<(Self, SocketAddr)>;

    /// Ends our side of the stream.
    fn finish(&self) -> io::Result<()>;
}

impl Socket for TcpStream {
    type Listener = TcpListener;

    fn accept_from(listener: &TcpListener) -> io::Result<(Self, SocketAddr)> {
        let (stream, remote) = listener.accept()?;
        // It fails only for a connection that is gone already, which the first read will tell.
        let _ = stream.set_nodelay(true);
        Ok((stream, remote))
    }

    fn finish(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
