//! The keys that a client masks its frames with (RFC 6455 5.3).

use std::fmt;

/// Bytes drawn from the system at once: enough for 256 frames.
const POOL_LEN: usize = 1024;

/// Unpredictable keys, each given out once.
pub(super) struct MaskKeys {
    pool: Box<[u8; POOL_LEN]>,
    /// Bytes of the pool that were given out.
    used: usize,
}

impl MaskKeys {
    /// Keys from the generator of the system.
    pub(super) fn new() -> Self {
        Self {
            pool: Box::new([0; POOL_LEN]),
            used: POOL_LEN,
        }
    }

    /// The next key.
    ///
    /// # Panics
    ///
    /// If the system has no source of random numbers.
    pub(super) fn next_key(&mut self) -> [u8; 4] {
        if self.used == POOL_LEN {
            getrandom::fill(&mut *self.pool).expect("the system has a source of random numbers");
            self.used = 0;
        }
        let key = std::array::from_fn(|index| self.pool[self.used + index]);
        self.used += 4;
        key
    }
}

/// Without the keys that are still to come.
impl fmt::Debug for MaskKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskKeys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_frame_has_another_key() {
        let mut keys = MaskKeys::new();
        let distinct: HashSet<_> = (0..4096).map(|_| keys.next_key()).collect();
        // Two of 4,096 random numbers of 32 bits are equal in one of 512 runs, ten in none.
        assert!(distinct.len() > 4086, "{}", distinct.len());
    }
}
