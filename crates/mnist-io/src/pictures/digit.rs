//! A digit drawn or photographed, prepared as MNIST's digits were.
//!
//! MNIST's digits are white on black; they were fitted into a box of 20×20 pixels without distortion, edges as greys, and
//! lie in 28×28 pixels with their centre of mass in the middle. A network that learned from them knows nothing else, so
//! [`prepare`] makes the same of any picture:
//!
//! ```text
//! smaller     a large picture becomes one of at most 256 pixels a side, each the mean of a block
//! background  the brightness of the paper (or the blackboard) at each pixel: a surface of second degree in row and column,
//!             first through the pixels along the edges, then through all that lie near it; light that falls unevenly is
//!             such a surface
//! ink         how far a pixel is from the background, towards the side on which most of what is far lies: darker on paper,
//!             lighter on a blackboard; its level is that of the strongest 3×3 pixels
//! parts       connected pixels of more than a third of that level; what is tiny beside the largest part is dust, and what
//!             touches the picture's edge is none of the digit's if there is enough that does not
//! thickness   strokes that would be thinner than MNIST's are made thicker
//! box         the parts' bounding box, fitted into 20×20
//! centre      whole pixels of shift, so that the centre of mass lies in the middle
//! ```

use std::collections::VecDeque;

use image::imageops::{self, FilterType};
use image::{GrayImage, ImageBuffer, Luma};

/// Pixels a side of a prepared digit.
pub const SIZE: usize = 28;

/// Pixels a side of the box that holds the digit itself.
const BOX: usize = 20;

/// Most pixels a side of the picture that is searched for a digit.
const MOST: usize = 256;

/// The share of the ink's level from which on a pixel is part of a stroke.
const INK: f32 = 0.33;

/// The share from which on a pixel beside them is their edge.
const EDGE: f32 = 0.1;

/// Strokes are this many of the prepared digit's pixels wide at the least.
const THINNEST: f32 = 1.8;

/// A prepared digit.
#[derive(Clone, Debug, PartialEq)]
pub struct Digit {
    /// 28×28 pixels, row by row, from 0 for the background to 255 for ink. All 0 where no ink was found.
    pub pixels: [u8; SIZE * SIZE],
    /// Why the picture may not be one of a digit.
    pub doubts: Vec<Doubt>,
}

/// A reason why a picture looks like none of a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doubt {
    /// Nothing stands out from the background.
    Empty,
    /// What stands out hardly does.
    Contrast,
    /// More of the digit's box is ink than strokes would leave.
    Ink,
    /// It is wider than any digit.
    Wide,
}

impl std::fmt::Display for Doubt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "nothing stands out from the background",
            Self::Contrast => "hardly any contrast",
            Self::Ink => "more ink than a digit has",
            Self::Wide => "wider than a digit",
        })
    }
}

/// Prepares the digit in a picture of `width` columns, given as its grey pixels from 0 for black to 255 for white, row by row.
/// A last row that is not complete is ignored.
///
/// ```
/// use mnist_io::pictures::digit;
///
/// // A one: a dark bar on light paper, in the upper left corner.
/// let pixel = |i: usize| if (10..14).contains(&(i % 100)) && (5..45).contains(&(i / 100)) { 40 } else { 220 };
/// let picture: Vec<u8> = (0..100 * 80).map(pixel).collect();
/// let one = digit::prepare(&picture, 100);
/// assert!(one.doubts.is_empty());
/// // Now it is light on dark, 20 rows high, in the middle.
/// let rows: Vec<_> = one.pixels.chunks(28).map(|row| row[13].max(row[14])).collect();
/// assert!(rows[4..24].iter().all(|&value| value > 100) && rows[..3].iter().all(|&value| value == 0));
/// ```
pub fn prepare(grey: &[u8], width: usize) -> Digit {
    let nothing = Digit { pixels: [0; SIZE * SIZE], doubts: vec![Doubt::Empty] };
    if width == 0 || grey.len() < width {
        return nothing;
    }
    let picture = Plane::smaller(grey, width);
    let Some(ink) = Ink::find(&picture) else { return nothing };
    let parts = parts(&ink.strength);
    let Some((strokes, frame)) = strokes(&ink.strength, &parts) else { return nothing };
    let mut doubts = Vec::new();
    if ink.level < 24.0 {
        doubts.push(Doubt::Contrast);
    }
    if strokes.values.iter().sum::<f32>() > 0.7 * strokes.values.len() as f32 && frame.is_broad() {
        doubts.push(Doubt::Ink);
    }
    if strokes.width as f32 > 1.7 * strokes.height as f32 {
        doubts.push(Doubt::Wide);
    }
    Digit { pixels: centered(&fitted(strokes)), doubts }
}

