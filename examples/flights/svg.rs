//! A picture, shape by shape.

use std::fmt::Write;

/// An SVG file in the making; later shapes lie on earlier ones. Lengths are in pixels, from the top left corner.
pub(crate) struct Svg {
    body: String,
    width: f64,
    height: f64,
}

/// How a text looks.
#[derive(Clone, Copy)]
pub(crate) struct Font {
    pub(crate) size: f64,
    pub(crate) color: &'static str,
    pub(crate) bold: bool,
    pub(crate) anchor: Anchor,
}

/// Which point of a text its place means.
#[derive(Clone, Copy)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty white picture.
    pub(crate) fn new(width: f64, height: f64) -> Svg {
        let mut svg = Svg { body: String::new(), width, height };
        svg.rectangle((0.0, 0.0), (width, height), "#ffffff");
        svg
    }

    /// A filled rectangle, by its top left corner and its size.
    pub(crate) fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), color: &str) {
        self.line_of(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{color}"/>"#
        ));
    }

    /// A filled circle.
    pub(crate) fn dot(&mut self, (x, y): (f64, f64), radius: f64, color: &str) {
        self.line_of(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="{radius:.1}" fill="{color}"/>"#));
    }

    /// A line through all points.
    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], width: f64, color: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        self.line_of(format_args!(
            r#"<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}" stroke-linejoin="round"/>"#
        ));
    }

    /// A text, by a point of its base line.
    pub(crate) fn text(&mut self, (x, y): (f64, f64), font: Font, text: &str) {
        let Font { size, color, bold, anchor } = font;
        let weight = if bold { r#" font-weight="bold""# } else { "" };
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        let text = escaped(text);
        self.line_of(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}"{weight} fill="{color}"{anchor}>{text}</text>"#
        ));
    }

    /// The file. `title` is what a screen reader says.
    pub(crate) fn finish(self, title: &str) -> String {
        let Svg { body, width, height } = self;
        let title = escaped(title);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" font-family=\"{FONTS}\">\n<title>{title}</title>\n{body}</svg>\n"
        )
    }

    fn line_of(&mut self, element: std::fmt::Arguments<'_>) {
        writeln!(self.body, "{element}").expect("a String takes everything");
    }
}

const FONTS: &str = "Helvetica Neue, Helvetica, Arial, Liberation Sans, DejaVu Sans, sans-serif";

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_would_read_as_markup_is_escaped() {
        let mut svg = Svg::new(10.0, 10.0);
        let font = Font { size: 9.0, color: "#000", bold: false, anchor: Anchor::Start };
        svg.text((1.0, 2.0), font, "a <b> & c");
        let file = svg.finish("1 < 2");
        assert!(file.contains(">a &lt;b&gt; &amp; c</text>"), "{file}");
        assert!(file.contains("<title>1 &lt; 2</title>"), "{file}");
    }
}
