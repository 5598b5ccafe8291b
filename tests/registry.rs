//! The registry against a naive model, the one that its fuzz target uses too.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};

#[path = "../fuzz/oracles/registry.rs"]
mod oracle;

proptest! {
    #[test]
    fn ms_06_ms_07_members_are_those_who_joined_and_neither_left_nor_ended(data in vec(any::<u8>(), 0..3_000)) {
        oracle::check(&data);
    }
}
