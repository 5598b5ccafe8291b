//! How many connections the system has descriptors for (RS-01).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ServerError;
use crate::config::Config;

/// Standard streams, and the pair of sockets by which signals are heard.
const OWN_COUNT: usize = 3 + 2;
/// What a loop needs: its poll and its waker.
const OWN_COUNT_PER_LOOP: usize = 2;

/// What the descriptors of the process are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Descriptors {
    /// How many there may be.
    limit: usize,
    /// Those of the server itself.
    own: usize,
    /// Those held back, for refusals and for what nobody has thought of.
    reserve: usize,
}

impl Descriptors {
    /// Raises the limit of the process as far as it may be raised, and deals the descriptors out.
    pub(super) fn raise(config: &Config) -> Self {
        Self::of(raise_limit(), config)
    }

    fn of(limit: usize, config: &Config) -> Self {
        Self {
            limit,
            own: OWN_COUNT
                + OWN_COUNT_PER_LOOP * config.loop_count
                + config.listen.len()
                + usize::from(config.metrics_listen.is_some()),
            reserve: config.descriptor_reserve,
        }
    }

    /// How many connections there can be of the `wanted` ones.
    ///
    /// # Errors
    ///
    /// [`ServerError::TooFewDescriptors`] if there cannot be a single one.
    pub(super) fn connections_max(self, wanted: usize) -> Result<usize, ServerError> {
        let needed = self.own + self.reserve + 1;
        if self.limit < needed {
            return Err(ServerError::TooFewDescriptors {
                limit: self.limit,
                needed,
            });
        }
        let possible = self.limit - self.own - self.reserve;
        let granted = wanted.min(possible);
        log::info!(
            "descriptors: limit {}, of which {} in reserve and {} for the server itself; \
             limit of connections {granted}, wanted {wanted}",
            self.limit,
            self.reserve,
            self.own,
        );
        Ok(granted)
    }
}

/// Raises the soft limit to the hard one; returns what is the limit now.
fn raise_limit() -> usize {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: before.maximum,
        maximum: before.maximum,
    };
    let limit = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => before.maximum,
        Err(error) => {
            log::warn!("the limit of descriptors cannot be raised: {error}");
            before.current
        }
    };
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rs_01_what_is_left_of_the_descriptors_is_for_connections() {
        let config = Config {
            loop_count: 2,
            descriptor_reserve: 64,
            ..Config::default()
        };
        let granted = |limit, wanted| Descriptors::of(limit, &config).connections_max(wanted);
        // Ten are those of the server, 64 are in reserve.
        assert_eq!(granted(1024, 100_000).unwrap(), 1024 - 74);
        assert_eq!(granted(1024, 950).unwrap(), 950);
        assert_eq!(granted(1024, 949).unwrap(), 949);
        assert_eq!(granted(75, 100_000).unwrap(), 1);
        assert_eq!(granted(usize::MAX, 7).unwrap(), 7);
        for limit in [0, 10, 74] {
            let error = granted(limit, 1).unwrap_err().to_string();
            assert!(error.contains("75") && !error.contains('\n'), "{error}");
        }
    }
}
