//! Lines as a picture: a value to the right, another upwards on a logarithmic scale.

use std::ops::Range;

use plotters::prelude::*;

pub use plotters::chart::SeriesLabelPosition as Corner;

use crate::Result;

/// Width and height in pixels.
const SIZE: (u32, u32) = (900, 560);

/// The colours before are red, which emphasis has, and some that are hard to see on white.
const FIRST_COLOR: usize = 3;

/// A line with dots at its points.
#[derive(Debug, Clone)]
pub struct Line {
    /// What the legend says.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Red and thicker than the others.
    pub emphasized: bool,
}

/// A picture of lines.
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// Its title; may be empty.
    pub title: &'a str,
    /// What is counted to the right.
    pub x: &'a str,
    /// What is counted upwards.
    pub y: &'a str,
    /// What is shown of the first; points outside are left out.
    pub range: Range<f64>,
    /// Where the legend covers least.
    pub legend: Corner,
    /// The lines, in the order of the legend.
    pub lines: &'a [Line],
}

impl Chart<'_> {
    /// The picture as an SVG document; none when there is no point above zero to show.
    ///
    /// # Errors
    /// The drawing library's.
    pub fn svg(&self) -> Result<Option<String>> {
        let seen = |(x, y): &(f64, f64)| (self.range.start..=self.range.end).contains(x) && *y > 0.0;
        let points = |line: &Line| line.points.iter().copied().filter(seen).collect::<Vec<_>>();
        let shown: Vec<(&Line, Vec<(f64, f64)>)> = self.lines.iter().map(|l| (l, points(l))).collect();
        let heights = || shown.iter().flat_map(|(_, points)| points.iter().map(|p| p.1));
        let (least, most) = (heights().fold(f64::INFINITY, f64::min), heights().fold(0f64, f64::max));
        if most <= 0.0 {
            return Ok(None);
        }
        let mut svg = String::new();
        {
            let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            root.fill(&WHITE)?;
            let mut builder = ChartBuilder::on(&root);
            if !self.title.is_empty() {
                builder.caption(self.title, ("sans-serif", 20));
            }
            let mut chart = builder
                .margin(12)
                .x_label_area_size(50)
                .y_label_area_size(90)
                .build_cartesian_2d(self.range.clone(), upwards(least, most).log_scale())?;
            chart.configure_mesh().x_desc(self.x).y_desc(self.y).label_style(("sans-serif", 16)).draw()?;
            for (number, (line, points)) in shown.into_iter().enumerate().filter(|(_, (_, p))| !p.is_empty())
            {
                let color = if line.emphasized {
                    RED.to_rgba()
                } else {
                    Palette99::pick(number + FIRST_COLOR).to_rgba()
                };
                let width = if line.emphasized { 3 } else { 2 };
                let style = ShapeStyle { color, filled: true, stroke_width: width };
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), style))?
                    .label(line.name.clone())
                    .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], style));
                chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, style)))?;
            }
            chart
                .configure_series_labels()
                .position(self.legend.clone())
                .label_font(("sans-serif", 16))
                .background_style(WHITE.mix(0.9))
                .border_style(BLACK)
                .draw()?;
            root.present()?;
        }
        Ok(Some(svg))
    }
}

/// What is shown upwards: a little more than what there is, with a power of ten, because axes are labelled from those.
fn upwards(least: f64, most: f64) -> Range<f64> {
    let (low, high) = (least * 0.8, most * 1.25);
    let power = 10f64.powf(low.log10().ceil());
    if power <= high {
        low..high
    } else if low / (power / 10.0) < power / high {
        power / 10.0..high
    } else {
        low..power
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(points: &[(f64, f64)]) -> Option<String> {
        let line = Line { name: "a <b>".into(), points: points.to_vec(), emphasized: false };
        Chart { title: "", x: "right", y: "up", range: 0.0..1.0, legend: Corner::LowerLeft, lines: &[line] }
            .svg()
            .unwrap()
    }

    #[test]
    fn a_power_of_ten_is_within_every_range() {
        assert_eq!(upwards(50.0, 200.0), 40.0..250.0);
        assert_eq!(upwards(2.0, 3.0), 1.0..3.75);
        assert_eq!(upwards(5.0, 6.0), 4.0..10.0);
        assert_eq!(upwards(1250.0, 1250.0), 1000.0..1562.5);
    }

    #[test]
    fn a_picture_names_its_lines_and_an_empty_one_is_none() {
        let drawn = svg(&[(0.2, 5.0), (0.9, 3.0)]).unwrap();
        for words in ["<svg", "a &lt;b&gt;", "right", "up", "</svg>"] {
            assert!(drawn.contains(words), "{words}");
        }
        assert!(svg(&[(2.0, 5.0), (0.5, 0.0)]).is_none());
    }
}
