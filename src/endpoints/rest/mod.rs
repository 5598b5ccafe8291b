//! The REST data plane: what services with the access key ask over HTTP of a hub and its clients.
//!
//! Paths are below `/api/hubs/{hub}`; the public protocol prescribes them and every status.
//!
//! | Request | Response |
//! |---|---|
//! | `POST …/:send` to all, `/users/{u}`, `/groups/{g}` or `/connections/{c}` | 202, with the counts `Switchboard-Recipients` and `Switchboard-Dropped` |
//! | `HEAD /users/{u}`, `/groups/{g}`, `/connections/{c}` | 200, 404 |
//! | `POST …/:closeConnections`, `DELETE /connections/{c}` | 204, with the count `Switchboard-Recipients` |
//! | `PUT`, `DELETE /groups/{g}/connections/{c}` | 200, 204; 404 if there is no such connection |
//! | `PUT`, `DELETE /users/{u}/groups/{g}` | 200, 204 |
//! | `DELETE /users/{u}/groups`, `/connections/{c}/groups` | 204 |
//! | `GET /groups/{g}/connections` | 200, a page of the members |
//!
//! A request is judged in one order, and the first fault answers: path (404), method (405), token (429, 401), rate (429), query
//! (400), body (415, 400, 413). Every fault is told as JSON. Since the clients of a hub are on all loops, a response comes when
//! all of them have answered ([`Pending`]); what is acknowledged has been done.
//!
//! Without an access key there can be no token, and so no service.

mod body;
mod parameters;
mod pending;
mod rate;
mod route;
mod token;

use std::borrow::Cow;

use self::parameters::ListParameters;
pub(super) use self::pending::Pending;
use self::pending::{Listing, Then};
pub(super) use self::rate::RestRate;
use self::route::{Operation, Target};
use super::credential::Gate;
use super::pubsub::{Addressees, HubName, Hubs, Refusal};
use crate::delivery::{Except, Page};
use crate::endpoints::Outgoing;
use crate::handler::{Arrival, Command};
use crate::http::{HttpError, Request, Response};

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// This is the response.
    Now(Response),
    /// It follows when the receipts have come.
    Later(Pending),
}

/// Does what a request asks for.
pub(super) fn answer(
    gate: &Gate,
    rate: &RestRate,
    hubs: &mut Hubs,
    request: &Request<'_>,
    arrival: Arrival,
    out: &mut Outgoing<'_>,
) -> Reply {
    match try_answer(gate, rate, hubs, request, arrival, out) {
        Ok(mut pending) if pending.is_complete() => Reply::Now(pending.response(hubs)),
        Ok(pending) => Reply::Later(pending),
        Err(Fault::Request(error)) => Reply::Now(Response::refusal(error)),
        Err(Fault::Group(refusal)) => Reply::Now(refused(refusal)),
    }
}

/// Whether a request may be made at all, as far as its head says.
///
/// # Errors
///
/// Its path, method or token.
pub(super) fn judge(gate: &Gate, request: &Request<'_>, arrival: Arrival) -> Result<(), HttpError> {
    let segments = segments(request)?;
    Call::judge(gate, request, arrival, &borrowed(&segments)).map(|_| ())
}

/// Why a request is not carried out.
enum Fault {
    /// The request is wrong.
    Request(HttpError),
    /// The group that it names is.
    Group(Refusal),
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        Self::Request(error)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Group(refusal)
    }
}

/// The answer to a request that a hub refuses.
fn refused(refusal: Refusal) -> Response {
    Response::error(400, "BadRequest", &refusal.message(0))
}

fn try_answer(
    gate: &Gate,
    rate: &RestRate,
    hubs: &mut Hubs,
    request: &Request<'_>,
    arrival: Arrival,
    out: &mut Outgoing<'_>,
) -> Result<Pending, Fault> {
    let segments = segments(request)?;
    let call = Call::judge(gate, request, arrival, &borrowed(&segments))?;
    // Not before: strangers must not use it up.
    rate.charge(arrival.moment)?;
    if arrival.is_overloaded && matches!(call.operation, Operation::Send(_)) {
        return Err(HttpError::Overloaded.into());
    }
    call.carry_out(hubs, request, out)
}

/// The segments of the path, decoded.
fn segments<'a>(request: &Request<'a>) -> Result<Vec<Cow<'a, str>>, HttpError> {
    request.path_segments().collect()
}

fn borrowed<'a>(segments: &'a [Cow<'_, str>]) -> Vec<&'a str> {
    segments.iter().map(|segment| &**segment).collect()
}

/// A request of a service that has shown its token.
struct Call<'a> {
    /// In which hub.
    hub: HubName,
    /// What is to be done.
    operation: Operation<'a>,
    /// Scheme, host and port of this server, as the service knows them.
    site: Box<str>,
}

