//! Text in pixels.

use font8x8::{BASIC_FONTS, GREEK_FONTS, HIRAGANA_FONTS, LATIN_FONTS, UnicodeFonts};
use image::{Rgb, RgbImage};

/// Pixels of a letter, both ways.
pub const LETTER: u32 = 8;

/// Writes a text in black, each of its pixels as a square of so many. What lies outside the image is cut off.
pub fn write(image: &mut RgbImage, text: &str, [x, y]: [u32; 2], scale: u32) {
    for (place, letter) in (0..).zip(text.chars()) {
        for (row, bits) in (0..).zip(glyph(letter)) {
            for column in (0..LETTER).filter(|column| bits >> column & 1 == 1) {
                let (left, top) = (x + (place * LETTER + column) * scale, y + row * scale);
                for (dx, dy) in (0..scale).flat_map(|dy| (0..scale).map(move |dx| (dx, dy))) {
                    if let Some(pixel) = image.get_pixel_mut_checked(left + dx, top + dy) {
                        *pixel = Rgb([0; 3]);
                    }
                }
            }
        }
    }
}

/// The rows of a letter, the lowest bit leftmost; a question mark for what the font does not have.
fn glyph(letter: char) -> [u8; 8] {
    let found = BASIC_FONTS
        .get(letter)
        .or_else(|| LATIN_FONTS.get(letter))
        .or_else(|| GREEK_FONTS.get(letter))
        .or_else(|| HIRAGANA_FONTS.get(letter));
    found.or_else(|| BASIC_FONTS.get('?')).unwrap_or_default()
}
