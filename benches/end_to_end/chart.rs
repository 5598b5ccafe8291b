//! The ratios as a picture for the README.

use std::fmt::Write;

use super::report::{Measured, PEERS};

/// Pixels: the names of the rows, the ratios from 0 to [`RATIO_MAX`], the height of a row, the head.
const NAME_WIDTH: f64 = 390.0;
const RATIO_WIDTH: f64 = 420.0;
const ROW_HEIGHT: f64 = 26.0;
const HEAD_HEIGHT: f64 = 64.0;

/// The largest ratio that has a place.
const RATIO_MAX: f64 = 1.2;

/// The colours of switchboard and of the peers; all of them stand out from black and from white.
const COLOURS: [&str; 4] = ["#1f77d0", "#d9772b", "#8a63d2", "#2f9e62"];

/// Draws a dot for each server in each row; the line at 1 is the yardstick, the bar ends at the goal.
pub(crate) fn draw(measured: &[Measured]) -> String {
    let width = NAME_WIDTH + RATIO_WIDTH + 20.0;
    let height = HEAD_HEIGHT + ROW_HEIGHT * measured.len() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
        font-size=\"13\" fill=\"#888\">\n<title>Messages per second of processor time, divided by those of a server \
        without a protocol</title>\n"
    );
    draw_legend(&mut svg, measured);
    for tenth in [0, 2, 4, 6, 8, 10, 12] {
        let ratio = f64::from(tenth) / 10.0;
        let (x, stroke) = (x_of(ratio), if tenth == 10 { 2 } else { 1 });
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"52\" text-anchor=\"middle\">{ratio:.1}</text>\
            <path d=\"M{x} {HEAD_HEIGHT}V{height}\" stroke=\"#888\" stroke-width=\"{stroke}\" stroke-opacity=\"0.5\"/>"
        );
    }
    for (index, row) in (0_u32..).zip(measured) {
        draw_row(
            &mut svg,
            row,
            HEAD_HEIGHT + ROW_HEIGHT * (f64::from(index) + 0.5),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The names of the servers that were measured.
fn draw_legend(svg: &mut String, measured: &[Measured]) {
    let peers = PEERS.into_iter().zip(&COLOURS[1..]).filter(|&(peer, _)| {
        measured
            .iter()
            .any(|measured| measured.entry_of(peer).is_some())
    });
    let ours = [("switchboard", &COLOURS[0])];
    let names = ours
        .into_iter()
        .chain(peers.map(|(peer, colour)| (peer.name(), colour)));
    for (index, (name, colour)) in (0_u32..).zip(names) {
        let x = 20.0 + 175.0 * f64::from(index);
        let _ = writeln!(
            svg,
            "<circle cx=\"{x}\" cy=\"18\" r=\"6\" fill=\"{colour}\"/><text x=\"{}\" y=\"22\">{name}</text>",
            x + 12.0
        );
    }
}

fn draw_row(svg: &mut String, row: &Measured, y: f64) {
    let name = row.row.name.replace('`', "");
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
        <path d=\"M{} {y}H{}\" stroke=\"{}\" stroke-width=\"8\" stroke-opacity=\"0.2\"/>",
        NAME_WIDTH - 10.0,
        y + 4.0,
        x_of(0.0),
        x_of(row.row.goal),
        COLOURS[0],
    );
    let peers = PEERS.into_iter().map(|peer| row.entry_of(peer));
    let entries = [Some(1)].into_iter().chain(peers);
    // Ours comes last, so that nothing lies over it.
    let dots: Vec<_> = entries.zip(COLOURS).collect();
    for (entry, colour) in dots.into_iter().rev() {
        if let Some(entry) = entry {
            let x = x_of(row.ratio(entry).min(RATIO_MAX));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y}\" r=\"6\" fill=\"{colour}\"/>"
            );
        }
    }
}

fn x_of(ratio: f64) -> f64 {
    NAME_WIDTH + RATIO_WIDTH * ratio / RATIO_MAX
}
