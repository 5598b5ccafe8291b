//! What leads to a peer: the socket, the address at its other end and the way that it came, in as few bytes as it takes.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::socket::Socket;
use crate::handler::Entrance;

/// A socket with the address of its other end, and which of our addresses it came to. An `IPv4` address takes a quarter of
/// what any address may, and most clients have one.
///
/// The socket can be gone, while the address is still of interest. Nothing comes without a socket, and nothing goes out.
#[derive(Debug)]
pub(super) enum Link<S> {
    V4(Option<S>, SocketAddrV4, Entrance),
    V6(Option<S>, Box<SocketAddrV6>, Entrance),
}

impl<S> Link<S> {
    pub(super) fn new(socket: S, address: SocketAddr, entrance: Entrance) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(Some(socket), address, entrance),
            SocketAddr::V6(address) => Self::V6(Some(socket), Box::new(address), entrance),
        }
    }

    /// Takes the socket for another connection; the address stays known.
    pub(super) fn take(&mut self) -> Option<Self> {
        match self {
            Self::V4(socket, address, entrance) => {
                Some(Self::V4(Some(socket.take()?), *address, *entrance))
            }
            Self::V6(socket, address, entrance) => {
                let socket = socket.take()?;
                Some(Self::V6(Some(socket), address.clone(), *entrance))
            }
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::V4(_, address, _) => (*address).into(),
            Self::V6(_, address, _) => (**address).into(),
        }
    }

    pub(super) fn entrance(&self) -> Entrance {
        match *self {
            Self::V4(_, _, entrance) | Self::V6(_, _, entrance) => entrance,
        }
    }

    pub(super) fn has_socket(&self) -> bool {
        let (Self::V4(socket, ..) | Self::V6(socket, ..)) = self;
        socket.is_some()
    }

    fn socket(&mut self, otherwise: ErrorKind) -> io::Result<&mut S> {
        let (Self::V4(socket, ..) | Self::V6(socket, ..)) = self;
        socket.as_mut().ok_or_else(|| otherwise.into())
    }
}

impl<S: Socket> Link<S> {
    /// Ends our side of the stream.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.socket(ErrorKind::NotConnected)?.finish()
    }
}

impl<S: Read> Read for Link<S> {
    #[inline]
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket(ErrorKind::WouldBlock)?.read(buffer)
    }
}

impl<S: Write> Write for Link<S> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket(ErrorKind::WouldBlock)?.write(bytes)
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket(ErrorKind::WouldBlock)?.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<S: Source> Source for Link<S> {
    fn register(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let socket = self.socket(ErrorKind::NotConnected)?;
        socket.register(registry, token, interest)
    }

    fn reregister(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
    ) -> io::Result<()> {
        let socket = self.socket(ErrorKind::NotConnected)?;
        socket.reregister(registry, token, interest)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.socket(ErrorKind::NotConnected)?.deregister(registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_survive_the_socket_with_the_way_they_came() {
        for address in ["127.0.0.1:80", "[::1]:8080", "[fe80::1%3]:1"] {
            let address: SocketAddr = address.parse().unwrap();
            for entrance in [Entrance::Public, Entrance::Metrics] {
                let mut link = Link::new((), address, entrance);
                let taken = link.take().unwrap();
                assert!(taken.has_socket() && !link.has_socket() && link.take().is_none());
                for link in [link, taken] {
                    assert_eq!((link.address(), link.entrance()), (address, entrance));
                }
            }
        }
    }
}
