//! `cnn convolve`: an image under one kernel.

mod kernel;

use crate::console::Console;
use crate::{args, output};
use anyhow::{Context, Result};
use image::{DynamicImage, GrayImage, ImageFormat, ImageReader};
use kernel::Kernel;
use layers::ndarray::{Array4, ArrayView4};
use layers::tensor_ops::{Conv2dConfig, Conv2dGeometry, conv2d};
use layers::{Kernels, Padding};
use std::io::Cursor;
use std::path::Path;

pub fn run(args: args::Convolve, kernels: Kernels) -> Result<()> {
    let args::Convolve { image, kernel, padding, out } = args;
    output::check(&out)?;
    let kernel = Kernel::new(&kernel)?;
    let x = grey(&read(&image)?);
    let y = convolve(&x, &kernel, padding, kernels).with_context(|| image.display().to_string())?;
    output::write(&out, &png(&y, &kernel)?)?;

    let mut console = Console::default();
    let [(_, rows, columns, _), (_, out_rows, out_columns, _)] = [x.dim(), y.dim()];
    console.line(format_args!(
        "{}: {columns}×{rows} → {}: {out_columns}×{out_rows} pixels",
        image.display(),
        out.display()
    ));
    console.finish()
}

fn read(path: &Path) -> Result<DynamicImage> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let reader = reader.with_context(|| path.display().to_string())?;
    reader.decode().with_context(|| format!("{}: expected a PNG, JPEG or BMP image", path.display()))
}

/// The grey values from 0 to 255, transparent parts white, as one image of a batch.
fn grey(image: &DynamicImage) -> Array4<f32> {
    let image = image.to_luma_alpha8();
    Array4::from_shape_fn((1, image.height() as usize, image.width() as usize, 1), |(_, row, column, _)| {
        let [luma, alpha] = image.get_pixel(column as u32, row as u32).0.map(f32::from);
        255.0 - alpha * (255.0 - luma) / 255.0
    })
}

fn convolve(x: &Array4<f32>, kernel: &Kernel, padding: Padding, kernels: Kernels) -> Result<Array4<f32>> {
    let (_, rows, columns, _) = x.dim();
    let config = Conv2dConfig { padding, ..Conv2dConfig::new(kernel.shape) };
    let geometry = Conv2dGeometry::new([rows, columns, 1], 1, &config)?;
    let weight = ArrayView4::from_shape(geometry.weight_shape(), &kernel.values)?;
    let mut scratch = vec![0.0; geometry.forward_scratch()];
    let mut y = Array4::zeros(geometry.output_shape(1));
    conv2d::forward(kernels, &geometry, x.view(), weight, None, y.view_mut(), &mut scratch)?;
    Ok(y)
}

/// The result as the bytes of a PNG file.
fn png(y: &Array4<f32>, kernel: &Kernel) -> Result<Vec<u8>> {
    let finds_edges = kernel.sums_to_zero();
    let image = GrayImage::from_fn(y.dim().2 as u32, y.dim().1 as u32, |column, row| {
        let value = y[[0, row as usize, column as usize, 0]];
        // The conversion limits to 0..=255.
        let value = if finds_edges { value.abs() } else { value };
        [value.round() as u8].into()
    });
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}
