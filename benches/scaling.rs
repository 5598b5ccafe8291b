//! What a receiver and a member cost when there are few and when there are a million, without sockets; and how many real
//! connections a machine holds within its limit of descriptors.
//!
//! ```sh
//! cargo bench --bench scaling                      # up to a million members, and 19,000 connections
//! cargo bench --bench scaling -- --test            # the same with few
//! ```

#[path = "scaling/counting.rs"]
mod counting;
#[path = "end_to_end/entrance.rs"]
mod entrance;
#[path = "scaling/held.rs"]
mod held;
#[path = "../tests/server_process/mod.rs"]
mod server_process;
#[path = "scaling/town.rs"]
mod town;

use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant};

use town::Town;

/// How many members, from few to as many as no machine has descriptors for.
const MEMBER_COUNTS: [u32; 4] = [10, 1000, 100_000, 1_000_000];

fn main() {
    let is_trial = env::args().any(|argument| argument == "--test");
    println!(
        "A group in memory: open sessions, their outboxes and memberships; one message to all, 64 bytes.\n"
    );
    println!(
        "| Members | bytes each | fan-out, ns for each receiver | join, ns | leave and join, ns | end, ns |\n\
        |--:|--:|--:|--:|--:|--:|"
    );
    let most = if is_trial { 1000 } else { u32::MAX };
    for count in MEMBER_COUNTS.into_iter().filter(|&count| count <= most) {
        print_row(count);
    }
    held::print(if is_trial { 100 } else { 19_000 });
}

fn print_row(count: u32) {
    let before = counting::allocated_bytes();
    let mut town = Town::new(count);
    let joined = time(1, || town.join_all());
    town.fan_out();
    let bytes = (counting::allocated_bytes() - before) / i64::from(count);
    // Enough of them to see something, and not so many that a million take a minute.
    let repetitions = (2_000_000 / count).clamp(2, 10_000);
    let fan_out = time(repetitions, || black_box(&mut town).fan_out());
    let rejoined = time(1, || town.rejoin_all());
    let removed = time(1, || town.remove_all());
    let each = |span: Duration| span.as_secs_f64() * 1e9 / f64::from(count);
    println!(
        "| {count} | {bytes} | {:.1} | {:.0} | {:.0} | {:.0} |",
        each(fan_out),
        each(joined),
        each(rejoined),
        each(removed)
    );
}

/// How long one of `repetitions` takes.
fn time(repetitions: u32, mut work: impl FnMut()) -> Duration {
    let begun = Instant::now();
    for _ in 0..repetitions {
        work();
    }
    begun.elapsed() / repetitions
}
