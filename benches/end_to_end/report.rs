//! What was found out, as the tables of the README.

use std::fmt::Write;
use std::time::Duration;

use super::contender::Contender;
use super::rows::Row;

/// One measurement of one server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Messages for each second that the server used its processor.
    pub(crate) messages_per_cpu_second: f64,
    /// Messages for each second of the clock.
    pub(crate) messages_per_second: f64,
    /// Latencies: the 50th, 99th and 99.9th percentile.
    pub(crate) latencies: [Duration; 3],
}

/// A row with its samples: for each entry those of all rounds.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) row: Row,
    pub(crate) samples: Vec<Vec<Sample>>,
}

/// The peers, in the order of their columns.
pub(crate) const PEERS: [Contender; 3] = [
    Contender::Bun,
    Contender::FastWebSockets,
    Contender::TokioTungstenite,
];

impl Measured {
    /// Median over the rounds of what a server reached, divided by what the yardstick did in the same round.
    pub(crate) fn ratio(&self, entry: usize) -> f64 {
        let yardstick = &self.samples[0];
        let ratios = self.samples[entry].iter().zip(yardstick);
        median(ratios.map(|(own, yardstick)| {
            own.messages_per_cpu_second / yardstick.messages_per_cpu_second
        }))
    }

    /// The smallest and the largest of those ratios.
    fn spread(&self, entry: usize) -> (f64, f64) {
        let ratios = self.samples[entry]
            .iter()
            .zip(&self.samples[0])
            .map(|(own, yardstick)| {
                own.messages_per_cpu_second / yardstick.messages_per_cpu_second
            });
        ratios.fold((f64::INFINITY, 0.0), |(least, most), ratio| {
            (ratio.min(least), ratio.max(most))
        })
    }

    /// The entry of a peer, if it took part.
    pub(crate) fn entry_of(&self, peer: Contender) -> Option<usize> {
        let mut entries = self.row.entries.iter();
        entries.position(|entry| entry.contender == peer)
    }
}

/// The table of ratios.
pub(crate) fn ratios(measured: &[Measured]) -> String {
    let mut text = String::from("| Work | yardstick | switchboard ÷ yardstick | goal |");
    for peer in PEERS {
        let _ = write!(text, " {} |", peer.name());
    }
    text.push_str("\n|---|--:|--:|--:|--:|--:|--:|\n");
    for row in measured {
        let (least, most) = row.spread(1);
        let _ = write!(
            text,
            "| {} | {} | **{:.2}** ({least:.2}–{most:.2}) | {:.2} |",
            row.row.name,
            grouped(median(
                row.samples[0]
                    .iter()
                    .map(|sample| sample.messages_per_cpu_second)
            )),
            row.ratio(1),
            row.row.goal,
        );
        for peer in PEERS {
            let _ = match row.entry_of(peer) {
                Some(entry) => write!(text, " {:.2} |", row.ratio(entry)),
                None => write!(text, " |"),
            };
        }
        text.push('\n');
    }
    text
}

/// The table of latencies.
pub(crate) fn latencies(measured: &[Measured]) -> String {
    let mut text = String::from(
        "| Work | yardstick, messages/s | p50, p99, p99.9 (µs) | switchboard, messages/s | p50, p99, p99.9 (µs) |\n\
        |---|--:|--:|--:|--:|\n",
    );
    for row in measured {
        let _ = write!(text, "| {} |", row.row.name);
        for samples in &row.samples[..2] {
            let rate = median(samples.iter().map(|sample| sample.messages_per_second));
            let [p50, p99, p999] = [0, 1, 2].map(|percentile| {
                let micros = samples
                    .iter()
                    .map(|sample| sample.latencies[percentile].as_secs_f64() * 1e6);
                grouped(median(micros))
            });
            let _ = write!(text, " {} | {p50}, {p99}, {p999} |", grouped(rate));
        }
        text.push('\n');
    }
    text
}

/// The middle of some values.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        f64::midpoint(values[middle - 1], values[middle])
    }
}

/// A number without decimals, in groups of three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
