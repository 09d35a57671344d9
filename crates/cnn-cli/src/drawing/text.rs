//! Text in lines, and in pixels.

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

/// Lines of at most so many characters, broken at blanks where there are any.
pub fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is a line");
        let length = line.chars().count();
        if length > 0 && length + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            *line = format!("{line} {word}").trim_start().to_owned();
        }
        // A word that is longer than a line goes on in the next.
        while lines.last().is_some_and(|line| line.chars().count() > columns) {
            let letters: Vec<char> = lines.pop().unwrap_or_default().chars().collect();
            lines.extend(
                [&letters[..columns], &letters[columns..]].map(|part| part.iter().collect::<String>()),
            );
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a longer word", 4), ["a", "long", "er", "word"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
