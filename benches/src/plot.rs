//! Lines as a picture: a value to the right, another upwards on a logarithmic scale.

use std::ops::Range;

use plotters::prelude::*;

use crate::Result;

/// Width and height in pixels.
const SIZE: (u32, u32) = (900, 560);

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
                .x_label_area_size(40)
                .y_label_area_size(70)
                .build_cartesian_2d(self.range.clone(), (least * 0.8..most * 1.25).log_scale())?;
            chart.configure_mesh().x_desc(self.x).y_desc(self.y).draw()?;
            for (number, (line, points)) in shown.into_iter().enumerate().filter(|(_, (_, p))| !p.is_empty())
            {
                let color =
                    if line.emphasized { RED.to_rgba() } else { Palette99::pick(number + 2).to_rgba() };
                let width = if line.emphasized { 3 } else { 2 };
                let style = ShapeStyle { color, filled: true, stroke_width: width };
                chart
                    .draw_series(LineSeries::new(points.iter().copied(), style))?
                    .label(line.name.clone())
                    .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 20, y)], style));
                chart.draw_series(points.into_iter().map(|point| Circle::new(point, 3, style)))?;
            }
            chart.configure_series_labels().background_style(WHITE.mix(0.9)).border_style(BLACK).draw()?;
            root.present()?;
        }
        Ok(Some(svg))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn svg(points: &[(f64, f64)]) -> Option<String> {
        let line = Line { name: "a <b>".into(), points: points.to_vec(), emphasized: false };
        Chart { title: "", x: "right", y: "up", range: 0.0..1.0, lines: &[line] }.svg().unwrap()
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
