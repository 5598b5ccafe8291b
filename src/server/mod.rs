//! The only place with sockets, threads, the clock and mio: N event loops that share nothing but mailboxes.
//!
//! Loop 0 accepts and hands connections out, in turn, before their first registration. A connection stays on its
//! loop; a delivery to connections of another loop is a letter into that loop's mailbox. Letters between two loops
//! keep their order, so messages of one sender reach each receiver in the order sent.

mod accounts;
mod activity;
mod application;
mod arrivals;
mod back_pressure;
#[cfg(feature = "tls")]
mod certificate;
mod compression;
mod connection;
mod descriptors;
mod dispatch;
mod drain;
mod ends;
mod errand;
mod event_loop;
mod fairness;
mod fan_out;
mod link;
mod listener;
mod load;
mod mailbox;
mod marked_list;
mod numbered;
mod places;
mod read_buffer;
mod reading;
mod receipts;
mod recovery;
mod refusals;
mod replies;
mod requests;
mod shared;
mod shutdown;
mod socket;
mod timers;
mod tokens;
mod upkeep;
mod waiting_line;
mod watchdog;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use mio::{Poll, Waker};
use signal_hook::consts;
use signal_hook_mio::v1_0::Signals;

#[cfg(feature = "tls")]
pub use self::certificate::TlsFilesError;
use self::descriptors::Descriptors;
use self::drain::Drain;
use self::event_loop::EventLoop;
use self::listener::Listener;
use self::load::Loads;
use self::mailbox::{Mailbox, PostOffice, Stoppable};
use self::places::Places;
use self::shared::Shared;
pub use self::shutdown::Ended;
use crate::clock::Moment;
use crate::config::{Config, ConfigError};
use crate::handler::{Entrance, Handler, LoopPlace};
use crate::metrics::Metrics;
use crate::replay::ReplayBudget;
use crate::session::Cause;

/// A server that listens and is ready to run.
pub struct Server<H: Handler> {
    loops: Vec<EventLoop<H>>,
    metrics: Metrics,
    local_addresses: Vec<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    stopper: Stopper,
}

/// Stops a running server from another thread; cheap to clone.
#[derive(Clone)]
pub struct Stopper {
    loops: Arc<dyn Stoppable>,
    clock: Instant,
    config: Arc<Config>,
    open_count: Arc<AtomicUsize>,
}

/// Why a server cannot run.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerError {
    /// The settings contradict each other.
    Config(ConfigError),
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The descriptors that the process may have do not suffice for a single connection.
    TooFewDescriptors {
        /// How many it may have.
        limit: usize,
        /// How many it needs at least, the reserve included.
        needed: usize,
    },
    /// The certificate or its key cannot be used.
    #[cfg(feature = "tls")]
    Certificate(TlsFilesError),
    /// The system refused something that every server needs.
    System(io::Error),
}

