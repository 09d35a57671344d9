use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::ops::Range;

/// Pixels of a plot.
const SIZE: (u32, u32) = (720, 400);

/// Colours that people tell apart who see fewer of them (Okabe and Ito 2008).
const COLORS: [RGBColor; 3] =
    [RGBColor(0x00, 0x72, 0xb2), RGBColor(0xd5, 0x5e, 0x00), RGBColor(0x00, 0x9e, 0x73)];

/// A curve: its name, and a point an epoch.
pub struct Series {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// Curves over the epochs, each with a marker of its own.
pub fn curves(what: &str, series: &[Series]) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, what, series).map_err(|error| anyhow!("cannot draw the {what}: {error}"))?;
    Ok(svg)
}

fn draw(svg: &mut String, what: &str, series: &[Series]) -> Result<(), Box<dyn std::error::Error>> {
    let points = || series.iter().flat_map(|series| &series.points);
    // The legend goes where the curves do not end.
    let ends = series.iter().find_map(|series| series.points.first().zip(series.points.last()));
    let rises = ends.is_some_and(|(first, last)| first.1 < last.1);
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let x = padded(points().map(|point| point.0), 0.5);
    let y = padded(points().map(|point| point.1), 0.01);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(x, y)?;
    let font = |size: u32| ("sans-serif", size).into_font();
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("epoch")
        .y_desc(what)
        .x_label_formatter(&|epoch| if epoch.fract() == 0.0 { format!("{epoch:.0}") } else { String::new() })
        .label_style(font(15))
        .axis_desc_style(font(16))
        .draw()?;
    for (place, (series, color)) in series.iter().zip(COLORS).enumerate() {
        let points = &series.points;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?
            .label(series.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], color.stroke_width(3)));
        match place {
            0 => _ = chart.draw_series(points.iter().map(|&at| Circle::new(at, 4, color.filled())))?,
            1 => {
                _ = chart.draw_series(points.iter().map(|&at| TriangleMarker::new(at, 6, color.filled())))?
            }
            _ => _ = chart.draw_series(points.iter().map(|&at| Cross::new(at, 4, color.stroke_width(2))))?,
        }
    }
    chart
        .configure_series_labels()
        .position(if rises { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight })
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.2))
        .label_font(font(15))
        .legend_area_size(32)
        .draw()?;
    area.present()?;
    Ok(())
}

/// The range of these numbers and some room, at least `least` on each side.
fn padded(values: impl Iterator<Item = f64>, least: f64) -> Range<f64> {
    let bounds = values.fold(None, |bounds: Option<(f64, f64)>, value| {
        let (low, high) = bounds.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    });
    let (low, high) = bounds.unwrap_or((0.0, 1.0));
    let room = (0.05 * (high - low)).max(least);
    low - room..high + room
}
