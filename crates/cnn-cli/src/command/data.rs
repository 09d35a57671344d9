//! `cnn data`: images looked at before a network does.

pub mod info;
pub mod sheet;
pub mod show;

use mnist_io::Dataset;

/// What a class is called: its name, or its number.
fn name(dataset: &Dataset, class: usize) -> String {
    dataset.class_names().get(class).cloned().unwrap_or_else(|| class.to_string())
}
