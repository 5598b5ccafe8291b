//! What a client does when its connection ends: it comes back, unless somebody wanted that.

use std::mem;
use std::time::Instant;

use super::backoff::is_passing;
use super::connection::{HubClient, Link};
use super::{HubError, HubEvent};
use crate::client::dial::dial;
use crate::client::doorbell::Doorbell;
use crate::client::patience::after;
use crate::client::{ClientError, Ending, WebSocket};
use crate::proto::CloseCode;

impl HubClient {
    pub(super) fn on_closed(&mut self, ending: Ending, bell: Doorbell) -> Result<(), HubError> {
        let code = ending.code.map(CloseCode::get);
        // What we said or sent was wrong, and would be again.
        let is_fault = matches!(code, Some(1002 | 1003 | 1007 | 1009));
        if self.farewell.is_some() || code == Some(1000) || is_fault {
            self.end(ending);
            return Ok(());
        }
        if code == Some(1008) {
            let was_recovering = !self.is_greeted && self.ledger.recovery().is_some();
            self.ledger.forget_recovery();
            if was_recovering {
                // There is nothing wrong with us; the session is gone.
                return self.dial_again(bell);
            }
        }
        self.retry(format!("closed by the server: {ending}"), bell, None)
    }

    pub(super) fn on_lost(&mut self, error: ClientError, bell: Doorbell) -> Result<(), HubError> {
        if self.farewell.is_some() {
            self.end(Ending::default());
            return Ok(());
        }
        self.retry(error.to_string(), bell, Some(error))
    }

    pub(super) fn dial_again(&mut self, bell: Doorbell) -> Result<(), HubError> {
        self.is_greeted = false;
        let url = match self.ledger.recovery() {
            None => self.url.clone(),
            Some((id, token)) => self
                .url
                .clone()
                .with_query("awps_connection_id", id)
                .with_query("awps_reconnection_token", token),
        };
        let begun = match dial(&url, &self.config.client, &self.streams) {
            Err(error) if is_passing(&error) => {
                return self.retry(error.to_string(), bell, Some(error));
            }
            Ok(dialed) => WebSocket::begin(dialed, bell, &self.config.client),
            Err(error) => Err(error),
        };
        match begun {
            Ok(socket) => {
                self.link = Link::Up(Box::new(socket));
                Ok(())
            }
            Err(error) => {
                self.ledger.give_up(&mut self.events);
                Err(error.into())
            }
        }
    }

    /// Tries again after a while, or gives up.
    fn retry(
        &mut self,
        reason: String,
        bell: Doorbell,
        error: Option<ClientError>,
    ) -> Result<(), HubError> {
        let now = Instant::now();
        if mem::take(&mut self.is_greeted) {
            // One that stood for long was not refused for coming back too fast.
            if now - self.since > self.config.retry_wait_max {
                self.backoff.reset();
            }
            self.since = now;
        }
        let wait = self.backoff.next_wait();
        if now + wait > after(self.since, self.config.give_up_after) {
            self.ledger.give_up(&mut self.events);
            return Err(error.map_or(HubError::Closed, HubError::Client));
        }
        self.events.push_back(HubEvent::Lost(reason, wait));
        self.link = Link::Down {
            bell,
            retry_at: now + wait,
        };
        Ok(())
    }
}
