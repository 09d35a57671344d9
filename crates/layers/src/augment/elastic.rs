//! The smooth random displacement of an elastic distortion.

use super::symmetric;
use rand::Rng;

/// Displacement fields for the pixels of an image, added up in borrowed memory.
///
/// White noise is smoothed along the columns and then along the rows. Each time it is taken as one ring of numbers:
/// behind a line's end comes the next line. White noise looks the same from everywhere, so the field is as strong at
/// the border as in the middle, and the kernel needs no centre.
pub struct Elastic<'a> {
    shape: [usize; 2],
    /// Rows, then columns.
    field: &'a mut [f32],
    noise: &'a mut [f32],
    smooth: &'a mut [f32],
    kernel: &'a mut [f32],
}

impl<'a> Elastic<'a> {
    /// How many numbers it needs.
    pub fn scratch([rows, columns, _]: [usize; 3]) -> usize {
        6 * rows * columns + rows.max(columns)
    }

    /// No displacement so far.
    pub fn new([rows, columns, _]: [usize; 3], scratch: &'a mut [f32]) -> Self {
        let ring = 2 * rows * columns;
        let (field, scratch) = scratch.split_at_mut(ring);
        let (noise, scratch) = scratch.split_at_mut(ring);
        let (smooth, kernel) = scratch.split_at_mut(ring);
        field.fill(0.0);
        Self { shape: [rows, columns], field, noise, smooth, kernel }
    }

    /// Adds a field with this standard deviation, smoothed by a Gaussian with that one, in pixels.
    pub fn add(&mut self, pixels: f32, smoothness: f32, rng: &mut impl Rng) {
        let [rows, columns] = self.shape;
        let len = rows * columns;
        // Uniform noise within ±1 has a variance of 1/3.
        let scale = pixels * 3f32.sqrt();
        for field in self.field.chunks_exact_mut(len) {
            self.noise[..len].fill_with(|| scale * symmetric(rng));
            self.smooth[..len].fill(0.0);
            let kernel = gaussian(smoothness, columns, self.kernel);
            add_correlation(kernel, 1, self.noise, &mut self.smooth[..len]);
            let kernel = gaussian(smoothness, rows, self.kernel);
            add_correlation(kernel, columns, self.smooth, field);
        }
    }

    /// The sum of what was added.
    pub fn displacement(&self) -> [&[f32]; 2] {
        self.field.split_at(self.field.len() / 2).into()
    }
}

/// A Gaussian's values up to 3σ on either side, or to half of `len`. Their squares sum to 1: white noise keeps its
/// variance.
fn gaussian(sigma: f32, len: usize, kernel: &mut [f32]) -> &[f32] {
    let radius = ((3.0 * sigma).ceil() as usize).min((len - 1) / 2);
    let kernel = &mut kernel[..2 * radius + 1];
    for (tap, value) in kernel.iter_mut().enumerate() {
        let distance = (tap as f32 - radius as f32) / sigma;
        *value = (-distance * distance / 2.0).exp();
    }
    let norm = kernel.iter().map(|value| value * value).sum::<f32>().sqrt();
    kernel.iter_mut().for_each(|value| *value /= norm);
    kernel
}

/// y[i] += Σₜ kernel[t] · x[i + t · stride], where x is a ring of y's length. Beyond that x has room for as much
/// again, which takes what the kernel reaches of a second turn.
fn add_correlation(kernel: &[f32], stride: usize, x: &mut [f32], y: &mut [f32]) {
    x.copy_within(..(kernel.len() - 1) * stride, y.len());
    let (blocks, rest) = y.as_chunks_mut::<16>();
    let done = 16 * blocks.len();
    for (block, y) in blocks.iter_mut().enumerate() {
        add_block(kernel, stride, &x[16 * block..], y);
    }
    for (i, y) in rest.iter_mut().enumerate() {
        add_block(kernel, stride, &x[done + i..], std::array::from_mut(y));
    }
}