impl<H: Handler> Server<H> {
    /// Listens on the addresses of `config`. Every loop gets its own clone of `handler`, which is told which loop it is.
    ///
    /// Raises the limit of descriptors of the process as far as the system allows; there are no more connections than
    /// that, less what is kept in reserve.
    ///
    /// # Errors
    ///
    /// [`ServerError::Config`] if `config` is not valid, [`ServerError::Listen`] for the first address that cannot be
    /// listened on, [`ServerError::TooFewDescriptors`] if none is left for a connection, [`ServerError::System`] if the
    /// system refuses polls or wakers.
    pub fn bind(mut config: Config, handler: &H) -> Result<Self, ServerError> {
        config.validate().map_err(ServerError::Config)?;
        #[cfg(feature = "tls")]
        let acceptor = config.tls.as_ref().map(certificate::load).transpose()?;
        #[cfg_attr(
            not(feature = "tls"),
            expect(unused_mut, reason = "only encryption is added later")
        )]
        let mut listener = Listener::bind(&config)
            .map_err(|(address, error)| ServerError::Listen(address, error))?;
        let local_addresses = listener.local_addresses(Entrance::Public)?;
        let metrics_address = listener.local_addresses(Entrance::Metrics)?.pop();
        let descriptors = Descriptors::raise(&config);
        config.connections_max = descriptors.connections_max(config.connections_max)?;
        let polls = (0..config.loop_count)
            .map(|_| Poll::new())
            .collect::<io::Result<Vec<_>>>()?;
        let mailboxes = polls
            .iter()
            .map(|poll| Ok(Mailbox::new(Waker::new(poll.registry(), tokens::WAKER)?)))
            .collect::<io::Result<Arc<[_]>>>()?;
        let replay_budget_bytes = config.replay_budget_bytes;
        let places = config
            .connections_per_address_max
            .map(|limit| Places::new(config.connections_max, limit));
        let metrics = Metrics::new(mailboxes.len());
        let shared = Shared {
            clock: Instant::now(),
            config: Arc::new(config),
            open_count: Arc::default(),
            is_draining: Arc::default(),
            compresses: Arc::default(),
            places,
            metrics: metrics.clone(),
            replay_budget: ReplayBudget::new(replay_budget_bytes),
            loads: Loads::new(polls.len()),
        };
        let stopper = Stopper {
            loops: Arc::new(Arc::clone(&mailboxes)),
            clock: shared.clock,
            config: Arc::clone(&shared.config),
            open_count: Arc::clone(&shared.open_count),
        };
        let mut loops: Vec<_> = (0_u8..=u8::MAX)
            .zip(polls)
            .map(|(index, poll)| {
                let post_office = PostOffice::new(usize::from(index), Arc::clone(&mailboxes));
                let mut handler = handler.clone();
                let place = LoopPlace {
                    index: usize::from(index),
                    count: mailboxes.len(),
                };
                handler.on_start(place, &metrics);
                EventLoop::new(index, poll, post_office, handler, shared.clone())
            })
            .collect();
        #[cfg(feature = "tls")]
        if let Some(acceptor) = acceptor {
            listener.encrypt(acceptor);
        }
        loops[0].listen(listener)?;
        Ok(Self {
            loops,
            metrics,
            local_addresses,
            metrics_address,
            stopper,
        })
    }

    /// Has SIGTERM and SIGINT drain the server, and a second one stop it at once. If it has a certificate, SIGHUP has it
    /// read again.
    ///
    /// # Errors
    ///
    /// What the system says if it refuses to report signals.
    pub fn stop_on_signals(&mut self) -> io::Result<()> {
        let signals = Signals::new([consts::SIGTERM, consts::SIGINT])?;
        #[cfg(feature = "tls")]
        if self.stopper.config.tls.is_some() {
            signals.add_signal(consts::SIGHUP)?;
        }
        self.loops[0].hear(signals)
    }

    /// The addresses that the server listens on for clients, with the ports that the system chose.
    #[must_use]
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.local_addresses
    }

    /// The address for monitoring, with the port that the system chose, if it has one of its own.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// What its loops count.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// A handle that stops the server.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves on this thread and as many others as there are more loops, until the server is drained or stopped.
    ///
    /// # Errors
    ///
    /// What the system says if a loop cannot be polled, or a thread not started; the other loops are stopped then.
    pub fn run(self) -> io::Result<Ended> {
        let mut loops = self.loops.into_iter();
        let first = loops.next();
        let stopper = &self.stopper;
        thread::scope(|scope| {
            let threads: Vec<_> = loops
                .map(|event_loop| {
                    let name = format!("loop-{}", event_loop.index);
                    thread::Builder::new()
                        .name(name)
                        .spawn_scoped(scope, || stopper.stopping_others(event_loop))
                })
                .collect();
            let mut result = first.map_or(Ok(Ended::Drained), |event_loop| {
                stopper.stopping_others(event_loop)
            });
            for thread in threads {
                let ended = thread.map_or_else(Err, |thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(io::Error::other("a loop panicked")))
                });
                // One loop that was told to end at once is enough: so were the others.
                result = result.and_then(|result| Ok(result.max(ended?)));
            }
            let first = &self.metrics.loops()[0];
            first
                .ended
                .add(Cause::Local, self.stopper.loops.drop_unread());
            log::info!("all loops have ended: {}", self.metrics.balance());
            result
        })
    }
}

impl Stopper {
    /// Stops accepting, closes everyone with 1001, spread over most of the drain timeout, and ends when all are gone, at
    /// the latest after that timeout. Does nothing if the server does so already.
    pub fn drain(&self) {
        let now = Moment::after_start(self.clock.elapsed());
        let open_count = self.open_count.load(Ordering::Relaxed);
        self.loops
            .drain_all(Drain::new(now, self.config.drain_timeout, open_count));
    }

    /// Ends at once; whoever is connected is cut off.
    pub fn stop(&self) {
        self.loops.stop_all();
    }

    /// Runs a loop; if it fails or panics, the others end too, because the server is not whole without it.
    fn stopping_others<H: Handler>(&self, event_loop: EventLoop<H>) -> io::Result<Ended> {
        let stop_on_panic = StopOnPanic(self);
        let result = event_loop.run().inspect_err(|_| self.stop());
        drop(stop_on_panic);
        result
    }
}

/// Stops the server if it is dropped by a panic.
struct StopOnPanic<'a>(&'a Stopper);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.stop();
        }
    }
}

impl<H: Handler> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addresses", &self.local_addresses)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Stopper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopper").finish_non_exhaustive()
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => write!(f, "{error}"),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::TooFewDescriptors { limit, needed } => write!(
                f,
                "cannot start: {needed} descriptors are needed, the reserve included, and the limit is {limit}"
            ),
            #[cfg(feature = "tls")]
            Self::Certificate(error) => write!(f, "{error}"),
            Self::System(error) => write!(f, "cannot start: {error}"),
        }
    }
}

impl std::error::Error for ServerError {}

#[cfg(feature = "tls")]
impl From<TlsFilesError> for ServerError {
    fn from(error: TlsFilesError) -> Self {
        Self::Certificate(error)
    }
}

impl From<io::Error> for ServerError {
    fn from(error: io::Error) -> Self {
        Self::System(error)
    }
}

#[cfg(test)]
mod tests;
