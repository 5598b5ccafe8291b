//! The client of a hub: keeps one connection, and comes back when it breaks.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::backoff::Backoff;
use super::ledger::{Ledger, refused_here};
use super::sender::{HubSender, Order};
use super::wire::SUBPROTOCOLS;
use super::{Answer, Delivered, HubConfig, HubError, HubEvent, Payload, Request, RequestError};
use crate::client::dial::dial;
use crate::client::doorbell::Doorbell;
use crate::client::patience::after;
use crate::client::stream::Streams;
use crate::client::{ClientError, Ending, Event, WebSocket};
use crate::http::SocketUrl;
use crate::proto::CloseCode;

/// How long a message may have come without the server being told.
const SEQUENCE_ACK_WAIT: Duration = Duration::from_secs(1);

/// A client of a hub; blocks the thread that uses it.
pub struct HubClient {
    pub(super) url: SocketUrl,
    pub(super) config: HubConfig,
    pub(super) streams: Streams,
    pub(super) link: Link,
    pub(super) ledger: Ledger,
    pub(super) backoff: Backoff,
    pub(super) events: VecDeque<HubEvent>,
    orders: Receiver<Order>,
    sender: HubSender,
    /// When to tell the server which messages have come.
    sequence_ack_at: Option<Instant>,
    /// Since when the connection stands, or is lost.
    pub(super) since: Instant,
    /// Whether the server has greeted the connection that stands.
    pub(super) is_greeted: bool,
    /// What this side has asked the connection to be closed with.
    pub(super) farewell: Option<Farewell>,
}

/// How this side wants the connection to end.
pub(super) struct Farewell {
    code: CloseCode,
    reason: String,
    /// When to close, whether or not everything that was asked is answered.
    at: Instant,
}

/// Whether there is a connection.
pub(super) enum Link {
    Up(Box<WebSocket>),
    Down { bell: Doorbell, retry_at: Instant },
    Over,
}

impl HubClient {
    /// Connects to the hub at `url` and waits for its greeting. This first connection is tried once.
    ///
    /// # Errors
    ///
    /// The connection cannot be made, or nobody there speaks the JSON protocol.
    pub fn connect(url: &str, config: HubConfig) -> Result<Self, HubError> {
        Self::connect_url(SocketUrl::parse(url).map_err(ClientError::Url)?, config)
    }

    /// The same for a URL that was parsed already.
    ///
    /// # Errors
    ///
    /// As [`HubClient::connect`].
    pub fn connect_url(url: SocketUrl, mut config: HubConfig) -> Result<Self, HubError> {
        config.client.subprotocols = SUBPROTOCOLS.map(String::from).to_vec();
        let bell = Doorbell::new().map_err(ClientError::Io)?;
        let (orders_in, orders) = mpsc::channel();
        let sender = HubSender {
            orders: orders_in,
            waker: bell.waker(),
        };
        let streams = Streams::to(&url, &config.client)?;
        let dialed = dial(&url, &config.client, &streams)?;
        let mut socket = WebSocket::begin(dialed, bell, &config.client)?;
        if socket.subprotocol().is_none() {
            // Whoever speaks none of those that were offered would never greet us.
            socket.close(CloseCode::NORMAL, "");
            return Err(HubError::NotAHub);
        }
        let mut hub = Self {
            url,
            streams,
            link: Link::Up(Box::new(socket)),
            ledger: Ledger::default(),
            backoff: Backoff::new(config.retry_wait_first, config.retry_wait_max),
            events: VecDeque::new(),
            orders,
            sender,
            sequence_ack_at: None,
            since: Instant::now(),
            is_greeted: false,
            farewell: None,
            config,
        };
        hub.await_greeting()?;
        Ok(hub)
    }

    /// Joins a group.
    ///
    /// # Errors
    ///
    /// The server refuses it or does not answer; or the connection is lost for good.
    pub fn join(&mut self, group: &str) -> Result<Delivered, HubError> {
        self.ask(Request::Join {
            group: group.into(),
            presence: false,
            history: false,
        })
    }

