//! Where each pixel comes from, and what is there.

/// Leads from a pixel to its source: (row, column) ↦ `matrix` · (row, column) + `offset`, about the image's centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    pub matrix: [[f32; 2]; 2],
    pub offset: [f32; 2],
}

impl Affine {
    pub const IDENTITY: Self = Self { matrix: [[1.0, 0.0], [0.0, 1.0]], offset: [0.0; 2] };

    /// The map that first does p ↦ `matrix` · p + `offset` and then this one.
    pub fn after(self, matrix: [[f32; 2]; 2], offset: [f32; 2]) -> Self {
        let [[a, b], [c, d]] = self.matrix;
        let times = |[x, y]: [f32; 2]| [a * x + b * y, c * x + d * y];
        let [[e, f], [g, h]] = matrix;
        let ([e, g], [f, h], moved) = (times([e, g]), times([f, h]), times(offset));
        Self { matrix: [[e, f], [g, h]], offset: [self.offset[0] + moved[0], self.offset[1] + moved[1]] }
    }
}

/// Writes `image`: bilinear between the four pixels of `source` about each source position, all channels alike.
/// A position beyond the border takes the nearest one on it. `displacement` is what is added to the source position,
/// (row, column), of the pixel with an index.
pub fn resample(
    shape: [usize; 3],
    map: &Affine,
    displacement: impl Fn(usize) -> [f32; 2],
    source: &[f32],
    image: &mut [f32],
) {
    // One channel is given as a constant: this removes the loop over the channels.
    match shape[2] {
        1 => resample_channels(shape, 1, map, displacement, source, image),
        channels => resample_channels(shape, channels, map, displacement, source, image),
    }
}

#[inline(always)]
fn resample_channels(
    [rows, columns, _]: [usize; 3],
    channels: usize,
    map: &Affine,
    displacement: impl Fn(usize) -> [f32; 2],
    source: &[f32],
    image: &mut [f32],
) {
    let Affine { matrix: [[a, b], [c, d]], offset } = *map;
    let centre = [rows, columns].map(|len| (len as f32 - 1.0) / 2.0);
    for (row, line) in image.chunks_exact_mut(columns * channels).enumerate() {
        let y = row as f32 - centre[0];
        let start = [a * y + offset[0] + centre[0], c * y + offset[1] + centre[1]];
        for (column, pixel) in line.chunks_exact_mut(channels).enumerate() {
            let x = column as f32 - centre[1];
            let [down, across] = displacement(row * columns + column);
            let (top, bottom, down) = between(start[0] + b * x + down, rows);
            let (left, right, across) = between(start[1] + d * x + across, columns);
            let at = |row, column| &source[(row * columns + column) * channels..][..channels];
            let above = at(top, left).iter().zip(at(top, right));
            let below = at(bottom, left).iter().zip(at(bottom, right));
            for ((value, above), below) in pixel.iter_mut().zip(above).zip(below) {
                *value = mix(mix(*above.0, *above.1, across), mix(*below.0, *below.1, across), down);
            }
        }
    }
}

/// The two indices below `len` on either side of `position`, and the share of the second.
#[inline(always)]
fn between(position: f32, len: usize) -> (usize, usize, f32) {
    let position = position.max(0.0).min((len - 1) as f32);
    // From i32 the conversions are single instructions, from usize they are not.
    let low = position as i32;
    (low as usize, (low as usize + 1).min(len - 1), position - low as f32)
}

/// From `a` at 0 towards `b` at 1. In this form equal pixels stay exactly equal, and so a flat background flat.
#[inline(always)]
fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + share * (b - a)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each number names its row, column and channel.
    fn numbered([rows, columns, channels]: [usize; 3]) -> Vec<f32> {
        let number = |row: usize, column: usize, channel: usize| (100 * row + 10 * column + channel) as f32;
        let pixels = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        pixels.flat_map(|(row, column)| (0..channels).map(move |c| number(row, column, c))).collect()
    }

    /// Each pixel of the result is the source's pixel that `from` names.
    fn check(shape: [usize; 3], map: Affine, field: [f32; 2], from: impl Fn(usize, usize) -> (usize, usize)) {
        let [rows, columns, channels] = shape;
        let source = numbered(shape);
        let mut image = vec![f32::NAN; source.len()];
        resample(shape, &map, |_| field, &source, &mut image);
        for (index, &value) in image.iter().enumerate() {
            let (row, column, channel) =
                (index / (columns * channels), index / channels % columns, index % channels);
            let (source_row, source_column) = from(row, column);
            assert!(source_row < rows && source_column < columns);
            let expected = source[(source_row * columns + source_column) * channels + channel];
            assert_eq!(value, expected, "{shape:?} {map:?} at {row}, {column}, {channel}");
        }
    }

    #[test]
    fn exact_maps_move_whole_pixels() {
        let linear = |matrix| Affine { matrix, offset: [0.0; 2] };
        for channels in [1, 2, 3] {
            for size in [1, 2, 5, 6] {
                let (square, last) = ([size, size, channels], size - 1);
                check(square, linear([[0.0, 1.0], [1.0, 0.0]]), [0.0; 2], |row, column| (column, row));
                check(square, linear([[0.0, -1.0], [1.0, 0.0]]), [0.0; 2], |r, c| (last - c, r));
                check(square, linear([[0.0, 1.0], [-1.0, 0.0]]), [0.0; 2], |r, c| (c, last - r));
                check(square, linear([[-1.0, 0.0], [0.0, -1.0]]), [0.0; 2], |r, c| (last - r, last - c));
            }
            let (wide, identity) = ([4, 7, channels], Affine::IDENTITY);
            check(wide, identity, [0.0; 2], |row, column| (row, column));
            check(wide, linear([[1.0, 0.0], [0.0, -1.0]]), [0.0; 2], |row, column| (row, 6 - column));
            check(wide, Affine { offset: [1.0, -2.0], ..identity }, [0.0; 2], |row, column| {
                ((row + 1).min(3), column.saturating_sub(2))
            });
            check(wide, identity, [-1.0, 2.0], |row, column| (row.saturating_sub(1), (column + 2).min(6)));
            check(wide, identity, [-1e9, f32::INFINITY], |_, _| (0, 6));
        }
    }

    #[test]
    fn between_pixels_the_value_is_bilinear() {
        let map = Affine { offset: [0.25, 0.5], ..Affine::IDENTITY };
        let mut image = [0.0; 4];
        resample([2, 2, 1], &map, |_| [0.0; 2], &[1.0, 2.0, 5.0, 8.0], &mut image);
        assert_eq!(image, [2.75, 3.5, 6.5, 8.0]);
    }

    #[test]
    fn maps_compose_as_functions() {
        let of = |map: Affine, [y, x]: [f32; 2]| {
            let ([[a, b], [c, d]], offset) = (map.matrix, map.offset);
            [a * y + b * x + offset[0], c * y + d * x + offset[1]]
        };
        let first = Affine { matrix: [[1.0, 2.0], [3.0, 5.0]], offset: [7.0, 11.0] };
        let second = Affine { matrix: [[-2.0, 3.0], [1.0, 4.0]], offset: [5.0, -6.0] };
        for point in [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-3.0, 2.0]] {
            let both = second.after(first.matrix, first.offset);
            assert_eq!(of(both, point), of(second, of(first, point)), "{point:?}");
        }
    }
}
