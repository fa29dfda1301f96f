//! Curves as a picture: recall to the right, queries a second upwards on a logarithmic scale.

use std::path::Path;

use plotters::prelude::*;

use crate::Result;
use crate::curve::Curve;

/// Recalls below this are of no interest.
const LEAST_RECALL: f64 = 0.8;

/// Draws curves into an SVG file.
pub(crate) fn draw(path: &Path, title: &str, curves: &[Curve]) -> Result<()> {
    let shown: Vec<(&Curve, Vec<(f64, f64)>)> = curves
        .iter()
        .map(|curve| {
            let points = curve.points.iter().filter(|p| p.recall >= LEAST_RECALL);
            (curve, points.map(|p| (p.recall, p.qps)).collect::<Vec<_>>())
        })
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let speeds = || shown.iter().flat_map(|(_, points)| points.iter().map(|p| p.1));
    let (least, most) = (speeds().fold(f64::INFINITY, f64::min), speeds().fold(0f64, f64::max));
    if most <= 0.0 {
        return Ok(());
    }
    let root = SVGBackend::new(path, (900, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(LEAST_RECALL..1.0, (least * 0.8..most * 1.25).log_scale())?;
    chart.configure_mesh().x_desc("recall@10").y_desc("queries a second").draw()?;
    for (number, (curve, points)) in shown.into_iter().enumerate() {
        let ours = curve.name.starts_with("elanus");
        let color = if ours { RED.to_rgba() } else { Palette99::pick(number + 2).to_rgba() };
        let style = ShapeStyle { color, filled: true, stroke_width: if ours { 3 } else { 2 } };
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(curve.name.clone())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], style));
        chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, style)))?;
    }
    chart.configure_series_labels().background_style(WHITE.mix(0.9)).border_style(BLACK).draw()?;
    root.present()?;
    Ok(())
}
