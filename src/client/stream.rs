//! The stream to a server, encrypted or not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use mio::net;

#[cfg(feature = "tls")]
use super::ClientConfig;
use super::ClientError;
#[cfg(feature = "tls")]
use crate::tls::{self, Layer, TlsFault};

/// A socket, and what encrypts its bytes.
#[derive(Debug)]
pub(super) struct Stream<T> {
    socket: T,
    #[cfg(feature = "tls")]
    layer: Option<Box<Layer>>,
}

impl<T> Stream<T> {
    /// Everyone on the way can read what goes through this one.
    pub(super) fn plain(socket: T) -> Self {
        Self {
            socket,
            #[cfg(feature = "tls")]
            layer: None,
        }
    }

    pub(super) fn socket(&mut self) -> &mut T {
        &mut self.socket
    }
}

#[cfg(feature = "tls")]
impl<T: Read + Write> Stream<T> {
    /// Nobody on the way can read what goes through this one, once [`Stream::advance`] has come to its end.
    pub(super) fn encrypted(
        socket: T,
        host: &str,
        config: &ClientConfig,
    ) -> Result<Self, ClientError> {
        let layer = tls::connect(host, &config.trust).map_err(ClientError::Trust)?;
        Ok(Self {
            socket,
            layer: Some(Box::new(layer)),
        })
    }

    /// Goes one step further towards an agreement on encryption; whether that is there.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        match &mut self.layer {
            Some(layer) => layer.advance(&mut self.socket),
            None => Ok(true),
        }
    }
}

impl Stream<TcpStream> {
    /// The same stream, which does not block any more.
    pub(super) fn into_nonblocking(self) -> io::Result<Stream<net::TcpStream>> {
        self.socket.set_nonblocking(true)?;
        Ok(Stream {
            socket: net::TcpStream::from_std(self.socket),
            #[cfg(feature = "tls")]
            layer: self.layer,
        })
    }

    /// Reads from the socket once, however little that brings.
    ///
    /// # Errors
    ///
    /// `Interrupted` if it brings nothing that can be decrypted yet; whatever the socket says.
    pub(super) fn read_once(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(layer) = &mut self.layer {
            return layer.read_once(&mut self.socket, buffer);
        }
        self.socket.read(buffer)
    }
}

impl Stream<net::TcpStream> {
    /// Ends our side of the stream, as far as that is possible now; to be called again if it was not.
    pub(super) fn finish(&mut self) {
        #[cfg(feature = "tls")]
        if let Some(layer) = &mut self.layer {
            layer.finish();
            if layer.flush(&mut self.socket).is_err() {
                return;
            }
        }
        // A server that is gone already does not mind.
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

impl<T: Read + Write> Read for Stream<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(layer) = &mut self.layer {
            return layer.read(&mut self.socket, buffer, &mut []);
        }
        self.socket.read(buffer)
    }
}

impl<T: Read + Write> Write for Stream<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(layer) = &mut self.layer {
            return layer.write_vectored(&mut self.socket, &[io::IoSlice::new(bytes)]);
        }
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(layer) = &mut self.layer {
            layer.flush(&mut self.socket)?;
        }
        Ok(())
    }
}

/// What an error of a stream says of the connection, if it is not one of the system.
pub(super) fn lost_or(error: io::Error) -> ClientError {
    #[cfg(feature = "tls")]
    if let Some(fault) = TlsFault::of(&error) {
        return ClientError::Encryption(fault);
    }
    match error.kind() {
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted => ClientError::Lost,
        _ => ClientError::Io(error),
    }
}