/// Numbers in rows and columns.
struct Plane {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl Plane {
    /// The picture, each pixel the mean of a block, so that there are at most [`MOST`] a side.
    fn smaller(grey: &[u8], width: usize) -> Self {
        let height = grey.len() / width;
        let side = width.max(height).div_ceil(MOST);
        let (rows, columns) = (height.div_ceil(side), width.div_ceil(side));
        let (mut sums, mut counts) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
        for (y, row) in grey.chunks_exact(width).enumerate() {
            for (x, block) in row.chunks(side).enumerate() {
                let at = y / side * columns + x;
                sums[at] += block.iter().map(|&value| u32::from(value)).sum::<u32>() as f32;
                counts[at] += block.len() as f32;
            }
        }
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum /= count);
        Self { width: columns, height: rows, values: sums }
    }

    /// Each number's row and column.
    fn places(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let width = self.width;
        (0..self.values.len()).map(move |i| (i / width, i % width))
    }

    /// The indices of a number and of those beside it, at sides and corners.
    fn around(&self, at: usize) -> impl Iterator<Item = usize> + use<> {
        let Self { width, height, .. } = *self;
        let (y, x) = (at / width, at % width);
        let rows = y.saturating_sub(1)..height.min(y + 2);
        rows.flat_map(move |y| (x.saturating_sub(1)..width.min(x + 2)).map(move |x| y * width + x))
    }

    /// The mean of the 3×3 numbers around each, or of those that there are.
    fn smooth(&self) -> Vec<f32> {
        let mean = |at| {
            let (count, sum) =
                self.around(at).fold((0.0, 0.0), |(count, sum), at| (count + 1.0, sum + self.values[at]));
            sum / count
        };
        (0..self.values.len()).map(mean).collect()
    }
}

/// How much a picture differs from its background.
struct Ink {
    /// From 0 for the background to about 1 for ink.
    strength: Plane,
    /// How far ink is from the background, in steps of 255.
    level: f32,
}

impl Ink {
    /// Nothing where all of the picture is background.
    fn find(picture: &Plane) -> Option<Self> {
        let Plane { width, height, .. } = *picture;
        let (background, noise) = background(picture);
        let mut difference = Plane { width, height, values: Vec::new() };
        difference
            .values
            .extend(picture.values.iter().zip(background).map(|(value, background)| value - background));
        // Ink is the smaller and more distant part of a picture.
        let skew: f32 = difference.values.iter().map(|value| value.powi(3)).sum();
        difference.values.iter_mut().for_each(|value| *value = (*value * skew.signum()).max(0.0));
        let level = difference.smooth().into_iter().fold(0.0, f32::max);
        if level < 8.0f32.max(4.0 * noise) {
            return None;
        }
        difference.values.iter_mut().for_each(|value| *value /= level);
        Some(Self { strength: difference, level })
    }
}

/// The terms of a surface of second degree.
type Terms = [f64; 6];

/// The background at each pixel, and how far pixels of the background usually are from it.
fn background(picture: &Plane) -> (Vec<f32>, f32) {
    let Plane { width, height, .. } = *picture;
    let unit = |at: usize, len: usize| (2 * at + 1) as f64 / len as f64 - 1.0;
    let terms = |(y, x): (usize, usize)| {
        let (v, u) = (unit(y, height), unit(x, width));
        [1.0, u, v, u * u, u * v, v * v]
    };
    // Some thousand pixels tell as much as all.
    let step = (picture.values.len() / 4096).max(1);
    let band = |len: usize| len.div_ceil(12);
    let edge =
        |(y, x): (usize, usize)| y.min(height - 1 - y) < band(height) || x.min(width - 1 - x) < band(width);
    let samples = |all: bool| -> Vec<(Terms, f64)> {
        let chosen = picture.places().zip(&picture.values).filter(|&(place, _)| all || edge(place));
        chosen.step_by(step).map(|(place, &value)| (terms(place), f64::from(value))).collect()
    };
    let (mut surface, mut noise) = ([0.0; 6], f64::INFINITY);
    for (samples, rounds) in [(samples(false), 6), (samples(true), 4)] {
        for _ in 0..rounds {
            let near = |(terms, value): &&(Terms, f64)| (value - at(&surface, terms)).abs() <= 3.0 * noise;
            surface = fit(samples.iter().filter(near));
            let mut distances: Vec<_> =
                samples.iter().map(|(terms, value)| (value - at(&surface, terms)).abs()).collect();
            let middle = distances.len() / 2;
            // 1.48 medians are a standard deviation of what is normally distributed.
            noise = (1.48 * *distances.select_nth_unstable_by(middle, f64::total_cmp).1).clamp(1.5, 20.0);
        }
    }
    (picture.places().map(|place| at(&surface, &terms(place)) as f32).collect(), noise as f32)
}

