//! Makes the bundled sample from the full set: the first 1,000 images and labels of each split.
//!
//! ```text
//! MNIST_DIR=data/mnist cargo run -p mnist-io --example make_sample -- crates/mnist-io/sample
//! ```

use std::env;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use mnist_io::idx::{self, Idx, Values};

const COUNT: usize = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    let full = PathBuf::from(env::var_os("MNIST_DIR").ok_or("MNIST_DIR: the folder of the full set")?);
    let sample = PathBuf::from(env::args_os().nth(1).ok_or("argument: the folder to write to")?);
    for name in [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        let name = format!("{name}.gz");
        let bytes = compress(&idx::write(&first(&full.join(&name))?)?)?;
        fs::write(sample.join(name), bytes)?;
    }
    Ok(())
}

/// The first entries along the outermost axis.
fn first(path: &Path) -> Result<Idx, Box<dyn Error>> {
    let Idx { mut shape, values: Values::U8(mut values) } = idx::read(path)? else {
        return Err("expected bytes".into());
    };
    shape[0] = shape[0].min(COUNT);
    values.truncate(shape.iter().product());
    Ok(Idx { shape, values: Values::U8(values) })
}

/// As `gzip -9n` does: no name, and a time stamp of 0, so that the same images make the same file.
fn compress(bytes: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}