    /// Leaves a group.
    ///
    /// # Errors
    ///
    /// As [`HubClient::join`].
    pub fn leave(&mut self, group: &str) -> Result<Delivered, HubError> {
        self.ask(Request::Leave {
            group: group.into(),
        })
    }

    /// Sends a text to everyone in `group` but this client.
    ///
    /// # Errors
    ///
    /// As [`HubClient::join`].
    pub fn send_text(&mut self, group: &str, text: &str) -> Result<Delivered, HubError> {
        self.ask(Request::Send {
            group: group.into(),
            payload: Payload::Text(text.into()),
            no_echo: true,
        })
    }

    /// Asks something of the hub and waits for the answer; what happens meanwhile is kept for [`HubClient::next_event`].
    ///
    /// # Errors
    ///
    /// As [`HubClient::join`].
    pub fn ask(&mut self, request: Request) -> Result<Delivered, HubError> {
        let until = after(Instant::now(), self.config.request_timeout);
        let ack_id = self.submit(request)?;
        while self.ledger.is_pending(ack_id) && Instant::now() < until {
            self.turn(Some(until))?;
        }
        let is_answer =
            |event: &HubEvent| matches!(event, HubEvent::Done(answer) if answer.ack_id == ack_id);
        let place = self.events.iter().position(is_answer);
        let Some(HubEvent::Done(Answer { outcome, .. })) =
            place.and_then(|place| self.events.remove(place))
        else {
            return Err(HubError::RequestTimeout);
        };
        match (&outcome, self.events.back()) {
            (Err(RequestError::Uncertain), Some(HubEvent::Closed(ending))) => {
                Err(HubError::ClosedByServer(ending.clone()))
            }
            _ => Ok(outcome?),
        }
    }

    /// Asks something of the hub; the answer is a [`HubEvent::Done`] with the number that is returned. While there is no
    /// connection it waits for the next one.
    ///
    /// # Errors
    ///
    /// The payload is said to be JSON and is not; or the connection is closed.
    pub fn submit(&mut self, request: Request) -> Result<u64, HubError> {
        if self.farewell.is_some() || matches!(self.link, Link::Over) {
            return Err(HubError::Closed);
        }
        let (ack_id, text) = self.ledger.submit(request)?;
        self.send(&text);
        Ok(ack_id)
    }

    /// Closes the connection once everything that was asked is answered, or its time is over; go on with
    /// [`HubClient::next_event`] until it is closed. Does nothing if that was asked for already.
    pub fn close(&mut self, code: CloseCode, reason: &str) {
        let at = after(Instant::now(), self.config.request_timeout);
        self.farewell.get_or_insert_with(|| Farewell {
            code,
            reason: reason.into(),
            at,
        });
        if matches!(self.link, Link::Down { .. }) {
            self.end(Ending::default());
        }
    }

