//! Draws the results.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::anyhow;
use plotters::prelude::*;

use crate::{
    measure::as_float,
    report::{Row, folder},
};

const COLOURS: [RGBColor; 5] = [
    RGBColor(0x55, 0x55, 0x55),
    RGBColor(0xd9, 0x8a, 0x00),
    RGBColor(0x00, 0x66, 0xcc),
    RGBColor(0x22, 0x88, 0x33),
    RGBColor(0xaa, 0x33, 0x77),
];

/// The points of each line, by its name.
pub(crate) type Lines = BTreeMap<&'static str, Vec<(f64, f64)>>;

/// A chart with both axes logarithmic.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) x: &'static str,
    pub(crate) y: &'static str,
    pub(crate) lines: Lines,
}

/// Draws calls per second over calls in flight, a chart for each place and payload.
pub(crate) fn calls(name: &str, rows: &[Row]) -> anyhow::Result<PathBuf> {
    let mut charts: Vec<Chart> = Vec::new();
    for row in rows {
        let title = format!(
            "{} broker(s), {} ms, {} partitions, {}",
            row.brokers, row.round_trip_millis, row.partitions, row.payload
        );
        if charts.last().is_none_or(|last| last.title != title) {
            charts.push(Chart { title, x: "calls in flight", y: "calls/s", lines: Lines::new() });
        }
        if let Some(chart) = charts.last_mut() {
            let point = (as_float(row.in_flight as u64), row.calls_per_second);
            chart.lines.entry(row.side).or_default().push(point);
        }
    }
    side_by_side(name, &charts)
}

/// Draws the charts in a grid.
pub(crate) fn side_by_side(name: &str, charts: &[Chart]) -> anyhow::Result<PathBuf> {
    let columns = charts.len().clamp(1, 4);
    let rows_of_charts = charts.len().div_ceil(columns).max(1);
    let path = folder()?.join(format!("{name}.svg"));
    let size = (420 * count(columns), 300 * count(rows_of_charts));
    {
        let root = SVGBackend::new(&path, size).into_drawing_area();
        root.fill(&WHITE).map_err(|error| drawing(&error))?;
        let areas = root.split_evenly((rows_of_charts, columns));
        for (one, area) in charts.iter().zip(&areas) {
            chart(area, one).map_err(|error| drawing(&*error))?;
        }
        root.present().map_err(|error| drawing(&error))?;
    }
    Ok(path)
}

fn chart(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    Chart { title, x, y, lines }: &Chart,
) -> Result<(), Box<dyn std::error::Error>> {
    let points = lines.values().flatten();
    let (mut least, mut most, mut right) = (f64::MAX, 1.0_f64, 2.0_f64);
    for (x, y) in points {
        (least, most, right) = (least.min(*y), most.max(*y), right.max(*x));
    }
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 14))
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(56)
        .build_cartesian_2d((1.0..right * 1.2).log_scale(), (least.max(0.1) * 0.7..most * 1.5).log_scale())?;
    chart.configure_mesh().x_desc(*x).y_desc(*y).draw()?;
    for ((side, points), colour) in lines.iter().zip(COLOURS) {
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(3))?
            .label(*side)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .border_style(BLACK)
        .background_style(WHITE)
        .draw()?;
    Ok(())
}

/// Draws a value over time, with a line for each phase.
pub(crate) fn over_time(
    name: &str,
    title: &str,
    unit: &str,
    phases: &[(&'static str, Vec<(f64, f64)>)],
) -> anyhow::Result<PathBuf> {
    let path = folder()?.join(format!("{name}.svg"));
    let points = || phases.iter().flat_map(|(_, points)| points);
    let right = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let top = points().map(|(_, y)| *y).fold(1.0, f64::max);
    let draw = || -> Result<(), Box<dyn std::error::Error>> {
        let root = SVGBackend::new(&path, (960, 480)).into_drawing_area();
        root.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&root)
            .caption(title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(70)
            .build_cartesian_2d(0.0..right * 1.02, 0.0..top * 1.2)?;
        chart.configure_mesh().x_desc("seconds").y_desc(unit).draw()?;
        for ((phase, points), colour) in phases.iter().zip(COLOURS) {
            chart
                .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?
                .label(*phase)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .border_style(BLACK)
            .background_style(WHITE)
            .draw()?;
        root.present()?;
        Ok(())
    };
    draw().map_err(|error| drawing(&*error))?;
    Ok(path)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(1)
}

/// Turns a drawing error, which borrows the drawing area, into an owned error.
fn drawing(error: &dyn std::error::Error) -> anyhow::Error {
    anyhow!("the plot could not be drawn: {error}")
}
