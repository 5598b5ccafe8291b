//! What the query of a request says besides its path.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::super::pubsub::{HubName, Hubs};
use crate::delivery::{Except, SessionId};
use crate::http::{HttpError, Request};

/// Longest time to live of a message, in seconds. It is only checked: a message is queued at once or dropped, it never
/// waits for a receiver.
const TTL_SECONDS_MAX: usize = 300;
/// Most members on one page, which is also how many there are if nobody says.
const PAGE_LEN_MAX: usize = 200;
/// Most connections that a request may exclude; the length of the target allows no more than this anyway.
const EXCLUDED_COUNT_MAX: usize = 1000;

/// Checks what only matters for sending.
///
/// # Errors
///
/// [`HttpError::BadParameter`] for a time to live out of range, and for a filter, which nothing here understands: to
/// ignore it would be to send to the wrong people.
pub(super) fn check_sending(request: &Request<'_>) -> Result<(), HttpError> {
    number(request, "messageTtlSeconds", 0..=TTL_SECONDS_MAX)?;
    match request.query_value("filter") {
        Some(filter) if !filter.is_empty() => Err(HttpError::BadParameter),
        _ => Ok(()),
    }
}

/// Who is left out; names that nobody has leave out nobody.
///
/// # Errors
///
/// [`HttpError::BadParameter`] for too many names.
pub(super) fn excluded(
    request: &Request<'_>,
    hubs: &Hubs,
    hub: &HubName,
) -> Result<Except, HttpError> {
    let names: Vec<_> = request
        .query_pairs()
        .filter(|(name, _)| name == "excluded")
        .take(EXCLUDED_COUNT_MAX + 1)
        .collect();
    if names.len() > EXCLUDED_COUNT_MAX {
        return Err(HttpError::BadParameter);
    }
    let sessions = names
        .iter()
        .filter_map(|(_, name)| hubs.connection(hub, name))
        .map(|(session, _)| session);
    Ok(sessions.collect())
}

/// Why connections are closed.
pub(super) fn reason<'a>(request: &Request<'a>) -> Cow<'a, str> {
    let reason = request.query_value("reason");
    reason.unwrap_or(Cow::Borrowed("closed by the service"))
}

/// Which part of a list is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListParameters {
    /// Members on a page.
    pub(super) page_len: usize,
    /// Members on this page and all that follow; `None`: all that there are.
    pub(super) top: Option<usize>,
    /// The last member of the page before.
    pub(super) after: Option<SessionId>,
}

impl ListParameters {
    /// Reads `maxpagesize`, `top` and `continuationToken`.
    ///
    /// # Errors
    ///
    /// [`HttpError::BadParameter`] for one that is malformed or out of range.
    pub(super) fn of(request: &Request<'_>) -> Result<Self, HttpError> {
        let page_len = number(request, "maxpagesize", 1..=PAGE_LEN_MAX)?;
        let after = request
            .query_value("continuationToken")
            .filter(|token| !token.is_empty())
            .map(|token| u64::from_str_radix(&token, 16).map(SessionId::from_bits))
            .transpose()
            .map_err(|_| HttpError::BadParameter)?;
        Ok(Self {
            page_len: page_len.unwrap_or(PAGE_LEN_MAX),
            top: number(request, "top", 1..=usize::MAX)?,
            after,
        })
    }

    /// How many members this page has at most.
    pub(super) fn len_max(&self) -> usize {
        self.top.map_or(self.page_len, |top| top.min(self.page_len))
    }

    /// The query for the page behind the one that ends with `last`: what `request` said, and where to go on.
    pub(super) fn next_query(&self, query: Option<&str>, last: SessionId) -> String {
        let mut next = form_urlencoded::Serializer::new(String::new());
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if name != "top" && name != "continuationToken" {
                next.append_pair(&name, &value);
            }
        }
        if let Some(top) = self.top {
            next.append_pair("top", &(top - self.len_max()).to_string());
        }
        next.append_pair("continuationToken", &format!("{:016x}", last.to_bits()));
        next.finish()
    }
}

/// The number of that name, if it is there; an empty value counts as absent.
fn number(
    request: &Request<'_>,
    name: &str,
    range: RangeInclusive<usize>,
) -> Result<Option<usize>, HttpError> {
    let Some(value) = request.query_value(name).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    value
        .parse()
        .ok()
        .filter(|number| range.contains(number))
        .map(Some)
        .ok_or(HttpError::BadParameter)
}

#[cfg(test)]
mod tests {
    use super::{ListParameters, check_sending};
    use crate::delivery::SessionId;
    use crate::endpoints::recorder::request;
    use crate::http::{HttpError, Request};

    fn get(query: &str) -> Request<'static> {
        request(&format!("GET /?{query} HTTP/1.1"))
    }

    #[test]
    fn a_filter_or_a_time_to_live_out_of_range_is_refused() {
        for (query, is_good) in [
            ("", true),
            ("messageTtlSeconds=0&filter=", true),
            ("messageTtlSeconds=300", true),
            ("messageTtlSeconds=301", false),
            ("messageTtlSeconds=-1", false),
            ("messageTtlSeconds=x", false),
            ("filter=userId+eq+'a'", false),
        ] {
            assert_eq!(check_sending(&get(query)).is_ok(), is_good, "{query}");
        }
    }

    #[test]
    fn a_list_is_asked_for_by_the_page() {
        let of = |query| ListParameters::of(&get(query));
        let parameters = |page_len, top, after: Option<u64>| {
            Ok(ListParameters {
                page_len,
                top,
                after: after.map(SessionId::from_bits),
            })
        };
        assert_eq!(of(""), parameters(200, None, None));
        assert_eq!(of("maxpagesize=1&top=7"), parameters(1, Some(7), None));
        assert_eq!(of("continuationToken=ff"), parameters(200, None, Some(255)));
        for query in [
            "maxpagesize=0",
            "maxpagesize=201",
            "top=0",
            "top=x",
            "continuationToken=x",
        ] {
            assert_eq!(of(query), Err(HttpError::BadParameter), "{query}");
        }
        assert_eq!(of("maxpagesize=5&top=7").unwrap().len_max(), 5);
        assert_eq!(of("maxpagesize=5&top=3").unwrap().len_max(), 3);
    }

    #[test]
    fn the_next_page_is_asked_for_like_this_one() {
        let query = "api-version=1%202&top=7&maxpagesize=5&continuationToken=1";
        let parameters = ListParameters::of(&get(query)).unwrap();
        assert_eq!(
            parameters.next_query(Some(query), SessionId::from_bits(0xab)),
            "api-version=1+2&maxpagesize=5&top=2&continuationToken=00000000000000ab"
        );
    }
}
