//! Images side by side with their names, as text and as a picture.

use crate::drawing::text::{self, LETTER};
use anyhow::{Context, Result};
use image::imageops::{FilterType, replace};
use image::{DynamicImage, GrayImage, ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// One image and its name.
pub struct Tile {
    pub image: DynamicImage,
    pub name: String,
}

impl Tile {
    /// An image of `[rows, columns, channels]`, one channel or three.
    pub fn new([rows, columns, channels]: [usize; 3], pixels: Vec<u8>, name: String) -> Result<Self> {
        let (width, height) = (u32::try_from(columns)?, u32::try_from(rows)?);
        let image: Option<DynamicImage> = match channels {
            1 => GrayImage::from_raw(width, height, pixels).map(Into::into),
            _ => RgbImage::from_raw(width, height, pixels).map(Into::into),
        };
        let image = image.with_context(|| format!("expected images of 1 or 3 channels, found {channels}"))?;
        Ok(Self { image, name })
    }
}

/// From dark to light, for those who see no greys.
const LETTERS: &[u8] = b" .:-=+*#%@";

/// Small images are enlarged in a picture to at least so many pixels a row.
const WIDTH: u32 = 96;
/// Pixels between images, and around all.
const GAP: u32 = 8;

/// The tiles in so many columns of text. A character is two pixels, one above the other; an image with more pixels a row
/// than there are columns is made smaller.
pub fn lines(tiles: &[Tile], columns: usize, has_color: bool) -> Vec<String> {
    let widest = u32::try_from(columns.max(1)).unwrap_or(u32::MAX);
    let small = |tile: &Tile| match tile.image.width() {
        width if width > widest => tile.image.resize(widest, u32::MAX, FilterType::Triangle).to_luma8(),
        _ => tile.image.to_luma8(),
    };
    let width = tiles.first().map_or(1, |tile| tile.image.width().min(widest)) as usize;
    let mut lines = Vec::new();
    for row in tiles.chunks(((columns + 1) / (width + 1)).max(1)) {
        let names = row.iter().map(|tile| format!("{:width$.width$}", tile.name));
        lines.push(names.collect::<Vec<_>>().join(" ").trim_end().to_owned());
        let images: Vec<_> = row.iter().map(small).collect();
        let height = images.iter().map(GrayImage::height).max().unwrap_or(0);
        lines.extend((0..height).step_by(2).map(|y| {
            let parts = images.iter().map(|image| halves(image, y, has_color));
            parts.collect::<Vec<_>>().join(" ").trim_end().to_owned()
        }));
    }
    lines
}

/// Two rows of pixels as a line of characters.
fn halves(image: &GrayImage, y: u32, has_color: bool) -> String {
    let pixel = |x, y| image.get_pixel_checked(x, y).map_or(0, |pixel| pixel.0[0]);
    let pairs = (0..image.width()).map(|x| (pixel(x, y), pixel(x, y + 1)));
    if has_color {
        let pairs = pairs.map(|(up, down)| format!("\x1b[38;5;{};48;5;{}m▀", grey(up), grey(down)));
        return pairs.chain(["\x1b[0m".to_owned()]).collect();
    }
    let letter = |(up, down)| {
        let value = (usize::from(up) + usize::from(down)) / 2;
        char::from(LETTERS[value * LETTERS.len() / 256])
    };
    pairs.map(letter).collect()
}

/// The colour of the terminal's 256 that is next: black, 24 greys, white.
fn grey(value: u8) -> u8 {
    match (u16::from(value) * 25 + 127) / 255 {
        0 => 16,
        25 => 231,
        step => 231 + step as u8,
    }
}

/// The tiles in about as many rows as columns, as the bytes of a PNG file.
pub fn png(tiles: &[Tile]) -> Result<Vec<u8>> {
    let (width, height) = tiles.first().map_or((1, 1), |tile| (tile.image.width(), tile.image.height()));
    let scale = WIDTH.div_ceil(width);
    let (width, height) = (width * scale, height * scale);
    let columns = (tiles.len() as f64).sqrt().ceil().max(1.0) as u32;
    let rows = (tiles.len() as u32).div_ceil(columns);
    let (across, down) = (width + GAP, height + LETTER + 2 * GAP);
    let mut sheet = RgbImage::from_pixel(GAP + columns * across, GAP + rows * down, Rgb([235; 3]));
    for (place, tile) in (0..).zip(tiles) {
        let (x, y) = (GAP + place % columns * across, GAP + place / columns * down);
        let image = tile.image.to_rgb8();
        let image = image::imageops::resize(&image, width, height, FilterType::Nearest);
        replace(&mut sheet, &image, x.into(), y.into());
        write(&mut sheet, &tile.name, x, y + height + GAP / 2, width);
    }
    let mut bytes = Cursor::new(Vec::new());
    sheet.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// Writes as much of a text as has room, in the middle of `width` pixels.
fn write(sheet: &mut RgbImage, name: &str, x: u32, y: u32, width: u32) {
    let room = (width / LETTER) as usize;
    let name: String = name.chars().take(room).collect();
    let x = x + (width - name.chars().count() as u32 * LETTER) / 2;
    text::write(sheet, &name, [x, y], 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(width: u32, height: u32, name: &str, pixel: fn(u32, u32) -> u8) -> Tile {
        Tile {
            image: GrayImage::from_fn(width, height, |x, y| [pixel(x, y)].into()).into(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_character_is_two_pixels() {
        let tiles = [tile(2, 3, "a long name", |x, y| if x == y { 255 } else { 10 })];
        let pair = |up, down| format!("\x1b[38;5;{up};48;5;{down}m▀");
        let end = "\x1b[0m";
        let [up, down] = [pair(231, 232) + &pair(232, 231) + end, pair(232, 16) + &pair(232, 16) + end];
        assert_eq!(lines(&tiles, 80, true), ["a", &up, &down]);
        assert_eq!(lines(&tiles, 80, false), ["a", "++", ""]);
    }

    #[test]
    fn as_many_stand_side_by_side_as_have_room() {
        let tiles: Vec<_> = (0..5).map(|i| tile(4, 2, &i.to_string(), |_, _| 255)).collect();
        let check = |columns: usize, a_row: usize| {
            let lines = lines(&tiles, columns, false);
            assert_eq!(lines.len(), 2 * tiles.len().div_ceil(a_row), "{columns}");
            assert_eq!(lines[1], vec!["@@@@"; a_row].join(" "), "{columns}");
        };
        check(24, 5);
        check(23, 4);
        check(9, 2);
        check(8, 1);
        check(4, 1);
    }

    #[test]
    fn what_is_wider_than_the_terminal_is_made_smaller() {
        let tiles = [tile(100, 60, "wide", |_, _| 255), tile(100, 60, "wide", |_, _| 255)];
        for columns in [10, 20, 90] {
            let lines = lines(&tiles, columns, false);
            assert_eq!(lines[1], "@".repeat(columns), "{columns}");
            assert_eq!(lines.len(), 2 * (1 + columns * 3 / 10), "{columns}");
        }
        assert!(lines(&[], 80, true).is_empty());
    }

    #[test]
    fn greys_are_near() {
        let levels = |value| (value, grey(value));
        assert_eq!(
            [0, 5, 6, 128, 249, 250, 255].map(levels),
            [(0, 16), (5, 16), (6, 232), (128, 244), (249, 255), (250, 231), (255, 231)]
        );
    }

    #[test]
    fn names_that_the_font_lacks_or_that_are_too_long_are_drawn() {
        for name in ["", "a", "äöü 漢字", &"x".repeat(500)] {
            let bytes = png(&[tile(3, 5, name, |_, _| 255)]).expect("a PNG can be made");
            let sheet = image::load_from_memory(&bytes).expect("it is one");
            assert_eq!((sheet.width(), sheet.height()), (8 + 96 + 8, 8 + 160 + 24));
        }
    }
}
