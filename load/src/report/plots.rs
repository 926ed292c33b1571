//! The report's pictures, as SVG.

use super::{FaultMark, Report};
use crate::Failure;
use plotters::coord::Shift;
use plotters::prelude::*;
use std::ops::Range;

const SIZE: (u32, u32) = (860, 300);
const BLUE: RGBColor = RGBColor(0x1b, 0x5e, 0x9e);
const ORANGE: RGBColor = RGBColor(0xd9, 0x73, 0x0d);
const RED: RGBColor = RGBColor(0xb3, 0x26, 0x1e);
const GREY: RGBColor = RGBColor(0x80, 0x86, 0x8b);

/// A line through points, and what it is called.
pub struct Series<'a> {
    /// In the legend.
    pub name: &'a str,
    /// x and y.
    pub points: Vec<(f64, f64)>,
}

/// What its axes say.
pub struct Axes<'a> {
    /// Below.
    pub x: &'a str,
    /// On the left.
    pub y: &'a str,
    /// Powers of ten on the left.
    pub log: bool,
}

/// Something over the seconds of the run; what went wrong on purpose is marked.
pub fn over_time(report: &Report, axes: &Axes<'_>, series: &[Series<'_>]) -> Result<String, Failure> {
    #[allow(clippy::cast_precision_loss, reason = "seconds of a run")]
    let end = report.seconds.len() as f64 - report.warm_up_s;
    plot(axes, series, -report.warm_up_s..end.max(1.0), &report.faults)
}

/// Milliseconds at quantiles; nines are as far apart as they are in what they mean.
pub fn at_quantiles(y: &str, name: &str, quantiles: &[(f64, f64)]) -> Result<String, Failure> {
    let points: Vec<(f64, f64)> = quantiles.iter().map(|(quantile, ms)| (-(1.0 - quantile).log10(), *ms)).collect();
    let end = points.last().map_or(1.0, |(x, _)| *x).max(1.0);
    let axes = Axes { x: "nines: 1 is 90 %, 2 is 99 %, 3 is 99.9 %, ...", y, log: true };
    plot(&axes, &[Series { name, points }], 0.0..end, &[])
}

/// Something by rank, from the first on; powers of ten on the left.
pub fn by_rank(x: &str, y: &str, series: &[Series<'_>]) -> Result<String, Failure> {
    let end = series.iter().filter_map(|series| series.points.last()).map(|(x, _)| *x).fold(1.0, f64::max);
    plot(&Axes { x, y, log: true }, series, 0.0..end, &[])
}

fn plot(axes: &Axes<'_>, series: &[Series<'_>], xs: Range<f64>, marks: &[FaultMark]) -> Result<String, Failure> {
    let all = || series.iter().flat_map(|series| series.points.iter().map(|(_, y)| *y)).filter(|y| y.is_finite());
    let high = all().fold(0.0, f64::max) * 1.1;
    let low = all().filter(|y| *y > 0.0).fold(f64::MAX, f64::min);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(said)?;
        if axes.log && high > 0.0 {
            draw(&area, axes, series, (xs, (low.min(high) / 1.5..high * 1.5).log_scale()), marks, low / 1.5)?;
        } else {
            draw(&area, axes, series, (xs, 0.0..high.max(1.0)), marks, 0.0)?;
        }
        area.present().map_err(said)?;
    }
    Ok(svg)
}

fn draw<Y>(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    axes: &Axes<'_>,
    series: &[Series<'_>],
    (xs, ys): (Range<f64>, Y),
    marks: &[FaultMark],
    floor: f64,
) -> Result<(), Failure>
where
    Y: plotters::coord::ranged1d::AsRangedCoord<Value = f64>,
    Y::CoordDescType: plotters::coord::ranged1d::ValueFormatter<f64> + Ranged<ValueType = f64>,
{
    let begin = xs.start;
    let mut chart = ChartBuilder::on(area);
    chart.margin(10).x_label_area_size(36).y_label_area_size(70);
    let mut chart = chart.build_cartesian_2d(xs, ys).map_err(said)?;
    let range = chart.y_range();
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(axes.x).y_desc(axes.y).light_line_style(WHITE.mix(0.0)).axis_style(GREY);
    mesh.x_label_formatter(&|x| figure(*x))
        .y_label_formatter(&|y| figure(*y))
        .label_style(("sans-serif", 13))
        .draw()
        .map_err(said)?;
    if begin < 0.0 {
        let warm_up = Rectangle::new([(begin, range.start), (0.0, range.end)], GREY.mix(0.12).filled());
        chart.draw_series([warm_up]).map_err(said)?;
    }
    for (series, color) in series.iter().zip([BLUE, ORANGE, RED, GREY]) {
        let points = series.points.iter().map(|(x, y)| (*x, y.max(floor)));
        let line = LineSeries::new(points, color.stroke_width(2));
        let legend = chart.draw_series(line).map_err(said)?;
        legend.label(series.name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    for mark in marks {
        let line = PathElement::new([(mark.at_s, range.start), (mark.at_s, range.end)], RED.mix(0.7));
        chart.draw_series([line]).map_err(said)?;
        let style = ("sans-serif", 13).into_font().color(&RED);
        chart.draw_series([Text::new(mark.what.clone(), (mark.at_s, range.end), style)]).map_err(said)?;
    }
    if series.len() > 1 {
        let mut labels = chart.configure_series_labels();
        labels.position(SeriesLabelPosition::MiddleRight).background_style(WHITE.mix(0.8)).border_style(GREY);
        labels.label_font(("sans-serif", 13)).draw().map_err(said)?;
    }
    Ok(())
}

/// Short, whatever its size.
fn figure(value: f64) -> String {
    let size = value.abs();
    if size >= 1e6 {
        format!("{}M", trimmed(value / 1e6))
    } else if size >= 1e4 {
        format!("{}k", trimmed(value / 1e3))
    } else {
        trimmed(value)
    }
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn said(error: impl std::fmt::Display) -> Failure {
    format!("a plot cannot be drawn: {error}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_short() {
        let words: Vec<String> = [0.0, 0.25, 12.0, 9_999.0, 25_000.0, 1_500_000.0].into_iter().map(figure).collect();
        assert_eq!(words, ["0", "0.25", "12", "9999", "25k", "1.5M"]);
    }
}
