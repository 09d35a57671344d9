//! `cnn presets`: what `cnn train` knows.

use crate::args;
use crate::console::Console;
use crate::recipe::Recipe;
use anyhow::Result;
use layers::Network;

pub fn run(args: args::Presets) -> Result<()> {
    let mut console = Console::default();
    match args.name.and_then(|name| Recipe::preset_text(&name)) {
        Some(text) => console.line(text.trim_end()),
        None => {
            for recipe in Recipe::presets() {
                lines(&recipe)?.iter().for_each(|line| console.line(line));
            }
        }
    }
    console.finish()
}

/// A preset for people: its name and sentence, and what there is to know.
fn lines(recipe: &Recipe) -> Result<Vec<String>> {
    let Recipe { name, about, measured, network, training, .. } = recipe;
    let summary = Network::new(network)?.summary();
    let parameters: usize = summary.rows.iter().map(|row| row.parameters).sum();
    let multiply_adds: u64 = summary.rows.iter().map(|row| row.multiply_adds).sum();
    let mut lines = vec![
        format!("{name}: {about}"),
        format!("    {network}"),
        format!("    {parameters} parameters, {multiply_adds} multiply-adds an image"),
        format!("    epochs {}, batch size {}", training.epochs, training.batch_size),
    ];
    lines.extend((!measured.is_empty()).then(|| format!("    measured: {measured}")));
    Ok(lines)
}
