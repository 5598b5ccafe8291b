//! What carries the bytes of a client, encrypted or not.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};

/// Whom an encrypted client trusts.
#[cfg(feature = "tls")]
pub(crate) type Trust = Arc<ClientConfig>;
/// Nobody has this.
#[cfg(not(feature = "tls"))]
pub(crate) type Trust = std::convert::Infallible;

/// A socket, and what encrypts its bytes.
pub(crate) struct Wire<T> {
    pub(crate) socket: T,
    #[cfg(feature = "tls")]
    encryption: Option<Box<ClientConnection>>,
}

impl Wire<TcpStream> {
    /// Connects, encrypted if somebody is trusted.
    #[cfg_attr(
        not(feature = "tls"),
        expect(unused_variables, reason = "nobody can be trusted")
    )]
    pub(crate) fn connect(addr: SocketAddr, trust: Option<&Trust>) -> Self {
        Self {
            socket: TcpStream::connect(addr).expect("connect"),
            #[cfg(feature = "tls")]
            encryption: trust.map(|config| {
                let name = ServerName::try_from("localhost").expect("a name");
                let connection = ClientConnection::new(Arc::clone(config), name);
                let mut connection = connection.expect("settings that can be used");
                connection.set_buffer_limit(None);
                Box::new(connection)
            }),
        }
    }
}

impl<T> Wire<T> {
    /// The same with another kind of socket.
    pub(crate) fn map<U>(self, socket: impl FnOnce(T) -> U) -> Wire<U> {
        Wire {
            socket: socket(self.socket),
            #[cfg(feature = "tls")]
            encryption: self.encryption,
        }
    }

    /// Whether a read that brings little says nothing about the socket.
    pub(crate) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.encryption.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

impl<T: Read + Write> Read for Wire<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(connection) = &mut self.encryption {
            loop {
                match connection.reader().read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read,
                }
                while connection.wants_write() {
                    connection.write_tls(&mut self.socket)?;
                }
                connection.read_tls(&mut self.socket)?;
                connection.process_new_packets().map_err(io::Error::other)?;
            }
        }
        self.socket.read(buffer)
    }
}

impl<T: Read + Write> Write for Wire<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        #[cfg(feature = "tls")]
        if let Some(connection) = &mut self.encryption {
            let len = connection.writer().write(bytes)?;
            return match self.flush() {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
                _ => Ok(len),
            };
        }
        self.socket.write(bytes)
    }

    /// Gets out what was written and is not with the socket yet.
    fn flush(&mut self) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(connection) = &mut self.encryption {
            while connection.wants_write() {
                connection.write_tls(&mut self.socket)?;
            }
        }
        Ok(())
    }
}
