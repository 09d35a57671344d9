//! Which images are there.

use crate::args;
use crate::data::{Source, folder_of};
use mnist_io::Split;
use mnist_io::catalog::Set;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
pub struct Data {
    /// What is used where no data is named.
    pub default: String,
    /// Why that cannot be read.
    pub problem: Option<String>,
    /// Whether it is the sample in the program.
    pub is_sample: bool,
    /// Sets that are where `cargo xtask fetch-data` puts them, and those that are not.
    pub found: Vec<&'static str>,
    pub missing: Vec<&'static str>,
    /// What broken downloads left there.
    pub parts: Vec<PathBuf>,
}

impl Data {
    pub fn find() -> Self {
        let source = Source::new(args::Data::default(), None);
        let splits = [Split::Train, Split::Test];
        let problem = splits.iter().find_map(|split| source.files(*split).err());
        let is_there = |set: &Set| splits.iter().all(|split| set.files(&folder_of(*set), *split).is_ok());
        let (found, missing): (Vec<Set>, Vec<Set>) = Set::ALL.into_iter().partition(is_there);
        let mut folders: Vec<_> = Set::ALL.into_iter().map(folder_of).collect();
        folders.dedup();
        Self {
            default: source.to_string(),
            is_sample: problem.is_none() && source.files(Split::Test).is_ok_and(|files| files.is_empty()),
            problem: problem.map(|problem| format!("{problem:#}")),
            found: found.into_iter().map(Set::name).collect(),
            missing: missing.into_iter().map(Set::name).collect(),
            parts: folders.iter().flat_map(|folder| parts(folder)).collect(),
        }
    }
}

fn parts(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "part")).collect()
}
