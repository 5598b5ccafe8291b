//! The stream to a server, encrypted or not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};

use mio::net;

use super::{ClientConfig, ClientError};
use crate::http::SocketUrl;
#[cfg(feature = "tls")]
use crate::tls::{Connector, Layer, TlsFault};

/// What makes the streams to one server: whether they are to be encrypted, and whom to trust then.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    #[cfg(feature = "tls")]
    connector: Option<Connector>,
}

impl Streams {
    /// Streams to the server of `url`.
    ///
    /// # Errors
    ///
    /// They are to be encrypted, and cannot be.
    #[cfg(feature = "tls")]
    pub(super) fn to(url: &SocketUrl, config: &ClientConfig) -> Result<Self, ClientError> {
        let connector = url
            .is_secure()
            .then(|| Connector::new(url.host(), &config.trust));
        Ok(Self {
            connector: connector.transpose().map_err(ClientError::Trust)?,
        })
    }

    /// Streams to the server of `url`.
    ///
    /// # Errors
    ///
    /// They are to be encrypted.
    #[cfg(not(feature = "tls"))]
    pub(super) fn to(url: &SocketUrl, _: &ClientConfig) -> Result<Self, ClientError> {
        match url.is_secure() {
            true => Err(ClientError::CannotEncrypt),
            false => Ok(Self {}),
        }
    }

    /// The same, but none of them resumes what was agreed on in another.
    pub(super) fn without_resumption(self) -> Self {
        Self {
            #[cfg(feature = "tls")]
            connector: self.connector.map(Connector::without_resumption),
        }
    }

    /// A stream through `socket`, on which nothing was said.
    pub(super) fn begin<T>(&self, socket: T) -> Stream<T> {
        Stream {
            socket,
            #[cfg(feature = "tls")]
            layer: self
                .connector
                .as_ref()
                .map(|connector| Box::new(connector.connect())),
        }
    }
}

/// A socket, and what encrypts its bytes.
#[derive(Debug)]
pub(super) struct Stream<T> {
    socket: T,
    #[cfg(feature = "tls")]
    layer: Option<Box<Layer>>,
}

impl<T> Stream<T> {
    pub(super) fn socket(&mut self) -> &mut T {
        &mut self.socket
    }
}

impl<T: Read + Write> Stream<T> {
    /// Goes one step further towards an agreement on encryption, if there is to be any; whether that is there.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        #[cfg(feature = "tls")]
        if let Some(layer) = &mut self.layer {
            return layer.advance(&mut self.socket);
        }
        Ok(true)
    }

    /// Reads to the front of `buffer`, and may use all of it; also returns whether that was all there is, so that an event
    /// of the socket tells of whatever comes next.
    pub(super) fn read_available(&mut self, buffer: &mut [u8]) -> io::Result<(usize, bool)> {
        #[cfg(feature = "tls")]
        if let Some(layer) = &mut self.layer {
            let (buffer, scratch) = buffer.split_at_mut(buffer.len() / 2);
            let len = layer.read(&mut self.socket, buffer, scratch)?;
            return Ok((len, len < buffer.len() && !layer.has_unread()));
        }
        let len = self.socket.read(buffer)?;
        Ok((len, len < buffer.len()))
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
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted => ClientError::Lost,
        _ => ClientError::Io(error),
    }
}