    /// The next thing that happens; `None` if nothing does within `timeout`, and without one only after
    /// [`HubEvent::Closed`] or an error.
    ///
    /// # Errors
    ///
    /// The connection is lost and cannot be made again; told once.
    pub fn next_event(&mut self, timeout: Option<Duration>) -> Result<Option<HubEvent>, HubError> {
        let until = timeout.map(|timeout| after(Instant::now(), timeout));
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if matches!(self.link, Link::Over) || until.is_some_and(|until| until <= Instant::now())
            {
                return Ok(None);
            }
            self.turn(until)?;
        }
    }

    /// A handle with which other threads ask.
    #[must_use]
    pub fn sender(&self) -> HubSender {
        self.sender.clone()
    }

    fn await_greeting(&mut self) -> Result<(), HubError> {
        let until = after(Instant::now(), self.config.client.dial_timeout);
        while !self.is_greeted {
            if Instant::now() >= until {
                return Err(HubError::NotAHub);
            }
            self.turn(Some(until))?;
            if let Some(HubEvent::Closed(_) | HubEvent::Lost(..)) = self.events.back() {
                return Err(HubError::NotAHub);
            }
        }
        Ok(())
    }

    /// Does what is to be done, and waits for the next thing to happen, until then at the latest.
    fn turn(&mut self, until: Option<Instant>) -> Result<(), HubError> {
        if self.take_orders() {
            return Ok(());
        }
        match mem::replace(&mut self.link, Link::Over) {
            Link::Over => Ok(()),
            Link::Up(socket) => self.turn_up(socket, until),
            Link::Down { mut bell, retry_at } => {
                if Instant::now() < retry_at {
                    let deadline = until.map_or(retry_at, |until| until.min(retry_at));
                    bell.wait(Some(deadline)).map_err(ClientError::Io)?;
                    self.link = Link::Down { bell, retry_at };
                    return Ok(());
                }
                self.dial_again(bell)
            }
        }
    }

    fn turn_up(
        &mut self,
        mut socket: Box<WebSocket>,
        until: Option<Instant>,
    ) -> Result<(), HubError> {
        if self
            .sequence_ack_at
            .is_some_and(|due| due <= Instant::now())
        {
            self.sequence_ack_at = None;
            if let Some(text) = self.ledger.take_sequence_ack() {
                // If it is lost, the next event says so.
                let _ = socket.send_text(&text);
            }
        }
        let mut deadline = until.into_iter().chain(self.sequence_ack_at).min();
        if let Some(farewell) = &self.farewell {
            deadline = Some(deadline.map_or(farewell.at, |deadline| deadline.min(farewell.at)));
            if self.ledger.is_settled() || farewell.at <= Instant::now() {
                socket.close(farewell.code, &farewell.reason);
                deadline = until;
            }
        }
        match socket.next_event_or_ring(deadline) {
            Ok(Some(Event::Text(text))) => {
                self.link = Link::Up(socket);
                self.on_text(&text)
            }
            Ok(Some(Event::Closed(ending))) => self.on_closed(ending, socket.into_bell()),
            Ok(_) => {
                self.link = Link::Up(socket);
                Ok(())
            }
            Err(error) => self.on_lost(error, socket.into_bell()),
        }
    }

    /// Does what other threads want; whether there are events of it.
    fn take_orders(&mut self) -> bool {
        let known_count = self.events.len();
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Close(code, reason) => self.close(code, &reason),
                Order::Nudge => self.events.push_back(HubEvent::Nudged),
                Order::Submit(request) => {
                    let kept = request.clone();
                    if let Err(HubError::Request(error)) = self.submit(request) {
                        self.events.push_back(refused_here(kept, error));
                    }
                }
            }
        }
        self.events.len() > known_count
    }

    fn on_text(&mut self, text: &str) -> Result<(), HubError> {
        let known_count = self.events.len();
        let mut texts = Vec::new();
        let heard = self.ledger.on_text(text, &mut self.events, &mut texts);
        if heard.is_err() {
            self.link = Link::Over;
            return Err(HubError::NotAHub);
        }
        let is_greeting = |event: &HubEvent| matches!(event, HubEvent::Connected { .. });
        if self.events.range(known_count..).any(is_greeting) {
            self.is_greeted = true;
            self.since = Instant::now();
        }
        for text in texts {
            self.send(&text);
        }
        self.sequence_ack_at
            .get_or_insert_with(|| Instant::now() + SEQUENCE_ACK_WAIT);
        Ok(())
    }

    /// Sends if there is a connection; if it is lost, the next event says so.
    fn send(&mut self, text: &str) {
        if let Link::Up(socket) = &mut self.link {
            let _ = socket.send_text(text);
        }
    }

    pub(super) fn end(&mut self, ending: Ending) {
        self.link = Link::Over;
        self.ledger.give_up(&mut self.events);
        self.events.push_back(HubEvent::Closed(ending));
    }
}

impl fmt::Debug for HubClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubClient")
            .field("url", &self.url)
            .field("is_greeted", &self.is_greeted)
            .finish_non_exhaustive()
    }
}
