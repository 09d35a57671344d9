//! Networks as a line of text, for a command line: `conv 32 3x3 same relu, maxpool 2, dense 128 relu, dense 10`.
//!
//! A layer is a word, its sizes, and its options in any order. A comma ends a layer; a word that is no option of the
//! layer before it begins the next one, so `conv 8 3x3 relu` is two. A flatten is understood before the first dense.
//! A residual block holds its body in parentheses and a shortcut behind a bar: `residual(conv 8 3x3 same | conv 8 1x1)`.

use crate::{Flatten, Layer, NetworkSpec, Padding};
use std::fmt::{self, Display, Write};
use std::str::FromStr;

/// The words of a line, and a place among them.
pub(crate) struct Words<'a> {
    words: Vec<&'a str>,
    next: usize,
}

impl<'a> Words<'a> {
    fn new(line: &'a str) -> Self {
        let mut words = Vec::new();
        for word in line.split_whitespace() {
            let mut rest = word;
            while let Some(at) = rest.find(['(', ')', ',', '|']) {
                words.extend([&rest[..at], &rest[at..=at]].into_iter().filter(|word| !word.is_empty()));
                rest = &rest[at + 1..];
            }
            words.extend(Some(rest).filter(|word| !word.is_empty()));
        }
        Self { words, next: 0 }
    }

    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.next).copied()
    }

    /// Whether the next word is this one; if so, it is taken.
    pub fn take(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.next += usize::from(found);
        found
    }

    /// The next word as what `parse` makes of it.
    pub fn read<T>(&mut self, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, String> {
        let Some(word) = self.peek() else {
            return Err(format!("expected {expected}, found the end of the line"));
        };
        let value = parse(word)
            .ok_or_else(|| format!("word {}: expected {expected}, found {word:?}", self.next + 1))?;
        self.next += 1;
        Ok(value)
    }

    /// The next word as a number.
    pub fn number<T: FromStr>(&mut self, expected: &str) -> Result<T, String> {
        self.read(expected, |word| word.parse().ok())
    }

    /// The next word as rows and columns, `3x5`, or one number for both.
    pub fn pair(&mut self, expected: &str) -> Result<[usize; 2], String> {
        self.read(&format!("{expected} such as 3 or 3x3"), |word| match word.split_once('x') {
            Some((rows, columns)) => Some([rows.parse().ok()?, columns.parse().ok()?]),
            None => word.parse().ok().map(|size| [size, size]),
        })
    }

    /// An option that may follow: its value, if its name is next.
    pub fn option<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        if self.take(name) { read(self).map(Some) } else { Ok(None) }
    }

    /// Padding that may follow: `same`, `valid`, or `pad` and the rows and columns on each side, `1`, `1x2`, or with
    /// another number behind than in front, `1:2x0:1`.
    pub fn padding(&mut self) -> Result<Option<Padding>, String> {
        if self.take("same") {
            return Ok(Some(Padding::Same));
        }
        if self.take("valid") {
            return Ok(Some(Padding::Valid));
        }
        let side = |text: &str| match text.split_once(':') {
            Some((before, after)) => Some([before.parse().ok()?, after.parse().ok()?]),
            None => text.parse().ok().map(|size| [size, size]),
        };
        self.option("pad", |words| {
            words.read("padding such as 1, 1x2 or 0:1x0:1", |word| {
                let (rows, columns) = word.split_once('x').unwrap_or((word, word));
                Some(Padding::Explicit([side(rows)?, side(columns)?]))
            })
        })
    }

    /// Layers up to the end of the line, a bar or a closing parenthesis.
    pub fn layers(&mut self) -> Result<Vec<Layer>, String> {
        let mut layers = Vec::new();
        let mut flat = false;
        loop {
            match self.peek() {
                None | Some(")" | "|") => return Ok(layers),
                Some(",") if !layers.is_empty() => self.next += 1,
                _ => {}
            }
            let layer = Layer::parse(self)?;
            if matches!(layer, Layer::Dense(_)) && !flat {
                layers.push(Flatten.into());
            }
            flat |= layer.is_flat();
            layers.push(layer);
        }
    }

    /// Fails unless this word is next.
    pub fn expect(&mut self, word: &str) -> Result<(), String> {
        self.read(&format!("{word:?}"), |found| (found == word).then_some(()))
    }

    /// A layer's word.
    pub fn layer(&mut self, known: &[&str]) -> Result<usize, String> {
        let expected = format!("a layer ({})", known.join(", "));
        self.read(&expected, |word| known.iter().position(|known| *known == word))
    }
}

/// Rows and columns as `3x5`, or as `3` where they are equal.
pub(crate) fn pair([rows, columns]: [usize; 2]) -> String {
    if rows == columns { rows.to_string() } else { format!("{rows}x{columns}") }
}

/// ` name value`, unless the value is the default.
pub(crate) fn option<T: PartialEq>(name: &str, value: T, default: T, show: impl Fn(T) -> String) -> String {
    if value == default { String::new() } else { format!(" {name} {}", show(value)) }
}

/// The option that [`Words::padding`] reads.
pub(crate) fn padding(padding: Padding) -> String {
    let side = |[before, after]: [usize; 2]| match before == after {
        true => before.to_string(),
        false => format!("{before}:{after}"),
    };
    match padding {
        Padding::Valid => String::new(),
        Padding::Same => " same".into(),
        Padding::Explicit([rows, columns]) if rows == columns => format!(" pad {}", side(rows)),
        Padding::Explicit([rows, columns]) => format!(" pad {}x{}", side(rows), side(columns)),
    }
}

/// Layers as [`Words::layers`] reads them.
pub(crate) fn layers(layers: &[Layer]) -> String {
    let mut line = String::new();
    let mut flat = false;
    for (index, layer) in layers.iter().enumerate() {
        let implied = matches!(layer, Layer::Flatten(_))
            && !flat
            && matches!(layers.get(index + 1), Some(Layer::Dense(_)));
        flat |= layer.is_flat();
        if implied {
            continue;
        }
        if !line.is_empty() {
            line.push_str(if layer.follows() { " " } else { ", " });
        }
        let _ = write!(line, "{layer}");
    }
    line
}

impl FromStr for NetworkSpec {
    type Err = String;

    /// Reads `28x28x1: conv 8 3x3, dense 10`; without a shape in front, images are 28×28×1.
    fn from_str(line: &str) -> Result<Self, String> {
        let (input, line) = match line.split_once(':') {
            // A colon may also stand in a padding.
            Some((shape, rest)) if !shape.contains(char::is_whitespace) => {
                let sizes: Option<Vec<usize>> = shape.split('x').map(|size| size.parse().ok()).collect();
                match sizes.as_deref() {
                    Some(&[rows, columns]) => ([rows, columns, 1], rest),
                    Some(&[rows, columns, channels]) => ([rows, columns, channels], rest),
                    _ => {
                        return Err(format!(
                            "expected a shape such as 28x28x1 before the colon, found {shape:?}"
                        ));
                    }
                }
            }
            _ => ([28, 28, 1], line),
        };
        let mut words = Words::new(line);
        let layers = words.layers()?;
        match words.peek() {
            None => Ok(Self { input, layers }),
            Some(word) => {
                Err(format!("word {}: expected the end of the line, found {word:?}", words.next + 1))
            }
        }
    }
}

impl Display for NetworkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [rows, columns, channels] = self.input;
        write!(f, "{rows}x{columns}x{channels}: {}", layers(&self.layers))
    }
}
