//! Sending through a WebSocket from other threads than the one that waits at it.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;

use mio::Waker;

use super::ClientError;
#[cfg(doc)]
use super::{Event, WebSocket};
use crate::proto::{CloseCode, OpCode};

/// Sends from any thread through the [`WebSocket`] that it belongs to; cheap to clone.
///
/// What is sent is taken over by the thread that waits in [`WebSocket::next_event`], without a limit.
#[derive(Clone)]
pub struct Sender {
    orders: mpsc::Sender<Order>,
    waker: Arc<Waker>,
}

/// What another thread wants to be sent.
pub(super) enum Order {
    Send(OpCode, Vec<u8>),
    Close(CloseCode, String),
    Nudge,
}

impl Sender {
    /// Puts what is ordered into `orders`, and rings.
    pub(super) fn new(orders: mpsc::Sender<Order>, waker: Arc<Waker>) -> Self {
        Self { orders, waker }
    }

    /// Has a text message sent.
    ///
    /// # Errors
    ///
    /// [`ClientError::Closed`] if the [`WebSocket`] is gone. One that is just being closed sends nothing and does not say
    /// so here.
    pub fn send_text(&self, text: impl Into<String>) -> Result<(), ClientError> {
        self.order(Order::Send(OpCode::Text, text.into().into_bytes()))
    }

    /// Has a binary message sent.
    ///
    /// # Errors
    ///
    /// As [`Sender::send_text`].
    pub fn send_binary(&self, bytes: impl Into<Vec<u8>>) -> Result<(), ClientError> {
        self.order(Order::Send(OpCode::Binary, bytes.into()))
    }

    /// Has the WebSocket closed, after what was sent.
    ///
    /// # Errors
    ///
    /// [`ClientError::Closed`] if it is gone already.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) -> Result<(), ClientError> {
        self.order(Order::Close(code, reason.into()))
    }

    /// Has the [`WebSocket`] return an [`Event::Nudged`], for whoever waits there and has something else to do.
    ///
    /// # Errors
    ///
    /// [`ClientError::Closed`] if it is gone already.
    pub fn nudge(&self) -> Result<(), ClientError> {
        self.order(Order::Nudge)
    }

    fn order(&self, order: Order) -> Result<(), ClientError> {
        self.orders.send(order).map_err(|_| ClientError::Closed)?;
        Ok(self.waker.wake()?)
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}
