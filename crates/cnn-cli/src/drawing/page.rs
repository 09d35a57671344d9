//! A page: pictures and text below one another, as PNG or SVG.

use super::color::Scale;
use super::text::{self, LETTER, wrapped};
use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use image::imageops::{FilterType, replace, resize};
use image::{ImageFormat, Rgb, RgbImage};
use std::fmt::Write;
use std::io::Cursor;

/// Pixels of a page from side to side, and of its margin.
pub const WIDTH: u32 = 1200;
const MARGIN: u32 = 24;
/// Pixels that pictures and text have.
pub const ROOM: u32 = WIDTH - 2 * MARGIN;

const PAPER: Rgb<u8> = Rgb([235; 3]);

/// A letter's pixels are squares of so many.
const LETTER_SCALE: u32 = 2;
const LINE: u32 = LETTER * LETTER_SCALE;
/// Of a font whose letters are about as large, and none wider.
const FONT: u32 = LINE * 5 / 4;
/// Pixels between lines of text, between pictures, and before a heading.
const LEADING: u32 = 8;
pub const GAP: u32 = 6;
const BREAK: u32 = 28;

/// A value is at most so many pixels wide, for a few values are no better seen when they are larger.
const LARGEST_CELL: u32 = 24;

/// What is drawn at some place.
#[derive(Debug)]
enum Item {
    Picture(Picture, [u32; 2]),
    Text(String, [u32; 2]),
}

/// An image, in how many pixels it is drawn, and what stands below it.
#[derive(Debug)]
pub struct Picture {
    image: RgbImage,
    size: [u32; 2],
    name: String,
}

impl Picture {
    /// An image whose longer side is to have about so many pixels: a whole number for each of its own, or fewer than it has.
    pub fn new(image: RgbImage, side: u32) -> Self {
        let (width, height) = image.dimensions();
        let longer = width.max(height).max(1);
        if longer > side {
            let size = [width, height].map(|n| (n * side / longer).max(1));
            return Self {
                image: resize(&image, size[0], size[1], FilterType::Triangle),
                size,
                name: String::new(),
            };
        }
        let scale = (side / longer).min(LARGEST_CELL);
        Self { image, size: [width * scale, height * scale], name: String::new() }
    }

    /// Pixels across and down, as it is drawn.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }
}

/// Things below one another, on paper of a fixed width.
#[derive(Debug)]
pub struct Page {
    items: Vec<Item>,
    /// Where the next thing goes.
    y: u32,
}

impl Default for Page {
    fn default() -> Self {
        Self { items: Vec::new(), y: MARGIN }
    }
}

impl Page {
    /// A line that begins something.
    pub fn heading(&mut self, text: &str) {
        if !self.items.is_empty() {
            self.y += BREAK;
        }
        self.text(text);
    }

    /// Text in as many lines as it needs.
    pub fn text(&mut self, text: &str) {
        for line in wrapped(text, (ROOM / LINE) as usize) {
            self.items.push(Item::Text(line, [MARGIN, self.y]));
            self.y += LINE + LEADING;
        }
    }

    /// Pictures side by side, in as many rows as they need.
    pub fn pictures(&mut self, pictures: Vec<Picture>) {
        let (mut x, mut row) = (MARGIN, 0);
        for picture in pictures {
            let words = picture.name.chars().count() as u32 * LINE;
            let width = picture.size[0].max(words);
            if x > MARGIN && x + width > MARGIN + ROOM {
                (x, self.y, row) = (MARGIN, self.y + row + GAP, 0);
            }
            let mut height = picture.size[1];
            if words > 0 {
                self.items.push(Item::Text(picture.name.clone(), [x, self.y + height + LEADING]));
                height += LEADING + LINE;
            }
            row = row.max(height);
            self.items.push(Item::Picture(picture, [x, self.y]));
            x += width + if words > 0 { BREAK } else { GAP };
        }
        self.y += row + LEADING;
    }

    /// Says how many of all there are above, where it is not all of them.
    pub fn left_out(&mut self, most: usize, all: usize, what: &str) {
        if all > most {
            self.text(&format!("{most} of {all} {what}"));
        }
    }

    /// What the colours mean.
    pub fn legend(&mut self, scale: Scale, of: &str) {
        let [least, most] = scale.ends().map(number);
        let start = MARGIN + (least.chars().count() as u32 + 1) * LINE;
        let bar = Picture { image: scale.bar(), size: [12 * LINE, LINE], name: String::new() };
        let end = start + bar.size[0] + LINE;
        self.items.push(Item::Text(least, [MARGIN, self.y]));
        self.items.push(Item::Picture(bar, [start, self.y]));
        let beside = format!("{most}  {of}");
        let has_room = end + LINE * beside.chars().count() as u32 <= MARGIN + ROOM;
        let beside = if has_room { beside.trim_end().to_owned() } else { most };
        self.items.push(Item::Text(beside, [end, self.y]));
        self.y += LINE + LEADING;
        if !has_room {
            self.text(of);
        }
    }

