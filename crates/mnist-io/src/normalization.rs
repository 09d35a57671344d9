/// How a pixel becomes a number: `(pixel / 255 − mean) / std`, each operation rounded to f32.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Subtracted from the pixel's share of white.
    pub mean: f32,
    /// Divides the difference.
    pub std: f32,
}

impl Normalization {
    /// `pixel / 255 − 0.5`: from −0.5 for black to 0.5 for white.
    pub const CENTERED: Self = Self { mean: 0.5, std: 1.0 };

    /// The mean and standard deviation of MNIST's training pixels, to the four digits in common use: over the
    /// training set, the results have mean 0 and standard deviation 1.
    pub const MNIST: Self = Self { mean: 0.1307, std: 0.3081 };

    /// The number for each of the 256 pixels.
    ///
    /// ```
    /// let table = mnist_io::Normalization::CENTERED.table();
    /// assert_eq!((table[0], table[51], table[255]), (-0.5, -0.3, 0.5));
    /// ```
    pub const fn table(self) -> [f32; 256] {
        let mut table = [0.0; 256];
        let mut pixel = 0;
        while pixel < table.len() {
            table[pixel] = (pixel as u8 as f32 / 255.0 - self.mean) / self.std;
            pixel += 1;
        }
        table
    }

    /// Writes the number for each of `pixels` to its place in `out`.
    ///
    /// ```
    /// let mut out = [0.0; 3];
    /// mnist_io::Normalization::CENTERED.apply(&[0, 51, 255], &mut out);
    /// assert_eq!(out, [-0.5, -0.3, 0.5]);
    /// ```
    ///
    /// # Panics
    /// If the two lengths differ, as `copy_from_slice` does.
    pub fn apply(self, pixels: &[u8], out: &mut [f32]) {
        assert_eq!(pixels.len(), out.len(), "pixels and out differ in length");
        look_up(&self.table(), pixels, out);
    }
}

/// `out[i] = table[pixels[i]]`: a load a pixel, where the formula would take two divisions.
pub(crate) fn look_up(table: &[f32; 256], pixels: &[u8], out: &mut [f32]) {
    for (number, &pixel) in out.iter_mut().zip(pixels) {
        *number = table[usize::from(pixel)];
    }
}
