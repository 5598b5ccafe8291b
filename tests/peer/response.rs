//! HTTP responses as the test client reads them.

/// A response of the server.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    /// The three digits of the first line.
    pub(crate) status: u16,
    /// Header fields in order, names in lower case.
    pub(crate) fields: Vec<(String, String)>,
    /// What follows the head, if it was read.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// Reads a head, from its status line on.
    pub(super) fn parse(head: &str) -> Self {
        let mut lines = head.trim_end().split("\r\n");
        let status_line = lines.next().unwrap();
        let status = status_line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = status
            .unwrap_or_else(|| panic!("{status_line}"))
            .parse()
            .unwrap();
        let fields = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line}"));
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status,
            fields: fields.collect(),
            body: Vec::new(),
        }
    }

    /// The value of the field with this name in lower case, of which there must not be two.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(it, _)| it == name)
            .map(|(_, value)| &**value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} comes twice");
        value
    }

    /// Whether the server says that this was the last response.
    pub(crate) fn closes(&self) -> bool {
        self.field("connection").is_some_and(|it| {
            it.split(',')
                .any(|it| it.trim().eq_ignore_ascii_case("close"))
        })
    }
}