/// So many outputs side by side, whose sums stay in registers.
fn add_block<const N: usize>(kernel: &[f32], stride: usize, x: &[f32], y: &mut [f32; N]) {
    let mut sums = [0.0; N];
    for (weight, x) in kernel.iter().zip(x.windows(N).step_by(stride)) {
        for (sum, x) in sums.iter_mut().zip(x) {
            *sum += weight * x;
        }
    }
    for (y, sum) in y.iter_mut().zip(sums) {
        *y += sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_xoshiro::Xoshiro256PlusPlus;

    #[test]
    fn sums_go_around_the_ring() {
        for (len, stride, taps) in [(1, 1, 1), (7, 1, 7), (16, 1, 5), (40, 8, 5), (35, 5, 7), (51, 17, 3)] {
            let kernel: Vec<f32> = (0..taps).map(|tap| (tap + 1) as f32).collect();
            let ring: Vec<f32> = (0..len).map(|i| (i * i % 11) as f32).collect();
            let mut x = [ring.clone(), vec![f32::NAN; len]].concat();
            let mut y = vec![0.5; len];
            add_correlation(&kernel, stride, &mut x, &mut y);
            for (i, y) in y.into_iter().enumerate() {
                let expected: f32 = (0..taps).map(|tap| kernel[tap] * ring[(i + tap * stride) % len]).sum();
                assert_eq!(y, 0.5 + expected, "{len} numbers, stride {stride}, {taps} taps, at {i}");
            }
        }
    }

    #[test]
    fn kernels_are_gaussian_with_unit_squares() {
        for (sigma, len, taps) in
            [(4.0, 28, 25), (1.0, 28, 7), (4.0, 10, 9), (1e30, 7, 7), (1e-30, 9, 3), (2.0, 1, 1)]
        {
            let mut memory = vec![f32::NAN; len];
            let kernel = gaussian(sigma, len, &mut memory);
            assert_eq!(kernel.len(), taps, "σ {sigma}, {len} pixels");
            let squares: f32 = kernel.iter().map(|value| value * value).sum();
            assert!((squares - 1.0).abs() < 1e-5, "σ {sigma}, {len} pixels: {squares}");
            let centre = taps / 2;
            for distance in 0..=centre {
                let ratio = f64::from(kernel[centre + distance]) / f64::from(kernel[centre]);
                let expected = (-(distance as f64 / f64::from(sigma)).powi(2) / 2.0).exp();
                assert!((ratio - expected).abs() < 1e-6, "σ {sigma}, {len} pixels, at {distance}: {ratio}");
                assert_eq!(kernel[centre + distance], kernel[centre - distance]);
            }
        }
    }

    /// Over many fields: the mean and the standard deviation at every pixel, and the correlation of neighbours, which
    /// for a Gaussian of σ is exp(−1/(4σ²)).
    #[test]
    fn fields_have_the_strength_and_the_smoothness_asked_for() {
        let seed = 5;
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let cases = [
            (&[(1.5, 3.0)][..], [24, 20, 1]),
            (&[(0.5, 1.0)], [9, 30, 3]),
            (&[(2.0, 50.0)], [9, 12, 1]),
            (&[(3.0, 2.0), (4.0, 2.0)], [16, 16, 1]),
        ];
        for (steps, shape) in cases {
            let [rows, columns, _] = shape;
            let (draws, pixels) = (4000, 2 * rows * columns);
            let (mut sum, mut squares, mut neighbours) = (vec![0.0; pixels], vec![0.0; pixels], 0.0);
            let mut scratch = vec![f32::NAN; Elastic::scratch(shape)];
            for _ in 0..draws {
                let mut elastic = Elastic::new(shape, &mut scratch);
                steps.iter().for_each(|&(pixels, smoothness)| elastic.add(pixels, smoothness, &mut rng));
                let field = elastic.displacement().concat();
                for (pixel, value) in field.iter().map(|&value| f64::from(value)).enumerate() {
                    sum[pixel] += value / f64::from(draws);
                    squares[pixel] += value * value / f64::from(draws);
                }
                let pairs = field.chunks(columns).flat_map(|line| line.windows(2));
                neighbours += pairs.map(|pair| f64::from(pair[0] * pair[1])).sum::<f64>();
            }
            let strength = steps.iter().map(|&(pixels, _)| f64::from(pixels).powi(2)).sum::<f64>().sqrt();
            for pixel in 0..pixels {
                let [mean, std] = [sum[pixel], squares[pixel].sqrt()].map(|value| value / strength);
                assert!(mean.abs() < 0.1, "seed {seed}, {steps:?}, pixel {pixel}: mean {mean}");
                assert!((std - 1.0).abs() < 0.1, "seed {seed}, {steps:?}, pixel {pixel}: deviation {std}");
            }
            let smoothness = f64::from(steps[0].1);
            let expected = (-1.0 / (4.0 * smoothness * smoothness)).exp();
            let pairs = f64::from(draws) * (2 * rows * (columns - 1)) as f64;
            let found = neighbours / pairs / (strength * strength);
            // A kernel cut to half of a small image ends before it has fallen.
            let tolerance = if smoothness > 10.0 { 0.12 } else { 0.02 };
            assert!((found - expected).abs() < tolerance, "seed {seed}, {steps:?}: {found}, not {expected}");
        }
    }
}
