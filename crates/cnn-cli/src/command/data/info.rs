//! `cnn data info`: how many images, of what size, of which classes.

use super::name;
use crate::args;
use crate::console::{Console, is_watched};
use crate::data::Source;
use anyhow::{Context, Result};
use mnist_io::catalog::Entry;
use mnist_io::{Dataset, Split};
use std::fs;

/// Characters of the longest bar.
const BAR: usize = 40;

pub fn run(args: args::DataInfo) -> Result<()> {
    let source = Source::new(args.data, None);
    let sets = [source.load(Split::Train)?, source.load(Split::Test)?];
    let mut console = Console::default();
    console.line(&source);
    for (split, what, set) in [(Split::Train, "training", &sets[0]), (Split::Test, "test", &sets[1])] {
        let [rows, columns, channels] = set.shape();
        let line = format!("{} {what} images of {rows}×{columns}×{channels}", set.len());
        match set.mean_and_std() {
            _ if set.is_empty() => console.line(line),
            (mean, std) => {
                console.line(format_args!("{line}, mean {mean:.4}, standard deviation {std:.4}"));
            }
        }
        for path in source.files(split)? {
            let bytes = fs::metadata(&path).with_context(|| path.display().to_string())?.len();
            console.line(format_args!("  {}: {bytes} bytes", path.display()));
        }
    }
    if let Some(Entry { title, source, .. }) = source.entry() {
        console.line(format_args!("{title}: {}", source.provenance));
        console.line(format_args!("Licence: {}", source.licence));
        console.line(format_args!("To cite: {}", source.citation));
    }
    classes(&mut console, &sets);
    console.finish()
}

/// A line a class: how many images it has in each split, and a bar for those to train on.
fn classes(console: &mut Console, sets: &[Dataset; 2]) {
    let classes = sets[0].classes().max(sets[1].classes());
    let names: Vec<_> = (0..classes).map(|class| name(&sets[0], class)).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("class".len());
    let [train, test] = sets.each_ref().map(Dataset::class_counts);
    let most = train.iter().max().copied().unwrap_or(0).max(1);
    let block = if is_watched() { "█" } else { "#" };
    console.line(format_args!("\n{:width$}  training   test", "class"));
    for (class, name) in names.iter().enumerate() {
        let [train, test] = [&train, &test].map(|counts| counts.get(class).copied().unwrap_or(0));
        let bar = block.repeat((train * BAR).div_ceil(most));
        console.line(format_args!("{name:width$}  {train:8} {test:6}  {bar}").to_string().trim_end());
    }
}
