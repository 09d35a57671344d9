//! Kernels by name, and in text files.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

#[derive(Debug, PartialEq)]
pub struct Kernel {
    /// Rows and columns.
    pub shape: [usize; 2],
    /// Row after row.
    pub values: Vec<f32>,
}

impl Kernel {
    /// The kernel of this name, or else in this file.
    pub fn new(name: &Path) -> Result<Self> {
        let three = |values: [f32; 9]| Ok(Self { shape: [3, 3], values: values.to_vec() });
        match name.to_str() {
            // Sobel and Feldman's operators: the difference of neighbours across an edge, averaged along it.
            Some("sobel-x") => three([-1., 0., 1., -2., 0., 2., -1., 0., 1.]),
            Some("sobel-y") => three([1., 2., 1., 0., 0., 0., -1., -2., -1.]),
            // The binomial approximation of a Gaussian.
            Some("blur") => three([1., 2., 1., 2., 4., 2., 1., 2., 1.].map(|value| value / 16.0)),
            // The image plus its difference from the four neighbours.
            Some("sharpen") => three([0., -1., 0., -1., 5., -1., 0., -1., 0.]),
            _ => {
                let text = fs::read_to_string(name).with_context(|| {
                    let name = name.display();
                    format!("{name}: expected sobel-x, sobel-y, blur, sharpen or a text file with a kernel")
                });
                Self::parse(&text?).with_context(|| name.display().to_string())
            }
        }
    }

    /// Whether uniform grey becomes 0, but for rounding.
    pub fn sums_to_zero(&self) -> bool {
        let values = || self.values.iter().map(|&value| f64::from(value));
        values().sum::<f64>().abs() <= 1e-6 * values().map(f64::abs).sum::<f64>()
    }

    fn parse(text: &str) -> Result<Self> {
        let mut values = Vec::new();
        // The first row: where it is, and how long.
        let mut first = None;
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let content = line.split('#').next().unwrap_or_default();
            let start = values.len();
            for word in content.split_whitespace() {
                match word.parse() {
                    Ok(value) if f32::is_finite(value) => values.push(value),
                    _ => bail!("line {line_number}: expected a finite number, found {word:?}"),
                }
            }
            let found = values.len() - start;
            if found > 0 {
                let (first_line, expected) = *first.get_or_insert((line_number, found));
                if found != expected {
                    bail!(
                        "line {line_number}: expected {expected} numbers as in line {first_line}, found {found}"
                    );
                }
            }
        }
        let Some((_, columns)) = first else { bail!("expected rows of numbers, found none") };
        Ok(Self { shape: [values.len() / columns, columns], values })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let check = |text: &str, shape: [usize; 2], values: &[f32]| {
            assert_eq!(Kernel::parse(text).unwrap(), Kernel { shape, values: values.to_vec() }, "{text:?}");
        };
        check("1", [1, 1], &[1.0]);
        check("# a comment\n\n 1 -2.5\t3 # and more\n4 5 6\r\n", [2, 3], &[1.0, -2.5, 3.0, 4.0, 5.0, 6.0]);
        check("1\n2\n3\n4", [4, 1], &[1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn broken_files() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Kernel::parse(text).unwrap_err().to_string(), expected, "{text:?}");
        };
        check("", "expected rows of numbers, found none");
        check("# nothing\n\n", "expected rows of numbers, found none");
        check("\n1 2 3\n#\n4 5", "line 4: expected 3 numbers as in line 2, found 2");
        check("1 2\n3 x", "line 2: expected a finite number, found \"x\"");
        check("1, 2", "line 1: expected a finite number, found \"1,\"");
        check("1 inf", "line 1: expected a finite number, found \"inf\"");
    }

    #[test]
    fn edge_kernels() {
        let check = |name: &str, expected: bool| {
            assert_eq!(Kernel::new(Path::new(name)).unwrap().sums_to_zero(), expected, "{name}");
        };
        check("sobel-x", true);
        check("sobel-y", true);
        check("blur", false);
        check("sharpen", false);
        assert!(Kernel::parse("0.1 0.2 -0.3").unwrap().sums_to_zero());
    }
}