impl<'a> Call<'a> {
    /// Judges path, method and token: every request passes here.
    fn judge(
        gate: &Gate,
        request: &Request<'_>,
        arrival: Arrival,
        segments: &[&'a str],
    ) -> Result<Self, HttpError> {
        let (hub, resource) = route::find(segments)?;
        let operation = resource.operation(request.method())?;
        let site = token::judge(gate, request, arrival)?;
        Ok(Self {
            hub,
            operation,
            site,
        })
    }

    /// Asks of the hub and its clients what is to be done; what is then waited for.
    fn carry_out(
        self,
        hubs: &mut Hubs,
        request: &Request<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<Pending, Fault> {
        match self.operation {
            Operation::Send(target) => self.send(target, hubs, request, out),
            Operation::Exists(target) => {
                let nobody = Page {
                    after: None,
                    len_max: 0,
                };
                let addressees = self.addressees(target, hubs)?;
                let count = addressees.map_or(0, |addressees| addressees.list(nobody, out));
                Ok(Pending::new(count, Then::DoneIfThere(200)))
            }
            Operation::List(group) => self.list(group, hubs, request, out),
            Operation::Close(target) => {
                let command = Command::Close(parameters::reason(request).into());
                let except = parameters::excluded(request, hubs, &self.hub)?;
                let count = self.command(target, &command, &except, hubs, out)?;
                Ok(Pending::new(count, Then::Closed))
            }
            Operation::Join(target, group) => {
                hubs.group(&self.hub, group)?;
                let command = Command::Join(group.into());
                let count = self.command(target, &command, &Except::Nobody, hubs, out)?;
                Ok(Pending::new(count, done_to(target, 200)))
            }
            Operation::Leave(target, group) => {
                let command = Command::Leave(group.into());
                let count = self.command(target, &command, &Except::Nobody, hubs, out)?;
                Ok(Pending::new(count, done_to(target, 204)))
            }
            Operation::LeaveAll(target) => {
                let command = Command::LeaveAll;
                let count = self.command(target, &command, &Except::Nobody, hubs, out)?;
                Ok(Pending::new(count, Then::Done(204)))
            }
        }
    }

    /// Sends the body to `target`.
    fn send(
        &self,
        target: Target<'_>,
        hubs: &mut Hubs,
        request: &Request<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<Pending, Fault> {
        parameters::check_sending(request)?;
        let except = parameters::excluded(request, hubs, &self.hub)?;
        let payload = body::payload(request, hubs.payload_bytes_max())?;
        let group = match target {
            Target::Group(group) => Some(group),
            _ => None,
        };
        let count = self.addressees(target, hubs)?.map_or(0, |addressees| {
            hubs.send_from_service(addressees, group, payload, &except, out)
        });
        Ok(Pending::new(count, Then::Sent))
    }

    /// Asks for a page of the members of `group`.
    fn list(
        self,
        group: &str,
        hubs: &Hubs,
        request: &Request<'_>,
        out: &mut Outgoing<'_>,
    ) -> Result<Pending, Fault> {
        let parameters = ListParameters::of(request)?;
        let page = Page {
            after: parameters.after,
            // One more, to know whether there is a next page.
            len_max: parameters.len_max() + 1,
        };
        let count = hubs.group(&self.hub, group)?.list(page, out);
        let listing = Listing {
            hub: self.hub,
            parameters,
            url: format!("{}{}", self.site, request.path()),
            query: request.query().map(str::to_owned),
        };
        Ok(Pending::new(count, Then::Listed(Box::new(listing))))
    }

    /// Asks something of `target` but `except`; returns how many receipts there will be.
    fn command(
        &self,
        target: Target<'_>,
        command: &Command,
        except: &Except,
        hubs: &Hubs,
        out: &mut Outgoing<'_>,
    ) -> Result<u32, Refusal> {
        let addressees = self.addressees(target, hubs)?;
        Ok(addressees.map_or(0, |addressees| addressees.command(except, command, out)))
    }

    /// Who `target` is; `None` if there can be nobody.
    fn addressees(&self, target: Target<'_>, hubs: &Hubs) -> Result<Option<Addressees>, Refusal> {
        Ok(match target {
            Target::Everyone => Some(hubs.everyone(&self.hub)),
            Target::User(user) => Some(hubs.user(&self.hub, user)),
            Target::Group(group) => Some(hubs.group(&self.hub, group)?),
            Target::Connection(name) => hubs
                .connection(&self.hub, name)
                .map(|(_, addressees)| addressees),
        })
    }
}

/// What a change to somebody's memberships ends with: for a connection it matters whether there is one.
fn done_to(target: Target<'_>, status: u16) -> Then {
    match target {
        Target::Connection(_) => Then::DoneIfThere(status),
        _ => Then::Done(status),
    }
}
