//! Asking a hub from other threads than the one that waits for its events.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc;

use mio::Waker;

use super::{HubError, Request};
use crate::client::ClientError;
use crate::proto::CloseCode;

/// Asks a hub from any thread, through the [`HubClient`](super::HubClient) that it belongs to; cheap to clone.
#[derive(Clone)]
pub struct HubSender {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) waker: Arc<Waker>,
}

/// What another thread wants to be done.
pub(super) enum Order {
    Submit(Request),
    Close(CloseCode, String),
    Nudge,
}

impl HubSender {
    /// Has something asked of the hub; the answer is a [`HubEvent::Done`](super::HubEvent::Done) of the client.
    ///
    /// # Errors
    ///
    /// [`HubError::Closed`] if the client is gone.
    pub fn submit(&self, request: Request) -> Result<(), HubError> {
        self.order(Order::Submit(request))
    }

    /// Has the connection closed, after what was asked.
    ///
    /// # Errors
    ///
    /// [`HubError::Closed`] if the client is gone.
    pub fn close(&self, code: CloseCode, reason: impl Into<String>) -> Result<(), HubError> {
        self.order(Order::Close(code, reason.into()))
    }

    /// Has the client return a [`HubEvent::Nudged`](super::HubEvent::Nudged), for whoever waits there and has something
    /// else to do.
    ///
    /// # Errors
    ///
    /// [`HubError::Closed`] if the client is gone.
    pub fn nudge(&self) -> Result<(), HubError> {
        self.order(Order::Nudge)
    }

    fn order(&self, order: Order) -> Result<(), HubError> {
        self.orders.send(order).map_err(|_| HubError::Closed)?;
        Ok(self.waker.wake().map_err(ClientError::Io)?)
    }
}

impl fmt::Debug for HubSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSender").finish_non_exhaustive()
    }
}
