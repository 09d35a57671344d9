//! The commands, one file each.

pub mod completions;
pub mod convolve;
pub mod data;
pub mod doctor;
pub mod eval;
pub mod export;
pub mod gradcheck;
pub mod inspect;
pub mod man;
pub mod predict;
pub mod presets;
pub mod train;
pub mod tutorial;

use anyhow::{Context, Result};
use layers::Model;

/// Images that are judged at once. It is one number for all commands, so that the same model and images get the
/// same figures to the last bit.
pub const JUDGE_BATCH: usize = 64;

/// The names of a model's classes, or their numbers.
pub fn class_names(model: &Model) -> Result<Vec<String>> {
    let classes = model.network.classes()?;
    Ok(match model.class_names.is_empty() {
        true => (0..classes).map(|class| class.to_string()).collect(),
        false => model.class_names.clone(),
    })
}

/// The class of a name, or of a number.
fn class_number(names: &[String], class: &str) -> Result<usize> {
    let of_name = names.iter().position(|name| name == class);
    let number = of_name.or_else(|| class.parse().ok().filter(|number| *number < names.len()));
    number.with_context(|| format!("expected a class, one of {}, found {class:?}", names.join(", ")))
}

/// The classes, the likeliest first.
pub fn likeliest(probabilities: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
    order
}
