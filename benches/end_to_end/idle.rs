//! What a silent client costs: how much the resident memory of a server grows with thousands of them.

use std::fs;

use super::contender::{Contender, Field};
use super::entrance::{Entrance, Wire};
use super::rows::IdleRow;

/// Clients that fill what every server keeps anyway, before memory is looked at.
const WARM_UP_COUNT: usize = 500;
/// Clients whose memory is measured, where the limit of descriptors allows it.
const COUNT_MAX: usize = 9000;
/// Descriptors for everything else.
const DESCRIPTOR_RESERVE: usize = 200;

/// Resident bytes for each silent client. In a trial few come, and the figure means little.
pub(crate) fn bytes_per_client(
    field: &Field,
    contender: Contender,
    row: IdleRow,
    is_trial: bool,
) -> u64 {
    let count = if is_trial {
        100
    } else {
        COUNT_MAX.min(descriptor_limit().saturating_sub(WARM_UP_COUNT + DESCRIPTOR_RESERVE))
    };
    assert!(count > 0, "too few descriptors: see `ulimit -n`");
    let server = field.start(contender);
    let trust = field.trust(contender);
    let enter = |count: usize| -> Vec<Wire<_>> {
        let clients = (0..count).map(|index| {
            let mut entrance = Entrance::connect_by(server.addr(), trust.as_ref());
            (row.enter)(&mut entrance, index);
            entrance.into_wire()
        });
        clients.collect()
    };
    let _first = enter(if is_trial { 10 } else { WARM_UP_COUNT });
    let before = server.rss_kib();
    let _others = enter(count);
    let grown = server.rss_kib().saturating_sub(before);
    grown * 1024 / count as u64
}

/// Descriptors that this process, and so each server, may have; 1,024 where the system does not tell.
fn descriptor_limit() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    soft.unwrap_or(1024)
}
