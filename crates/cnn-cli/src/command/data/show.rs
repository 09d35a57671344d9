//! `cnn data show`: some images, in the terminal or as a picture.

use super::name;
use super::sheet::{self, Tile};
use crate::command::class_number;
use crate::console::{self, Console, has_color};
use crate::data::Source;
use crate::{args, output};
use anyhow::{Result, ensure};
use mnist_io::Dataset;

pub fn run(args: args::DataShow) -> Result<()> {
    let args::DataShow { data, split, class, count, seed, out } = args;
    if let Some(out) = &out {
        output::check(out)?;
    }
    let source = Source::new(data, None);
    let set = source.load(split)?;
    let names: Vec<_> = (0..set.classes()).map(|class| name(&set, class)).collect();
    let class = class.map(|class| class_number(&names, &class)).transpose()?;
    let order = seed.map_or_else(|| (0..set.len()).collect(), |seed| set.shuffled(seed));
    let of_class = order.into_iter().filter(|&i| class.is_none_or(|class| set.label(i) == class));
    let tiles: Vec<_> = of_class.take(count).map(|i| tile(&set, i)).collect::<Result<_>>()?;
    let of = class.map_or(String::new(), |class| format!(" of the class {}", name(&set, class)));
    ensure!(!tiles.is_empty(), "{source}: expected images{of} in this split, found none");

    let mut console = Console::default();
    match &out {
        Some(out) => {
            output::write(out, &sheet::png(&tiles)?)?;
            console.line(format_args!("{}: {} images → {}", source, tiles.len(), out.display()));
        }
        None => {
            for line in sheet::lines(&tiles, console::width(), has_color()) {
                console.line(line);
            }
        }
    }
    console.finish()
}

/// An image and what it shows.
fn tile(set: &Dataset, i: usize) -> Result<Tile> {
    Tile::new(set.shape(), set.image(i).to_vec(), name(set, set.label(i)))
}
