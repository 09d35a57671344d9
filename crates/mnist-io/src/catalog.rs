//! The sets of the MNIST family: what is in them, who made them, where they are and how a file of theirs is known.
//!
//! Plain data, there without the feature `download` as well. A set has a name, by which it is chosen everywhere:
//!
//! ```
//! use mnist_io::catalog::Set;
//!
//! let set: Set = "fashion-mnist".parse()?;
//! assert_eq!(set.entry().class_names[5], "Sandal");
//! assert_eq!(set.entry().source.licence, "MIT, © 2017 Zalando SE");
//! for set in Set::ALL {
//!     let entry = set.entry();
//!     println!("{:16} {:7} training images, {:2} classes", set.name(), entry.train, entry.class_names.len());
//! }
//! # Ok::<(), mnist_io::Error>(())
//! ```

mod entries;
mod load;

use std::fmt;
use std::str::FromStr;

use crate::{Error, Split};

/// A set of the family. [`name`](Self::name) and [`FromStr`] are its name; the rest is in its [`entry`](Self::entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Set {
    /// `mnist`: handwritten digits.
    Mnist,
    /// `fashion-mnist`: pieces of clothing.
    FashionMnist,
    /// `kmnist`: Japanese characters in cursive script.
    Kmnist,
    /// `qmnist`: MNIST, made again from the original scans. Its test images are the 10,000 that MNIST has.
    Qmnist,
    /// `qmnist-extra`: the training images of QMNIST, and for testing the 50,000 digits that MNIST left out.
    QmnistExtra,
    /// `emnist-byclass`: digits, upper-case and lower-case letters.
    EmnistByclass,
    /// `emnist-bymerge`: the same images, with one class for the two cases of a letter that look alike.
    EmnistBymerge,
    /// `emnist-balanced`: the classes of `emnist-bymerge`, with as many images of each.
    EmnistBalanced,
    /// `emnist-letters`: letters, the two cases of each in one class.
    EmnistLetters,
    /// `emnist-digits`: digits, as many of each.
    EmnistDigits,
    /// `emnist-mnist`: digits, as many as MNIST has.
    EmnistMnist,
}

/// What there is to know of a set.
#[derive(Debug)]
pub struct Entry {
    /// The name by which the set is chosen.
    pub name: &'static str,
    /// What the set is called.
    pub title: &'static str,
    /// The number of training images, each 28 × 28 bytes, 0 the background.
    pub train: usize,
    /// The number of test images, of the same kind.
    pub test: usize,
    /// What each label means; as many as there are classes.
    pub class_names: &'static [&'static str],
    /// The files it comes in.
    pub source: &'static Source,
}

/// The files of a set, or of several sets that come in the same files.
#[derive(Debug)]
pub struct Source {
    /// The folder of the files among those of other sets.
    pub folder: &'static str,
    /// Who made them, and from what.
    pub provenance: &'static str,
    /// The terms of use, in a few words.
    pub licence: &'static str,
    /// The publication to cite.
    pub citation: &'static str,
    /// Addresses below which the files are, in the order in which to try them.
    pub mirrors: &'static [&'static str],
    /// The files.
    pub files: &'static [File<'static>],
}

/// A file to fetch, and how to know that it is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// Its name at the mirrors and in the folder.
    pub name: &'a str,
    /// Its length: of a file whose name ends in `.gz`, when decompressed.
    pub bytes: u64,
    /// What makes it the right one.
    pub checksum: Checksum<'a>,
}

/// A checksum in lower-case hexadecimal, and what it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum<'a> {
    /// SHA-256 of the decompressed bytes: mirrors may compress them as they like, or not at all.
    Contents(&'a str),
    /// SHA-256 of the file as it is served.
    Sha256(&'a str),
    /// MD5 of the file as it is served. It finds what broke on the way, not what somebody forged.
    Md5(&'a str),
}

impl Set {
    /// All sets.
    pub const ALL: [Self; 11] = [
        Self::Mnist,
        Self::FashionMnist,
        Self::Kmnist,
        Self::Qmnist,
        Self::QmnistExtra,
        Self::EmnistByclass,
        Self::EmnistBymerge,
        Self::EmnistBalanced,
        Self::EmnistLetters,
        Self::EmnistDigits,
        Self::EmnistMnist,
    ];

    /// What there is to know of it.
    pub fn entry(self) -> &'static Entry {
        &entries::ENTRIES[self as usize]
    }

    /// The name by which it is chosen, such as `fashion-mnist`.
    pub fn name(self) -> &'static str {
        self.entry().name
    }
}

impl Entry {
    /// The number of images of a split.
    pub fn images(&self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }
}

impl<'a> File<'a> {
    /// The name of the file without gzip.
    pub fn plain_name(&self) -> &'a str {
        self.name.strip_suffix(".gz").unwrap_or(self.name)
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Set {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|set| set.name() == name);
        found.ok_or_else(|| Error::UnknownSet { found: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_set_and_back() {
        for (set, name) in Set::ALL.into_iter().zip([
            "mnist",
            "fashion-mnist",
            "kmnist",
            "qmnist",
            "qmnist-extra",
            "emnist-byclass",
            "emnist-bymerge",
            "emnist-balanced",
            "emnist-letters",
            "emnist-digits",
            "emnist-mnist",
        ]) {
            assert_eq!(set.to_string(), name);
            assert_eq!(name.parse::<Set>().unwrap(), set);
        }
    }

    #[test]
    fn an_unknown_name_is_told_the_others() {
        for name in ["", "MNIST", "emnist", "mnist "] {
            let error = name.parse::<Set>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "expected mnist, fashion-mnist, kmnist, qmnist, qmnist-extra, emnist-byclass, emnist-bymerge, \
                     emnist-balanced, emnist-letters, emnist-digits or emnist-mnist, found {name:?}"
                )
            );
        }
    }

    #[test]
    fn entries_are_complete() {
        for set in Set::ALL {
            let Entry { name, title, train, test, class_names, source } = set.entry();
            assert!(!title.is_empty() && *train >= *test / 2 && *test >= 10_000, "{name}");
            assert!(class_names.len() >= 10, "{name}");
            let mut sorted = class_names.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), class_names.len(), "{name}: a class twice");
            assert!(name.starts_with(source.folder), "{name}");
            for text in [source.provenance, source.licence, source.citation] {
                assert!(text.len() > 10, "{name}: {text:?}");
            }
            assert!(!source.mirrors.is_empty() && !source.files.is_empty(), "{name}");
            assert!(source.mirrors.iter().all(|url| url.starts_with("http") && url.ends_with('/')), "{name}");
            for file in source.files {
                let (sum, digits) = match file.checksum {
                    Checksum::Contents(sum) | Checksum::Sha256(sum) => (sum, 64),
                    Checksum::Md5(sum) => (sum, 32),
                };
                let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
                assert!(sum.len() == digits && sum.chars().all(is_digit), "{}: {sum}", file.name);
            }
        }
    }
}
