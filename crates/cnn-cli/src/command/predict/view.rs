//! A prediction as lines of a terminal: what the network sees, and beside or below it bars of the likeliest classes.

use crate::command::data::sheet::{self, Tile};
use crate::console::{self, has_color, is_watched};
use anyhow::Result;

/// The longest bar, and the shortest that is worth a place beside the image.
const LONGEST: usize = 30;
const SHORTEST: usize = 10;

/// What stands between the image and the bars.
const GAP: &str = "   ";

pub fn lines(file: &str, shape: [usize; 3], pixels: Vec<u8>, classes: &[(&str, f32)]) -> Result<Vec<String>> {
    let style = Style { columns: console::width(), has_color: has_color(), has_blocks: is_watched() };
    Ok(style.lines(Tile::new(shape, pixels, file.to_owned())?, classes))
}

/// What the terminal can show.
struct Style {
    columns: usize,
    has_color: bool,
    has_blocks: bool,
}

impl Style {
    fn lines(&self, tile: Tile, classes: &[(&str, f32)]) -> Vec<String> {
        let width = (tile.image.width() as usize).min(self.columns);
        let file = tile.name.clone();
        // The name has a line of its own, however long it is.
        let mut image = sheet::lines(&[Tile { name: String::new(), ..tile }], self.columns, self.has_color);
        image.remove(0);
        let beside = self.columns.saturating_sub(width + GAP.len());
        let mut lines = vec![file];
        match self.bars(classes, beside) {
            Some(bars) => {
                let top = image.len().saturating_sub(bars.len()) / 2;
                let count = image.len().max(bars.len());
                lines.extend((0..count).map(|i| {
                    let (left, right) =
                        (image.get(i).map_or("", |line| line), i.checked_sub(top).and_then(|i| bars.get(i)));
                    // A coloured line is as wide as the image; another one may end early.
                    let missing =
                        if self.has_color && i < image.len() { 0 } else { width - left.chars().count() };
                    let right =
                        right.map_or(String::new(), |bar| format!("{}{GAP}{bar}", " ".repeat(missing)));
                    format!("{left}{right}")
                }));
            }
            None => {
                lines.extend(image);
                lines.extend(self.bars(classes, self.columns).unwrap_or_else(|| self.without_bars(classes)));
            }
        }
        lines.push(String::new());
        lines
    }

    /// A line for each class in so many columns, if there is room for bars.
    fn bars(&self, classes: &[(&str, f32)], columns: usize) -> Option<Vec<String>> {
        let name_width = name_width(classes);
        let room = columns.checked_sub(name_width + "  ".len() + " 100.0 %".len())?;
        let longest = room.min(LONGEST);
        let bar = |&(name, probability): &(&str, f32)| {
            let bar = self.bar(probability, longest);
            let missing = " ".repeat(longest - bar.chars().count());
            format!("{name:name_width$}  {bar}{missing} {:5.1} %", 100.0 * probability)
        };
        (longest >= SHORTEST).then(|| classes.iter().map(bar).collect())
    }

    fn without_bars(&self, classes: &[(&str, f32)]) -> Vec<String> {
        let name_width = name_width(classes);
        classes.iter().map(|(name, p)| format!("{name:name_width$} {:5.1} %", 100.0 * p)).collect()
    }

    /// In eighths of a character where there are such.
    fn bar(&self, probability: f32, longest: usize) -> String {
        if !self.has_blocks {
            return "#".repeat((probability * longest as f32).round() as usize);
        }
        let eighths = (probability * 8.0 * longest as f32).round() as usize;
        let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
        "█".repeat(eighths / 8) + rest
    }
}

fn name_width(classes: &[(&str, f32)]) -> usize {
    classes.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0)
}
