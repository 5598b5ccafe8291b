//! What leads to a peer: the socket, the address at its other end, the way that it came, and the encryption if there is
//! any; in as few bytes as it takes.

use std::io::{self, ErrorKind, IoSlice, Write};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use super::socket::Socket;
use crate::clock::Moment;
use crate::handler::Entrance;
use crate::http::Scheme;
use crate::outbox::{Flushed, Outbox};
#[cfg(feature = "tls")]
use crate::tls::Layer;

/// A socket with the address of its other end, and which of our addresses it came to. An `IPv4` address takes a quarter of
/// what any address may, and most clients have one.
///
/// The socket can be gone, while the address is still of interest. Nothing comes without a socket, and nothing goes out.
#[derive(Debug)]
pub(super) enum Link<S> {
    V4(Option<S>, SocketAddrV4, Entrance),
    V6(Option<S>, Box<SocketAddrV6>, Entrance),
    #[cfg(feature = "tls")]
    Encrypted(Box<Encrypted<S>>),
}

/// A link whose bytes are encrypted.
#[cfg(feature = "tls")]
#[derive(Debug)]
pub(super) struct Encrypted<S> {
    socket: S,
    layer: Layer,
    address: SocketAddr,
    entrance: Entrance,
    /// Since when the socket has taken nothing of what is encrypted; `None` if nothing waits.
    stalled_since: Option<Moment>,
}

impl<S> Link<S> {
    pub(super) fn new(socket: S, address: SocketAddr, entrance: Entrance) -> Self {
        Self::plain(Some(socket), address, entrance)
    }

    fn plain(socket: Option<S>, address: SocketAddr, entrance: Entrance) -> Self {
        match address {
            SocketAddr::V4(address) => Self::V4(socket, address, entrance),
            SocketAddr::V6(address) => Self::V6(socket, Box::new(address), entrance),
        }
    }

    /// The same, but everything on it is encrypted.
    #[cfg(feature = "tls")]
    pub(super) fn encrypted(
        socket: S,
        layer: Layer,
        address: SocketAddr,
        entrance: Entrance,
    ) -> Self {
        Self::Encrypted(Box::new(Encrypted {
            socket,
            layer,
            address,
            entrance,
            stalled_since: None,
        }))
    }

    /// Takes the socket, with all that belongs to it, for another connection; the address stays known.
    pub(super) fn take(&mut self) -> Option<Self> {
        let rest = Self::plain(None, self.address(), self.entrance());
        self.has_socket().then(|| std::mem::replace(self, rest))
    }

    /// Has what is left to say on an encrypted link go out as it is: the encryption has failed, or has not begun.
    pub(super) fn strip(&mut self) {
        #[cfg(feature = "tls")]
        {
            let rest = Self::plain(None, self.address(), self.entrance());
            *self = match std::mem::replace(self, rest) {
                Self::Encrypted(it) => Self::plain(Some(it.socket), it.address, it.entrance),
                plain => plain,
            };
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::V4(_, address, _) => (*address).into(),
            Self::V6(_, address, _) => (**address).into(),
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.address,
        }
    }

    pub(super) fn entrance(&self) -> Entrance {
        match self {
            Self::V4(_, _, entrance) | Self::V6(_, _, entrance) => *entrance,
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.entrance,
        }
    }

    /// How what is at the other end has to be called.
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::V4(..) | Self::V6(..) => Scheme::Http,
            #[cfg(feature = "tls")]
            Self::Encrypted(_) => Scheme::Https,
        }
    }

    /// Whether what is written goes on to a socket; [`Link::has_unsent`] says if not all of it gets there.
    #[inline]
    pub(super) fn has_socket(&self) -> bool {
        match self {
            Self::V4(socket, ..) | Self::V6(socket, ..) => socket.is_some(),
            #[cfg(feature = "tls")]
            Self::Encrypted(_) => true,
        }
    }

    #[inline]
    fn socket(&mut self, otherwise: ErrorKind) -> io::Result<&mut S> {
        match self {
            Self::V4(socket, ..) | Self::V6(socket, ..) => {
                socket.as_mut().ok_or_else(|| otherwise.into())
            }
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => Ok(&mut encrypted.socket),
        }
    }
}