    /// All of another page below this one.
    pub fn append(&mut self, other: Self) {
        if other.items.is_empty() {
            return;
        }
        let down = if self.items.is_empty() { 0 } else { self.y + BREAK - MARGIN };
        self.items.extend(other.items.into_iter().map(|item| match item {
            Item::Picture(picture, [x, y]) => Item::Picture(picture, [x, y + down]),
            Item::Text(text, [x, y]) => Item::Text(text, [x, y + down]),
        }));
        self.y = other.y + down;
    }

    /// Pixels across and down.
    pub fn size(&self) -> [u32; 2] {
        [WIDTH, self.y + MARGIN - LEADING]
    }

    /// The page in pixels.
    pub fn image(&self) -> RgbImage {
        let [width, height] = self.size();
        let mut page = RgbImage::from_pixel(width, height, PAPER);
        for item in &self.items {
            match item {
                Item::Picture(Picture { image, size, .. }, [x, y]) => {
                    let image = resize(image, size[0], size[1], FilterType::Nearest);
                    replace(&mut page, &image, i64::from(*x), i64::from(*y));
                }
                Item::Text(text, place) => text::write(&mut page, text, *place, LETTER_SCALE),
            }
        }
        page
    }

    /// The page as the bytes of a PNG file.
    pub fn png(&self) -> Result<Vec<u8>> {
        png(&self.image())
    }

    /// The page as an SVG file, whose text is text.
    pub fn svg(&self) -> Result<String> {
        let [width, height] = self.size();
        let Rgb([r, g, b]) = PAPER;
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
             font-family=\"monospace\" font-size=\"{FONT}\">\n\
             <rect width=\"{width}\" height=\"{height}\" fill=\"rgb({r},{g},{b})\"/>\n"
        );
        for item in &self.items {
            match item {
                Item::Picture(Picture { image, size: [width, height], .. }, [x, y]) => writeln!(
                    svg,
                    "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
                     style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{}\"/>",
                    BASE64_STANDARD.encode(png(image)?)
                )?,
                Item::Text(text, [x, y]) => {
                    writeln!(svg, "<text x=\"{x}\" y=\"{}\">{}</text>", y + LINE - 2, escaped(text))?
                }
            }
        }
        Ok(svg + "</svg>\n")
    }
}

fn png(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Three digits that matter.
pub fn number(value: f32) -> String {
    let size = value.abs();
    match size {
        0.0 => "0".into(),
        _ if !(1e-3..1e5).contains(&size) => format!("{value:.1e}"),
        _ => format!("{value:.*}", (2 - size.log10().floor() as i32).max(0) as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, side: u32) -> Picture {
        Picture::new(RgbImage::from_pixel(width, height, Rgb([9, 0, 0])), side)
    }

    #[test]
    fn pictures_have_a_side() {
        let check = |width, height, side, size| assert_eq!(picture(width, height, side).size, size);
        check(28, 28, 80, [56, 56]);
        check(28, 14, 80, [56, 28]);
        check(1, 1, 80, [24, 24]);
        check(3, 3, 72, [72, 72]);
        check(400, 100, 80, [80, 20]);
        check(5000, 1, 80, [80, 1]);
    }

    #[test]
    fn what_has_no_room_goes_below() {
        let mut page = Page::default();
        page.pictures((0..20).map(|_| picture(10, 5, 100)).collect());
        page.text("below");
        let places = page.items.iter().filter_map(|item| match item {
            Item::Picture(_, place) => Some(*place),
            Item::Text(..) => None,
        });
        let places: Vec<_> = places.collect();
        let a_row = (ROOM + GAP) / (100 + GAP);
        assert_eq!(places.iter().filter(|place| place[1] == MARGIN).count(), a_row as usize);
        assert_eq!(places[a_row as usize], [MARGIN, MARGIN + 50 + GAP]);
        let image = page.image();
        assert_eq!([image.width(), image.height()], page.size());
        assert_eq!(image.get_pixel(MARGIN, MARGIN), &Rgb([9, 0, 0]));
        assert_eq!(image.get_pixel(MARGIN + 100, MARGIN), &PAPER);
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [0.0, 0.5, -1.0, 12.345, 123456.0, 1e-7, 999.6, -0.00123].map(number);
        assert_eq!(numbers, ["0", "0.500", "-1.00", "12.3", "1.2e5", "1.0e-7", "1000", "-0.00123"]);
    }

    #[test]
    fn svg_has_text_as_text() {
        let mut page = Page::default();
        page.heading("a < b & c");
        page.pictures(vec![picture(2, 2, 48).with_name("both")]);
        page.legend(Scale::Signed(1.0), "");
        let svg = page.svg().expect("it can be made");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
        assert!(svg.contains(">a &lt; b &amp; c<") && svg.contains(">both<"), "{svg}");
        assert_eq!(svg.matches("<image ").count(), 2, "{svg}");
    }
}
