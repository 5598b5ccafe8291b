//! Compares switchboard with a server that knows no protocol, and with other WebSocket servers, over real sockets.
//!
//! ```sh
//! cargo bench --bench end_to_end                   # against the yardstick
//! cargo bench --bench end_to_end -- --peers        # and against others; bun from npm for uWebSockets
//! cargo bench --bench end_to_end -- --test         # check that all of it works
//! cargo bench --bench end_to_end -- --row 'echo 20 B'
//! ```
//!
//! Servers run one at a time, on the first processor, and one generator drives each of them from the second. What
//! counts is how many messages a server passes on for each second that it uses its processor: unlike a rate by the clock
//! that does not depend on how fast the generator is, nor on who else uses the machine. In each round all servers of a row
//! are measured within seconds of each other, in alternating order; a ratio is the median of the ratios of the rounds.
//!
//! Every byte that arrives is compared with what must arrive: a message that is lost, doubled, altered or out of order
//! ends the run with a panic.

#[cfg(feature = "tls")]
#[path = "../tests/tls/authority.rs"]
mod authority;
#[path = "end_to_end/chart.rs"]
mod chart;
#[path = "end_to_end/contender.rs"]
mod contender;
#[path = "end_to_end/crowd.rs"]
mod crowd;
#[path = "end_to_end/entrance.rs"]
mod entrance;
#[path = "end_to_end/farewell.rs"]
mod farewell;
#[path = "end_to_end/idle.rs"]
mod idle;
#[path = "end_to_end/options.rs"]
mod options;
#[path = "end_to_end/raw.rs"]
mod raw;
#[path = "end_to_end/report.rs"]
mod report;
#[path = "end_to_end/rows.rs"]
mod rows;
#[path = "../tests/server_process/mod.rs"]
mod server_process;
#[path = "end_to_end/template.rs"]
mod template;
#[path = "end_to_end/visits.rs"]
mod visits;

use std::fs;
use std::io;
use std::time::Duration;

use clap::Parser;

use contender::{Contender, Field, settled_processor_time};
use crowd::{Crowd, Scene, Score};
use options::Options;
use report::{Measured, Sample};
use rows::{Entry, IDLE_ROWS, IdleRow, Row, Work};

fn main() -> io::Result<()> {
    let options = Options::parse();
    if let Some(work) = options.serve_raw {
        return raw::serve(work);
    }
    let field = Field::prepare(options.peers, options.with.clone());
    let rows = rows::rows().into_iter();
    let measured: Vec<_> = rows
        .filter(|row| options.wants(&row.name))
        .map(|row| measure(&field, row, &options))
        .collect();
    if !measured.is_empty() {
        println!("Messages per second of processor time of the server, medians of the rounds:\n");
        println!("{}", report::ratios(&measured));
        println!("{}", report::latencies(&measured));
    }
    let idle_rows: Vec<_> = IDLE_ROWS
        .into_iter()
        .filter(|row| options.wants(row.name))
        .collect();
    if !idle_rows.is_empty() {
        print_idle(&field, &idle_rows, &options);
    }
    if let Some(file) = &options.chart {
        fs::write(file, chart::draw(&measured))?;
    }
    Ok(())
}

/// Measures all servers of a row in all rounds, in alternating order.
fn measure(field: &Field, mut row: Row, options: &Options) -> Measured {
    row.entries.retain(|entry| field.has(entry.contender));
    let mut samples = vec![Vec::new(); row.entries.len()];
    for round in 0..options.round_count() {
        let mut order: Vec<_> = (0..row.entries.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            samples[index].push(sample(field, &row.entries[index], options));
        }
    }
    let measured = Measured { row, samples };
    eprintln!("{}: {:.3}", measured.row.name, measured.ratio(1));
    measured
}

/// Starts a server, drives it, and looks at what that took.
fn sample(field: &Field, entry: &Entry, options: &Options) -> Sample {
    let server = field.start(entry.contender);
    let mut drive: Box<dyn FnMut(Duration) -> Score> = match &entry.work {
        Work::Messages(scene) => {
            let mut crowd = Crowd::enter(
                server.addr(),
                field.trust(entry.contender).as_ref(),
                Scene::clone(scene),
            );
            Box::new(move |span| crowd.drive(span))
        }
        Work::Visits(path) => {
            let addr = server.addr();
            Box::new(move |span| visits::drive(addr, path, span))
        }
    };
    drive(options.warm_up());
    let before = settled_processor_time(&server);
    let score = drive(options.span());
    let used = settled_processor_time(&server) - before;
    Sample {
        messages_per_cpu_second: score.message_count as f64 / used.as_secs_f64(),
        messages_per_second: score.message_count as f64 / score.wall.as_secs_f64(),
        latencies: [0.5, 0.99, 0.999]
            .map(|quantile| Duration::from_nanos(score.latency.value_at_quantile(quantile))),
    }
}

fn print_idle(field: &Field, rows: &[IdleRow], options: &Options) {
    println!("Resident bytes for each idle client:\n");
    println!("| Client of | switchboard | goal | others |\n|---|--:|--:|---|");
    for &row in rows {
        let bytes =
            |&contender: &Contender| idle::bytes_per_client(field, contender, row, options.test);
        let (own, others) = row.contenders.split_first().expect("ours comes first");
        let others: Vec<_> = others
            .iter()
            .filter(|&&contender| field.has(contender))
            .map(|contender| format!("{} {}", contender.name(), bytes(contender)))
            .collect();
        let (own, others) = (bytes(own), others.join(", "));
        println!("| {} | **{own}** | {} | {others} |", row.name, row.goal);
    }
}
