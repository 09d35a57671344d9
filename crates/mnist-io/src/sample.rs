//! The bundled sample: the first 1,000 training and the first 1,000 test images of MNIST, inside the crate.
//!
//! MNIST is © Yann LeCun and Corinna Cortes, [CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/),
//! derived from NIST's Special Databases 3 and 1; the sample keeps that licence.

use std::path::Path;

use crate::{Dataset, Result, idx};

/// The first 1,000 training images and labels.
///
/// # Errors
/// None that a build can show whose tests pass; the bytes are checked as a file's are.
pub fn train() -> Result<Dataset> {
    decode(
        include_bytes!("../sample/train-images-idx3-ubyte.gz"),
        include_bytes!("../sample/train-labels-idx1-ubyte.gz"),
    )
}

/// The first 1,000 test images and labels.
///
/// # Errors
/// As for [`train`].
pub fn test() -> Result<Dataset> {
    decode(
        include_bytes!("../sample/t10k-images-idx3-ubyte.gz"),
        include_bytes!("../sample/t10k-labels-idx1-ubyte.gz"),
    )
}

fn decode(images: &[u8], labels: &[u8]) -> Result<Dataset> {
    let [images_path, labels_path] = ["bundled images", "bundled labels"].map(Path::new);
    Dataset::pair(
        idx::parse(images, images_path)?,
        images_path,
        idx::parse(labels, labels_path)?,
        labels_path,
    )
}
