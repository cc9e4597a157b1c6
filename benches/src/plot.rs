//! Plots as SVG: for each operation, the ratio to the bare driver over the callers, a line for each contender.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::rows::Row;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 50.0;
const COLOURS: [&str; 5] = ["#0969da", "#cf222e", "#1a7f37", "#8250df", "#bf8700"];

/// A file for each operation, in this folder.
pub(crate) fn draw(folder: &Path, rows: &[Row]) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut plots: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let name = format!("{} {} {}", row.situation.backend, row.situation.operation, row.situation.api);
        plots.entry(name).or_default().push(row);
    }
    for (name, rows) in plots {
        let file = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        std::fs::write(folder.join(format!("{file}.svg")), plot(&name, &rows))?;
    }
    Ok(())
}

fn plot(name: &str, rows: &[&Row]) -> String {
    let callers: Vec<_> = {
        let mut callers: Vec<_> = rows.iter().map(|row| row.situation.callers).collect();
        callers.sort_unstable();
        callers.dedup();
        callers
    };
    let most =
        rows.iter().map(|row| row.ratio_to_driver.high).filter(|ratio| ratio.is_finite()).fold(1.5, f64::max);
    let x = |count: usize| {
        let place = callers.iter().position(|one| *one == count).unwrap_or(0);
        MARGIN + (WIDTH - 2.0 * MARGIN) * (place as f64 + 0.5) / callers.len() as f64
    };
    let y = |ratio: f64| HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * ratio / most;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" font-family=\"sans-serif\" \
        font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/><text x=\"{MARGIN}\" y=\"24\" \
        font-size=\"14\">{name}: calls per second, by those of the bare driver</text>"
    );
    let mut add = |text: String| drop(svg.write_str(&text));
    for step in 0..=(most * 2.0) as usize {
        let ratio = step as f64 / 2.0;
        let colour = if step == 2 { "black" } else { "#d0d7de" };
        add(format!(
            "<line x1=\"{MARGIN}\" x2=\"{:.0}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"{colour}\"/><text x=\"20\" \
            y=\"{1:.1}\">{ratio:.1}</text>",
            WIDTH - MARGIN,
            y(ratio)
        ));
    }
    for count in &callers {
        add(format!("<text x=\"{:.1}\" y=\"{:.1}\">{count}</text>", x(*count) - 8.0, HEIGHT - MARGIN + 18.0));
    }
    add(format!("<text x=\"{:.1}\" y=\"{:.1}\">callers</text>", WIDTH / 2.0 - 20.0, HEIGHT - 12.0));
    let mut contenders: Vec<_> = rows.iter().map(|row| row.contender.as_str()).collect();
    contenders.sort_unstable();
    contenders.dedup();
    for (contender, colour) in contenders.iter().zip(COLOURS.iter().cycle()) {
        let own: Vec<_> = rows.iter().filter(|row| row.contender == *contender).collect();
        let points: Vec<_> = own
            .iter()
            .map(|row| format!("{:.1},{:.1}", x(row.situation.callers), y(row.ratio_to_driver.median)))
            .collect();
        add(format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            points.join(" ")
        ));
        for row in &own {
            let at = x(row.situation.callers);
            add(format!(
                "<line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
                y(row.ratio_to_driver.low),
                y(row.ratio_to_driver.high)
            ));
        }
        if let Some(last) = own.last() {
            add(format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{contender}</text>",
                x(last.situation.callers) - 30.0,
                y(last.ratio_to_driver.high) - 6.0
            ));
        }
    }
    svg + "</svg>\n"
}