fn at(surface: &Terms, terms: &Terms) -> f64 {
    surface.iter().zip(terms).map(|(a, b)| a * b).sum()
}

/// The surface through samples with the least squares; flat in the directions that they leave open.
fn fit<'a>(samples: impl Iterator<Item = &'a (Terms, f64)>) -> Terms {
    // The normal equations, the right side behind the matrix.
    let mut rows = [[0.0; 7]; 6];
    for (terms, value) in samples {
        for (row, term) in rows.iter_mut().zip(terms) {
            row.iter_mut().zip(terms.iter().chain([value])).for_each(|(sum, other)| *sum += term * other);
        }
    }
    let weight = rows[0][0];
    for (i, row) in rows.iter_mut().enumerate().skip(1) {
        row[i] += 1e-6 * weight;
    }
    for i in 0..6 {
        if rows[i][i] <= 0.0 {
            return [0.0; 6];
        }
        let pivot = rows[i].map(|value| value / rows[i][i]);
        for (j, row) in rows.iter_mut().enumerate() {
            let factor = row[i];
            if j == i {
                *row = pivot;
            } else {
                row.iter_mut().zip(pivot).for_each(|(value, pivot)| *value -= factor * pivot);
            }
        }
    }
    rows.map(|row| row[6])
}

/// Connected pixels of ink.
struct Part {
    pixels: Vec<usize>,
    /// How many of them lie at the picture's edge.
    at_edge: usize,
}

/// Every part, pixels connected at sides and corners.
fn parts(strength: &Plane) -> Vec<Part> {
    let Plane { width, height, values } = strength;
    let mut is_open: Vec<bool> = values.iter().map(|&value| value >= INK).collect();
    let mut parts = Vec::new();
    for start in 0..values.len() {
        if !is_open[start] {
            continue;
        }
        is_open[start] = false;
        let mut part = Part { pixels: Vec::new(), at_edge: 0 };
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            part.pixels.push(at);
            let (y, x) = (at / width, at % width);
            part.at_edge += usize::from(y == 0 || x == 0 || y == height - 1 || x == width - 1);
            queue.extend(strength.around(at).filter(|&at| std::mem::take(&mut is_open[at])));
        }
        parts.push(part);
    }
    parts
}

/// Where the digit lies.
struct Frame {
    rows: [usize; 2],
    columns: [usize; 2],
}

impl Frame {
    /// Whether neither side is much longer than the other: a bar is nearly all ink.
    fn is_broad(&self) -> bool {
        let [rows, columns] = [self.rows, self.columns].map(|[first, last]| last - first + 1);
        rows < 3 * columns && columns < 3 * rows
    }
}

