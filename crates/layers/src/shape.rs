use std::fmt;

/// The shape of one sample between two layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Rows, columns and channels, in this order in memory.
    Map([usize; 3]),
    /// A row of so many numbers.
    Flat(usize),
}

impl Shape {
    /// How many numbers a sample has, or `None` where that overflows.
    pub(crate) fn checked_len(self) -> Option<usize> {
        match self {
            Shape::Map(sizes) => sizes.into_iter().try_fold(1usize, usize::checked_mul),
            Shape::Flat(n) => Some(n),
        }
    }

    /// How many numbers a sample of a planned network has.
    pub fn len(self) -> usize {
        match self {
            Shape::Map([rows, columns, channels]) => rows * columns * channels,
            Shape::Flat(n) => n,
        }
    }

    /// Whether a sample has no numbers.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Map([rows, columns, channels]) => write!(f, "a {rows}×{columns}×{channels} map"),
            Shape::Flat(n) => write!(f, "a flat row of {n}"),
        }
    }
}
