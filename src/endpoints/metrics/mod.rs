//! What probes and monitoring ask: `/healthz`, `/readyz` and `/metrics`.
//!
//! Whether the server lives and whether it is ready everybody may know. The metrics are for those who ask from this
//! machine; for others there is nothing at that path. If they have an address of their own, they are for whoever reaches it.

mod exposition;
mod process;

use crate::handler::{Arrival, Entrance, LoopPlace};
use crate::http::{HttpError, Request, Response};
use crate::metrics::Metrics;

/// What can be asked about the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Probe {
    /// `/healthz`: whether every loop turns.
    Health,
    /// `/readyz`: whether somebody who comes now is served.
    Readiness,
    /// `/metrics`: what is counted, in the `OpenMetrics` format.
    Metrics,
}

/// What the endpoints of one loop know of all loops.
#[derive(Clone, Debug)]
pub(super) struct Vitals {
    metrics: Metrics,
    loop_index: usize,
}

impl Default for Vitals {
    /// Those of a server that has not started.
    fn default() -> Self {
        Self::new(LoopPlace::ALONE, &Metrics::new(1))
    }
}

impl Vitals {
    pub(super) fn new(place: LoopPlace, metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.clone(),
            loop_index: place.index,
        }
    }

    /// Answers a probe.
    ///
    /// # Errors
    ///
    /// [`HttpError::NotFound`] if it asks for what is not for the one who asks.
    pub(super) fn response(
        &self,
        probe: Probe,
        request: &Request<'_>,
        arrival: Arrival,
    ) -> Result<Response, HttpError> {
        match probe {
            Probe::Health => Ok(state(self.metrics.is_turning(self.loop_index), "stuck")),
            Probe::Readiness => Ok(state(self.metrics.is_accepting(), "not accepting")),
            Probe::Metrics if may_see_metrics(request, arrival) => {
                let text = exposition::text(&self.metrics);
                let response = Response::new(200, exposition::MEDIA_TYPE, text.into_bytes());
                Ok(response.with_header("Cache-Control", "no-store"))
            }
            Probe::Metrics => Err(HttpError::NotFound),
        }
    }
}

/// 200 if all is well, and 503 with `what` is wrong.
fn state(is_good: bool, what: &'static str) -> Response {
    let response = if is_good {
        Response::text(200, "ok")
    } else {
        Response::text(503, what)
    };
    response.with_header("Cache-Control", "no-store")
}

/// Whether whoever asks may know what is counted.
fn may_see_metrics(request: &Request<'_>, arrival: Arrival) -> bool {
    match arrival.entrance {
        Entrance::Metrics => true,
        Entrance::Public => is_local(arrival) && !is_forwarded(request),
    }
}

fn is_local(arrival: Arrival) -> bool {
    arrival.remote.ip().to_canonical().is_loopback()
}

/// Whether a proxy, which may be on this machine, asks for somebody who is elsewhere.
fn is_forwarded(request: &Request<'_>) -> bool {
    ["forwarded", "x-forwarded-for", "via"]
        .iter()
        .any(|name| request.header_values(name).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoints::recorder::request;

    #[test]
    fn ht_10_ready_is_who_accepts_and_alive_is_who_turns() {
        let metrics = Metrics::new(2);
        let vitals = Vitals::new(LoopPlace::ALONE, &metrics);
        let statuses = || {
            [Probe::Health, Probe::Readiness].map(|probe| {
                let arrival = Arrival::of_a_test(0);
                let response = vitals.response(probe, &request("GET / HTTP/1.1"), arrival);
                response.unwrap().status()
            })
        };
        assert_eq!(statuses(), [200, 503], "nobody accepts yet");
        metrics.loops()[0].accepting.set(1);
        assert_eq!(statuses(), [200, 200]);
        metrics.loops()[0].busy_since.set(9_000);
        metrics.loops()[1].busy_since.set(3_000);
        assert_eq!(statuses(), [503, 200], "the other loop is stuck");
    }
}