/// The strokes of the digit in its bounding box, from 0 to 1, of at least MNIST's thickness.
fn strokes(strength: &Plane, parts: &[Part]) -> Option<(Plane, Frame)> {
    let size = |part: &&Part| part.pixels.len();
    // A stroke may be cut off at the edge; a shadow or the table lies along it.
    let quarter = strength.width.min(strength.height) / 4;
    let (within, beside): (Vec<&Part>, Vec<&Part>) = parts.iter().partition(|part| part.at_edge <= quarter);
    let candidates = if within.is_empty() { beside } else { within };
    let least = candidates.iter().map(size).max()? / 40;
    let digit = candidates.iter().filter(|part| size(part) > least);
    let width = strength.width;
    let mut is_digit = vec![false; strength.values.len()];
    for &at in digit.flat_map(|part| &part.pixels) {
        // With the soft edge beside it.
        for at in strength.around(at) {
            is_digit[at] |= strength.values[at] >= EDGE;
        }
    }
    let mut frame: Option<Frame> = None;
    for at in (0..is_digit.len()).filter(|&at| is_digit[at]) {
        let (y, x) = (at / width, at % width);
        let frame = frame.get_or_insert(Frame { rows: [y, y], columns: [x, x] });
        for (range, value) in [(&mut frame.rows, y), (&mut frame.columns, x)] {
            *range = [range[0].min(value), range[1].max(value)];
        }
    }
    let frame = frame?;
    let thick = thickness(&is_digit, width);
    let ([top, bottom], [left, right]) = (frame.rows, frame.columns);
    let side = (bottom - top).max(right - left) + 1;
    let wanted = THINNEST * side as f32 / BOX as f32;
    let reach = ((wanted - thick) / 2.0).round().max(0.0) as usize;

    let (height, columns) = (bottom - top + 1 + 2 * reach, right - left + 1 + 2 * reach);
    let mut strokes = Plane { width: columns, height, values: vec![0.0; height * columns] };
    let inside = |y: usize, x: usize| y < strength.height && x < width;
    for y in 0..height {
        for x in 0..columns {
            // Beside a part, the soft edge of the stroke is its own; elsewhere there is none.
            let mut value = 0.0f32;
            for dy in 0..=2 * reach {
                for dx in 0..=2 * reach {
                    let (y, x) =
                        ((top + y + dy).wrapping_sub(2 * reach), (left + x + dx).wrapping_sub(2 * reach));
                    let (ey, ex) = (dy.abs_diff(reach), dx.abs_diff(reach));
                    if inside(y, x) && is_digit[y * width + x] && ey * ey + ex * ex <= reach * reach {
                        value = value.max(strength.values[y * width + x]);
                    }
                }
            }
            strokes.values[y * columns + x] = ((value - 0.2) / 0.4).clamp(0.0, 1.0);
        }
    }
    Some((strokes, frame))
}

/// How thick strokes are, in pixels: a long stroke of thickness `t` has `t / 2` pixels for each at its outline.
fn thickness(is_digit: &[bool], width: usize) -> f32 {
    let at = |i: Option<usize>| i.and_then(|i| is_digit.get(i)).copied().unwrap_or(false);
    let is_inside = |i: usize| {
        let (left, right) =
            (!i.is_multiple_of(width) && at(i.checked_sub(1)), i % width < width - 1 && at(Some(i + 1)));
        left && right && at(i.checked_sub(width)) && at(Some(i + width))
    };
    let ink = is_digit.iter().filter(|&&is_digit| is_digit).count();
    let outline = (0..is_digit.len()).filter(|&i| is_digit[i] && !is_inside(i)).count();
    2.0 * ink as f32 / outline.max(1) as f32
}

/// The strokes in at most 20×20 pixels, their strongest 255.
fn fitted(strokes: Plane) -> GrayImage {
    let Plane { width, height, values } = strokes;
    let scale = BOX as f32 / width.max(height) as f32;
    let [columns, rows] = [width, height].map(|size| (size as f32 * scale).round().max(1.0) as u32);
    let image =
        ImageBuffer::<Luma<f32>, _>::from_raw(width as u32, height as u32, values).unwrap_or_default();
    let small = imageops::resize(&image, columns, rows, FilterType::Triangle);
    let peak = small.pixels().map(|pixel| pixel.0[0]).fold(f32::MIN_POSITIVE, f32::max);
    GrayImage::from_fn(columns, rows, |x, y| {
        [(255.0 * small.get_pixel(x, y).0[0] / peak).round() as u8].into()
    })
}

/// The digit in 28×28 pixels, its centre of mass in the middle.
fn centered(digit: &GrayImage) -> [u8; SIZE * SIZE] {
    let mass = |value: fn(u32, u32) -> u32| {
        let weighted =
            digit.enumerate_pixels().map(|(x, y, pixel)| f32::from(pixel.0[0]) * (value(x, y) as f32 + 0.5));
        let total: f32 = digit.pixels().map(|pixel| f32::from(pixel.0[0])).sum();
        weighted.sum::<f32>() / total.max(1.0)
    };
    let middle = SIZE as f32 / 2.0;
    let [left, top] = [mass(|x, _| x), mass(|_, y| y)].map(|mass| (middle - mass).round() as i64);
    let mut pixels = [0; SIZE * SIZE];
    for (x, y, pixel) in digit.enumerate_pixels() {
        let (x, y) = (i64::from(x) + left, i64::from(y) + top);
        if let (0..28, 0..28) = (x, y) {
            pixels[y as usize * SIZE + x as usize] = pixel.0[0];
        }
    }
    pixels
}
