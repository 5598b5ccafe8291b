//! Which request of a service means what: paths and methods below `/api/hubs/{hub}`.

use crate::http::HttpError;

use super::super::pubsub::HubName;

/// What a path names; each part decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    /// `…/:send`
    Send(Target<'a>),
    /// `…/:closeConnections`
    Close(Target<'a>),
    /// `/connections/{c}`, `/users/{u}`, `/groups/{g}`
    Existence(Target<'a>),
    /// `/groups/{g}/connections`
    Members(&'a str),
    /// `/groups/{g}/connections/{c}` and `/users/{u}/groups/{g}`
    Membership {
        /// Who is to be a member, or no longer.
        of: Target<'a>,
        /// Of which group.
        group: &'a str,
    },
    /// `/users/{u}/groups` and `/connections/{c}/groups`
    Memberships(Target<'a>),
}

/// Whom a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// Everybody in the hub.
    Everyone,
    /// All connections of a user.
    User(&'a str),
    /// All members of a group.
    Group(&'a str),
    /// One connection.
    Connection(&'a str),
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation<'a> {
    /// To send the body.
    Send(Target<'a>),
    /// To close connections.
    Close(Target<'a>),
    /// To say whether anybody is there.
    Exists(Target<'a>),
    /// To list the members of a group.
    List(&'a str),
    /// To make somebody a member of a group.
    Join(Target<'a>, &'a str),
    /// To end that.
    Leave(Target<'a>, &'a str),
    /// To end all memberships of somebody.
    LeaveAll(Target<'a>),
}

/// The hub and what of it the path names, given as its segments in order, decoded.
///
/// # Errors
///
/// [`HttpError::NotFound`] if nothing is there.
pub(super) fn find<'a>(segments: &[&'a str]) -> Result<(HubName, Resource<'a>), HttpError> {
    let ["api", "hubs", hub, rest @ ..] = segments else {
        return Err(HttpError::NotFound);
    };
    let hub = HubName::new(hub).ok_or(HttpError::NotFound)?;
    let resource = match *rest {
        [":send"] => Resource::Send(Target::Everyone),
        [":closeConnections"] => Resource::Close(Target::Everyone),
        ["users", user] => Resource::Existence(Target::User(user)),
        ["users", user, ":send"] => Resource::Send(Target::User(user)),
        ["users", user, ":closeConnections"] => Resource::Close(Target::User(user)),
        ["users", user, "groups"] => Resource::Memberships(Target::User(user)),
        ["users", user, "groups", group] => Resource::Membership {
            of: Target::User(user),
            group,
        },
        ["groups", group] => Resource::Existence(Target::Group(group)),
        ["groups", group, ":send"] => Resource::Send(Target::Group(group)),
        ["groups", group, ":closeConnections"] => Resource::Close(Target::Group(group)),
        ["groups", group, "connections"] => Resource::Members(group),
        ["groups", group, "connections", connection] => Resource::Membership {
            of: Target::Connection(connection),
            group,
        },
        ["connections", connection] => Resource::Existence(Target::Connection(connection)),
        ["connections", connection, ":send"] => Resource::Send(Target::Connection(connection)),
        ["connections", connection, "groups"] => {
            Resource::Memberships(Target::Connection(connection))
        }
        _ => return Err(HttpError::NotFound),
    };
    Ok((hub, resource))
}

impl<'a> Resource<'a> {
    /// What `method` asks to be done.
    ///
    /// # Errors
    ///
    /// [`HttpError::MethodNotAllowed`] if that is nothing here.
    pub(super) fn operation(self, method: &str) -> Result<Operation<'a>, HttpError> {
        Ok(match (self, method) {
            (Self::Send(target), "POST") => Operation::Send(target),
            (Self::Close(target), "POST") => Operation::Close(target),
            (Self::Existence(target), "HEAD") => Operation::Exists(target),
            (Self::Existence(target @ Target::Connection(_)), "DELETE") => Operation::Close(target),
            (Self::Members(group), "GET" | "HEAD") => Operation::List(group),
            (Self::Membership { of, group }, "PUT") => Operation::Join(of, group),
            (Self::Membership { of, group }, "DELETE") => Operation::Leave(of, group),
            (Self::Memberships(of), "DELETE") => Operation::LeaveAll(of),
            _ => {
                return Err(HttpError::MethodNotAllowed {
                    allow: self.allow(),
                });
            }
        })
    }

    /// The methods that the path offers, as the value of an Allow field (RFC 9110 10.2.1).
    fn allow(self) -> &'static str {
        match self {
            Self::Send(_) | Self::Close(_) => "POST",
            Self::Existence(Target::Connection(_)) => "HEAD, DELETE",
            Self::Existence(_) => "HEAD",
            Self::Members(_) => "GET, HEAD",
            Self::Membership { .. } => "PUT, DELETE",
            Self::Memberships(_) => "DELETE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, Target, find};
    use crate::http::HttpError;

    fn operation(method: &str, path: &'static str) -> Result<Operation<'static>, HttpError> {
        let segments: Vec<_> = path.split('/').skip(1).collect();
        find(&segments)?.1.operation(method)
    }

    #[test]
    fn every_row_of_the_table_is_an_operation() {
        let (user, group, connection) = (
            Target::User("u"),
            Target::Group("g"),
            Target::Connection("c"),
        );
        for (method, path, expected) in [
            (
                "POST",
                "/api/hubs/h/:send",
                Operation::Send(Target::Everyone),
            ),
            ("POST", "/api/hubs/h/users/u/:send", Operation::Send(user)),
            ("POST", "/api/hubs/h/groups/g/:send", Operation::Send(group)),
            (
                "POST",
                "/api/hubs/h/connections/c/:send",
                Operation::Send(connection),
            ),
            (
                "POST",
                "/api/hubs/h/:closeConnections",
                Operation::Close(Target::Everyone),
            ),
            (
                "POST",
                "/api/hubs/h/users/u/:closeConnections",
                Operation::Close(user),
            ),
            (
                "POST",
                "/api/hubs/h/groups/g/:closeConnections",
                Operation::Close(group),
            ),
            (
                "DELETE",
                "/api/hubs/h/connections/c",
                Operation::Close(connection),
            ),
            (
                "HEAD",
                "/api/hubs/h/connections/c",
                Operation::Exists(connection),
            ),
            ("HEAD", "/api/hubs/h/users/u", Operation::Exists(user)),
            ("HEAD", "/api/hubs/h/groups/g", Operation::Exists(group)),
            (
                "GET",
                "/api/hubs/h/groups/g/connections",
                Operation::List("g"),
            ),
            (
                "PUT",
                "/api/hubs/h/groups/g/connections/c",
                Operation::Join(connection, "g"),
            ),
            (
                "DELETE",
                "/api/hubs/h/groups/g/connections/c",
                Operation::Leave(connection, "g"),
            ),
            (
                "PUT",
                "/api/hubs/h/users/u/groups/g",
                Operation::Join(user, "g"),
            ),
            (
                "DELETE",
                "/api/hubs/h/users/u/groups/g",
                Operation::Leave(user, "g"),
            ),
            (
                "DELETE",
                "/api/hubs/h/users/u/groups",
                Operation::LeaveAll(user),
            ),
            (
                "DELETE",
                "/api/hubs/h/connections/c/groups",
                Operation::LeaveAll(connection),
            ),
        ] {
            assert_eq!(operation(method, path), Ok(expected), "{method} {path}");
        }
    }

    #[test]
    fn ht_05_other_methods_are_405_and_other_paths_404() {
        for (method, path, allow) in [
            ("GET", "/api/hubs/h/:send", "POST"),
            ("post", "/api/hubs/h/:send", "POST"),
            ("GET", "/api/hubs/h/users/u", "HEAD"),
            ("DELETE", "/api/hubs/h/groups/g", "HEAD"),
            ("GET", "/api/hubs/h/connections/c", "HEAD, DELETE"),
            ("POST", "/api/hubs/h/groups/g/connections", "GET, HEAD"),
            ("POST", "/api/hubs/h/users/u/groups/g", "PUT, DELETE"),
            ("GET", "/api/hubs/h/users/u/groups", "DELETE"),
        ] {
            let expected = Err(HttpError::MethodNotAllowed { allow });
            assert_eq!(operation(method, path), expected, "{method} {path}");
        }
        for path in [
            "/api/hubs/h",
            "/api/hubs/h/",
            "/api/hubs/1/:send",
            "/api/hubs/h/:Send",
            "/api/hubs/h/:send/",
            "/api/hubs/h/users",
            "/api/hubs/h/groups/g/connections/c/x",
            "/api/hubs/h/connections/c/:closeConnections",
            "/api/hubs/h/permissions/sendToGroup/connections/c",
        ] {
            assert_eq!(operation("POST", path), Err(HttpError::NotFound), "{path}");
        }
    }
}