impl<S: Socket> Link<S> {
    /// Reads up to `len_max` bytes to the front of `buffer`; what is behind them may be used, too.
    #[inline]
    pub(super) fn read(&mut self, buffer: &mut [u8], len_max: usize) -> io::Result<usize> {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => {
                let (buffer, scratch) = buffer.split_at_mut(len_max);
                encrypted.layer.read(&mut encrypted.socket, buffer, scratch)
            }
            plain => plain
                .socket(ErrorKind::WouldBlock)?
                .receive(&mut buffer[..len_max]),
        }
    }

    /// Whether there is something to read of which no event of the socket tells.
    #[inline]
    pub(super) fn has_unread(&mut self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.layer.has_unread(),
            _ => false,
        }
    }

    /// How much of a budget was used to read `len` bytes.
    #[inline]
    pub(super) fn read_cost(&mut self, len: usize) -> usize {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.layer.take_carried_len().max(len),
            _ => len,
        }
    }

    /// Whether encryption was agreed upon since the last time that this was asked.
    #[inline]
    pub(super) fn take_established(&mut self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.layer.take_established(),
            _ => false,
        }
    }

    /// Bytes kept between socket and session.
    #[inline]
    pub(super) fn held_len(&self) -> usize {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.layer.held_len(),
            _ => 0,
        }
    }

    /// Whether something that was written has not got into the socket, so that [`Link::push`] is called for.
    #[inline]
    pub(super) fn has_unsent(&self) -> bool {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.layer.has_unsent(),
            _ => false,
        }
    }

    /// Since when the peer has taken nothing of what waits for it in `outbox` or behind it.
    pub(super) fn stalled_since(&self, outbox: &Outbox) -> Option<Moment> {
        match self {
            // The outbox is empty long before everything is gone, and what it has cannot move before.
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => encrypted.stalled_since,
            _ => outbox.stalled_since(),
        }
    }

    /// Sees to it that what was `flushed` into the link gets out at its other end.
    #[cfg_attr(
        not(feature = "tls"),
        expect(unused_variables, reason = "what is not encrypted is out already")
    )]
    #[inline]
    pub(super) fn push(&mut self, flushed: Flushed, now: Moment) -> io::Result<Flushed> {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => match encrypted.push() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    encrypted.on_blocked(now);
                    Ok(Flushed::UntilBlocked)
                }
                pushed => {
                    encrypted.stalled_since = None;
                    pushed.map(|()| flushed)
                }
            },
            _ => Ok(flushed),
        }
    }

    /// Writes what is the last before [`Link::finish`].
    fn write_last(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(_) => self.write_vectored(slices),
            plain => plain.socket(ErrorKind::WouldBlock)?.write_last(slices),
        }
    }

    /// Ends our side of the stream. `WouldBlock` means that [`Link::push`] will do it.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => {
                encrypted.layer.finish();
                encrypted.push()
            }
            plain => plain.socket(ErrorKind::NotConnected)?.finish(),
        }
    }

    /// Tells the peer of the end, if that takes no time: the socket is about to be dropped.
    pub(super) fn part(&mut self) {
        #[cfg(feature = "tls")]
        if let Self::Encrypted(encrypted) = self {
            encrypted.layer.part(&mut encrypted.socket);
        }
    }
}

#[cfg(feature = "tls")]
impl<S: Socket> Encrypted<S> {
    fn push(&mut self) -> io::Result<()> {
        if self.layer.flush(&mut self.socket)? {
            self.socket.finish()?;
        }
        Ok(())
    }

    fn on_blocked(&mut self, now: Moment) {
        if self.layer.take_moved() {
            self.stalled_since = None;
        }
        self.stalled_since.get_or_insert(now);
    }
}

impl<S: Socket> Write for Link<S> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(_) => self.write_vectored(&[IoSlice::new(bytes)]),
            plain => plain.socket(ErrorKind::WouldBlock)?.send(bytes),
        }
    }

    #[inline]
    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            #[cfg(feature = "tls")]
            Self::Encrypted(encrypted) => {
                let Encrypted { socket, layer, .. } = &mut **encrypted;
                layer.write_vectored(socket, slices)
            }
            plain => plain.socket(ErrorKind::WouldBlock)?.write_vectored(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A link to which the last is written before [`Link::finish`].
pub(super) struct Parting<'a, S>(pub(super) &'a mut Link<S>);

impl<S: Socket> Write for Parting<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_last(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_last(slices)
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
