//! The listening sockets: accepting in measure, refusing in measure, and living through a lack of descriptors.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use super::link::Link;
use super::refusals::Refusals;
use super::socket::{Socket, listen};
use crate::clock::Moment;
use crate::config::Config;
use crate::handler::Entrance;
use crate::metrics::{AcceptError, Counters};
#[cfg(feature = "tls")]
use crate::tls::Acceptor;

/// How long not to accept when the system has no descriptor or memory for another connection.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the log says that peers cannot be taken in, however many they are.
const LOG_PERIOD: Duration = Duration::from_secs(10);

/// How many connections the system may have ready for us, as far as it allows that many itself. Above it drops the
/// attempts of peers, who repeat them after a second: the 128 that sockets start with are full after a long turn.
const QUEUE_LEN: i32 = 4096;

/// The listening sockets of the server; one loop has them.
pub(super) struct Listener<S: Socket = TcpStream> {
    /// Each with what comes by it.
    sockets: Vec<(Entrance, S::Listener)>,
    /// What encrypts connections of the public, if that is wanted.
    #[cfg(feature = "tls")]
    acceptor: Option<Acceptor>,
    /// Set while the system cannot give us another connection. No event will say when it can.
    paused_until: Option<Moment>,
    /// Peers beyond the limit of connections.
    refusals: Refusals<S>,
    /// When the log may next say that peers cannot be taken in.
    silent_until: Moment,
}

/// Why [`Listener::accept`] stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Accepted {
    /// Nobody waits, or nobody can be taken in for the moment.
    All,
    /// The budget is used up and somebody may wait.
    UntilBudget,
}

impl Listener<TcpStream> {
    /// Listens on every address.
    ///
    /// # Errors
    ///
    /// The first address that cannot be listened on, with what the system says.
    pub(super) fn bind(config: &Config) -> Result<Self, (SocketAddr, io::Error)> {
        let public = config.listen.iter().map(|&addr| (Entrance::Public, addr));
        let metrics = config.metrics_listen.map(|addr| (Entrance::Metrics, addr));
        let sockets = public
            .chain(metrics)
            .map(|(entrance, address)| match listen(address, QUEUE_LEN) {
                Ok(socket) => Ok((entrance, socket)),
                Err(error) => Err((address, error)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self::new(sockets, config))
    }

    /// The addresses for this, with the ports that the system chose.
    pub(super) fn local_addresses(&self, what: Entrance) -> io::Result<Vec<SocketAddr>> {
        self.sockets
            .iter()
            .filter(|(entrance, _)| *entrance == what)
            .map(|(_, socket)| socket.local_addr())
            .collect()
    }
}

impl<S: Socket> Listener<S> {
    pub(super) fn new(sockets: Vec<(Entrance, S::Listener)>, config: &Config) -> Self {
        // The other half of the reserve is for everything else.
        let refused_count_max = config.descriptor_reserve.div_ceil(2);
        Self {
            sockets,
            #[cfg(feature = "tls")]
            acceptor: None,
            paused_until: None,
            refusals: Refusals::new(refused_count_max, config.linger_timeout),
            silent_until: Moment::START,
        }
    }

    /// Has `registry` report connections that wait under the tokens that `token_of` gives.
    pub(super) fn register(
        &mut self,
        registry: &Registry,
        token_of: impl Fn(usize) -> Token,
    ) -> io::Result<()> {
        for (index, (_, socket)) in self.sockets.iter_mut().enumerate() {
            registry.register(socket, token_of(index), Interest::READABLE)?;
        }
        Ok(())
    }

    /// Accepts up to `budget` connections.
    pub(super) fn accept(
        &mut self,
        budget: usize,
        now: Moment,
        counters: &Counters,
        mut take: impl FnMut(Link<S>),
    ) -> Accepted {
        self.paused_until = None;
        let mut left = budget;
        for (entrance, socket) in &self.sockets {
            loop {
                if left == 0 {
                    return Accepted::UntilBudget;
                }
                left -= 1;
                match S::accept_from(socket) {
                    Ok((stream, address)) => {
                        take(self.link(stream, address, *entrance));
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if is_of_one_connection(&error) => {
                        counters.accept_errors.add(AcceptError::Connection, 1);
                        log::debug!("accept: {error}");
                    }
                    Err(error) => {
                        counters.accept_errors.add(AcceptError::Resources, 1);
                        self.paused_until = Some(now + PAUSE);
                        self.warn_at_times(
                            now,
                            format_args!("not accepting for the moment: {error}"),
                        );
                        return Accepted::All;
                    }
                }
            }
        }
        Accepted::All
    }

    /// Has connections of the public encrypted from now on, or by another certificate.
    #[cfg(feature = "tls")]
    pub(super) fn encrypt(&mut self, acceptor: Acceptor) {
        self.acceptor = Some(acceptor);
    }

    /// Tells a peer that was accepted that there is no room for it.
    pub(super) fn refuse(&mut self, link: Link<S>, now: Moment) {
        self.refusals.refuse(link, now);
        self.warn_at_times(now, format_args!("the limit of connections is reached"));
    }

    /// Tells a peer that was accepted that its client has too many connections already.
    pub(super) fn refuse_one_of_many(&mut self, link: Link<S>, now: Moment) {
        self.refusals.refuse(link, now);
        self.warn_at_times(now, format_args!("an address has too many connections"));
    }

    /// Closes the sockets of refused peers when it is time.
    pub(super) fn let_refused_go(&mut self, now: Moment) {
        self.refusals.let_go(now);
    }

    /// When there is something to do although no event says so.
    pub(super) fn next_moment(&self) -> Option<Moment> {
        let moments = [self.paused_until, self.refusals.next_end()];
        moments.into_iter().flatten().min()
    }

    fn link(&self, stream: S, address: SocketAddr, entrance: Entrance) -> Link<S> {
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &self.acceptor
            && entrance == Entrance::Public
        {
            return Link::encrypted(stream, acceptor.accept(), address, entrance);
        }
        Link::new(stream, address, entrance)
    }

    fn warn_at_times(&mut self, now: Moment, what: fmt::Arguments<'_>) {
        if now >= self.silent_until {
            log::warn!("{what}");
            self.silent_until = now + LOG_PERIOD;
        }
    }

    /// When to try again after a lack; `None` if events of the sockets will say.
    pub(super) fn paused_until(&self) -> Option<Moment> {
        self.paused_until
    }
}

/// Whether an error of `accept` is about the connection that waited, so that the next one can be taken.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::PermissionDenied
    )
}
