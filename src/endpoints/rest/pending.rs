//! Requests whose response depends on what other loops say.

use serde::Serialize;

use super::super::pubsub::{Flavour, HubName, Hubs, Refusal};
use super::parameters::ListParameters;
use super::refused;
use crate::delivery::{Member, Outcome};
use crate::handler::Receipt;
use crate::http::{HttpError, Response};

/// A request that waits for receipts.
#[derive(Debug)]
pub(in crate::endpoints) struct Pending {
    /// Receipts that are still to come.
    awaited_count: u32,
    /// What the others say, all together.
    outcome: Outcome,
    /// Whom they name, each with its flavour.
    members: Vec<(Member, Flavour)>,
    /// What the response is.
    then: Then,
}

/// What is made of the receipts.
#[derive(Debug)]
pub(super) enum Then {
    /// 202, with the counts of the delivery.
    Sent,
    /// This status.
    Done(u16),
    /// 204, with the count of the connections that are closed.
    Closed,
    /// This status, or 404 if nobody is there.
    DoneIfThere(u16),
    /// A page of a list.
    Listed(Box<Listing>),
}

/// What a page of a list needs besides its members.
#[derive(Debug)]
pub(super) struct Listing {
    /// Where they are.
    pub(super) hub: HubName,
    /// Which of them were asked for.
    pub(super) parameters: ListParameters,
    /// Scheme, host, port and path of the request.
    pub(super) url: String,
    /// Its query.
    pub(super) query: Option<String>,
}

impl Pending {
    /// Waits for so many receipts.
    pub(super) fn new(awaited_count: u32, then: Then) -> Self {
        Self {
            awaited_count,
            outcome: Outcome::default(),
            members: Vec::new(),
            then,
        }
    }

    /// Whether nothing is waited for any more.
    pub(super) fn is_complete(&self) -> bool {
        self.awaited_count == 0
    }

    /// Adds what one receipt says; the response, if it was the last one.
    pub(in crate::endpoints) fn on_receipt(
        &mut self,
        receipt: Receipt,
        hubs: &Hubs,
    ) -> Option<Response> {
        self.outcome += receipt.outcome;
        if let Some(flavour) = Flavour::from_token(receipt.token) {
            let members = receipt.members.into_iter();
            self.members.extend(members.map(|member| (member, flavour)));
        }
        self.awaited_count = self.awaited_count.saturating_sub(1);
        self.is_complete().then(|| self.response(hubs))
    }

    /// The response, given that all receipts have come.
    pub(super) fn response(&mut self, hubs: &Hubs) -> Response {
        let Outcome {
            recipients,
            dropped,
        } = self.outcome;
        match &self.then {
            Then::Sent => Response::empty(202)
                .with_header("Switchboard-Recipients", recipients.to_string())
                .with_header("Switchboard-Dropped", dropped.to_string()),
            Then::Listed(listing) => {
                self.members
                    .sort_unstable_by_key(|(member, _)| member.session);
                listing.page(&self.members, hubs)
            }
            Then::Closed => {
                Response::empty(204).with_header("Switchboard-Recipients", recipients.to_string())
            }
            // Whoever is there and did not do it is in too many groups.
            Then::Done(_) | Then::DoneIfThere(_) if recipients == 0 && dropped > 0 => {
                refused(Refusal::TooManyGroups)
            }
            Then::DoneIfThere(_) if recipients == 0 => Response::refusal(HttpError::NotFound),
            Then::Done(status) | Then::DoneIfThere(status) => Response::empty(*status),
        }
    }
}

/// A page as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    value: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_link: Option<String>,
}

/// One member as JSON.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    connection_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
}

impl Listing {
    /// The first of `members`, which are in order, and the way to the others if there may be some that are wanted.
    fn page(&self, members: &[(Member, Flavour)], hubs: &Hubs) -> Response {
        let len = members.len().min(self.parameters.len_max());
        let (shown, others) = members.split_at(len);
        let is_enough = self.parameters.top == Some(len);
        let next_link = shown.last().filter(|_| !others.is_empty() && !is_enough);
        let page = Page {
            value: shown
                .iter()
                .map(|(member, flavour)| Entry {
                    connection_id: hubs
                        .connection_id(&self.hub, *flavour, member.session)
                        .to_string(),
                    user_id: member.name.as_deref(),
                })
                .collect(),
            next_link: next_link.map(|(last, _)| {
                let query = self
                    .parameters
                    .next_query(self.query.as_deref(), last.session);
                format!("{}?{query}", self.url)
            }),
        };
        let json = serde_json::to_vec(&page).expect("strings and lists are always JSON");
        Response::json(200, json)
    }
}
