use layers::ndarray::Array2;
use maud::html;

/// Pixels of a cell.
const CELL: usize = 44;

/// Letters of the longest name that is shown in full.
const NAME: usize = 20;

/// With more classes than this the cells are small and without numbers.
const NUMBERED: usize = 30;

/// How often each class (row) was taken for each (column): the darker, the larger its share of the class. The right answers are
/// blue, the wrong ones orange; where there is room, each cell has its count.
pub fn confusion(counts: &Array2<usize>, names: &[String]) -> String {
    let classes = names.len();
    let is_numbered = classes <= NUMBERED;
    let cell = if is_numbered { CELL } else { (NUMBERED * CELL / classes).max(4) };
    let font = if is_numbered { 14 } else { cell.min(14) };
    let side = classes * cell;
    let letters = names.iter().map(|name| name.chars().count()).max().unwrap_or(1).min(NAME);
    let (left, top) = (130.max(24 + 8 * letters), 44 + 7 * letters);
    // The slanted names reach beyond the last column.
    let (width, height) = (left + side + 16 + 4 * letters, top + side + 16);
    let cells = counts.indexed_iter().filter(|(_, count)| **count > 0);
    let short = |name: &String| match name.chars().count() {
        0..=NAME => name.clone(),
        _ => name.chars().take(NAME - 1).chain(['…']).collect(),
    };
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height)
            font-family="sans-serif" font-size=(font) role="img" aria-label="Confusion matrix" {
            rect width="100%" height="100%" fill="#ffffff" {}
            text x="8" y="24" font-size="14" { "is ↓   taken for →" }
            @for (class, name) in names.iter().enumerate() {
                @let middle = class * cell + cell / 2;
                @if font >= 6 {
                    text x=(left - 8) y=(top + middle + font / 3) text-anchor="end" { (short(name)) }
                    text transform=(format!("translate({},{}) rotate(-60)", left + middle + font / 3, top - 8)) { (short(name)) }
                }
            }
            @for ((row, column), &count) in cells {
                @let share = count as f64 / counts.row(row).sum().max(1) as f64;
                // A single mistake is to be seen, too.
                @let shade = 0.12 + 0.88 * share.sqrt();
                @let (x, y) = (left + column * cell, top + row * cell);
                rect x=(x) y=(y) width=(cell) height=(cell) fill=(if row == column { "#0072b2" } else { "#d55e00" })
                    fill-opacity=(format!("{shade:.3}")) {
                    title { (names[row]) " taken for " (names[column]) ": " (count) }
                }
                @if is_numbered {
                    text x=(x + cell / 2) y=(y + cell / 2 + font / 3) text-anchor="middle"
                        fill=(if shade > 0.6 { "#ffffff" } else { "#000000" }) { (count) }
                }
            }
            @for line in (0..=classes).filter(|_| is_numbered) {
                @let at = line * cell;
                path d=(format!("M{left} {} h{side} M{} {top} v{side}", top + at, left + at)) stroke="#000000" stroke-opacity="0.15" {}
            }
        }
    }
    .into_string()
}
