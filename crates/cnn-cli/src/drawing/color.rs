//! Colours for numbers, which people who see fewer colours can tell apart as well.

use image::{Rgb, RgbImage};

/// Matplotlib's viridis at ten even steps: equal differences of numbers look equal, from dark to light.
const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3e, 0x49, 0x89],
    [0x31, 0x68, 0x8e],
    [0x26, 0x82, 0x8e],
    [0x1f, 0x9e, 0x89],
    [0x35, 0xb7, 0x79],
    [0x6e, 0xce, 0x58],
    [0xb5, 0xde, 0x2b],
    [0xfd, 0xe7, 0x25],
];

/// Blue below 0, white at 0, orange above.
const DIVERGING: [[u8; 3]; 3] = [[0x1f, 0x5f, 0xa8], [0xff; 3], [0xd9, 0x5f, 0x02]];

/// What stands out from all of these and from greys.
pub const MARK: Rgb<u8> = Rgb([0xff, 0x7f, 0x0e]);

/// For what is no number.
const NONE: Rgb<u8> = Rgb([0x80; 3]);

/// Which colour a number has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scale {
    /// From 0 to the largest.
    Positive(f32),
    /// From the negative of the largest to the largest.
    Signed(f32),
}

impl Scale {
    /// The scale that these numbers fill.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a f32>) -> Self {
        let [least, most] = range(values);
        if least < 0.0 { Self::Signed(most.max(-least)) } else { Self::Positive(most) }
    }

    /// The least and the largest number that it shows.
    pub fn ends(self) -> [f32; 2] {
        match self {
            Self::Positive(largest) => [0.0, largest],
            Self::Signed(largest) => [-largest, largest],
        }
    }

    pub fn color(self, value: f32) -> Rgb<u8> {
        match self {
            _ if value.is_nan() => NONE,
            Self::Positive(largest) => between(&VIRIDIS, share(value, largest)),
            Self::Signed(largest) => between(&DIVERGING, 0.5 + 0.5 * share(value, largest)),
        }
    }

    /// All its colours, from left to right.
    pub fn bar(self) -> RgbImage {
        const WIDTH: u32 = 128;
        let [least, most] = self.ends();
        RgbImage::from_fn(WIDTH, 1, |x, _| self.color(least + (most - least) * x as f32 / (WIDTH - 1) as f32))
    }
}

/// The least and the largest; zeros where there are none.
pub fn range<'a>(values: impl IntoIterator<Item = &'a f32>) -> [f32; 2] {
    let finite = values.into_iter().copied().filter(|value| value.is_finite());
    finite.map(|value| [value; 2]).reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])]).unwrap_or_default()
}

/// From −1 to 1, and 0 where all is.
pub fn share(value: f32, largest: f32) -> f32 {
    if largest > 0.0 { (value / largest).clamp(-1.0, 1.0) } else { 0.0 }
}

/// The colour at a share of the way along these.
fn between(colors: &[[u8; 3]], share: f32) -> Rgb<u8> {
    let place = share.clamp(0.0, 1.0) * (colors.len() - 1) as f32;
    let before = (place as usize).min(colors.len() - 2);
    let (a, b, way) = (colors[before], colors[before + 1], place - before as f32);
    Rgb(std::array::from_fn(|i| (f32::from(a[i]) + way * (f32::from(b[i]) - f32::from(a[i]))).round() as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_colors() {
        let signed = Scale::of(&[-4.0, 1.0, f32::INFINITY]);
        assert_eq!(signed, Scale::Signed(4.0));
        let colors = [-4.0, 0.0, 4.0, 2.0, f32::NAN].map(|value| signed.color(value).0);
        assert_eq!(colors, [DIVERGING[0], [255; 3], DIVERGING[2], [0xec, 0xaf, 0x81], [0x80; 3]]);
        let positive = Scale::of(&[0.0, 9.0]);
        let colors = [0.0, 1.0, 9.0, 10.0].map(|value| positive.color(value).0);
        assert_eq!(colors, [VIRIDIS[0], VIRIDIS[1], VIRIDIS[9], VIRIDIS[9]]);
        assert_eq!(Scale::of(&[]).color(0.0).0, VIRIDIS[0]);
        assert_eq!(positive.bar().get_pixel(127, 0).0, VIRIDIS[9]);
    }

    /// Light grows along viridis, and both arms of the other are darker than their middle: both can be read as greys.
    #[test]
    fn colors_differ_in_light() {
        let light = |color: Rgb<u8>| {
            let [r, g, b] = color.0.map(f32::from);
            0.2126 * r + 0.7152 * g + 0.0722 * b
        };
        let lights: Vec<_> = (0..=20).map(|i| light(Scale::Positive(20.0).color(i as f32))).collect();
        assert!(lights.windows(2).all(|pair| pair[0] < pair[1]), "{lights:?}");
        let lights: Vec<_> = (0..=10).map(|i| light(Scale::Signed(10.0).color(i as f32))).collect();
        assert!(lights.windows(2).all(|pair| pair[0] > pair[1]), "{lights:?}");
    }
}
