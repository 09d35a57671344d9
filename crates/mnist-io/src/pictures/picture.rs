use std::fs;
use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageReader, RgbImage};

use super::Color;
use crate::{Error, Result};

/// Most pixels of one picture: a file of a few bytes can promise, and hold, more than memory and patience.
const MAX_PIXELS: u64 = 1 << 27;

/// A picture of a PNG, JPEG or BMP file, turned as its camera says.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture(DynamicImage);

impl Picture {
    /// Decodes a file.
    ///
    /// # Errors
    /// A file that cannot be read, is no such picture, or has more than 2²⁷ pixels.
    pub fn open(path: &Path) -> Result<Self> {
        Self::read(path).map_err(|reason| Error::Picture { path: path.to_owned(), reason })
    }

    /// Decodes the bytes of a file; `name` stands for it in an error.
    ///
    /// # Errors
    /// As [`Picture::open`].
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        Self::decode(Cursor::new(bytes)).map_err(|reason| Error::Picture { path: name.into(), reason })
    }

    /// Decodes a file, or says what is wrong with it.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        // Opening a pipe would wait for somebody to write into it.
        if !fs::metadata(path).map_err(|cause| cause.to_string())?.is_file() {
            return Err("expected a picture, found no file".to_owned());
        }
        let file = fs::File::open(path).map_err(|cause| cause.to_string())?;
        Self::decode(BufReader::new(file))
    }

    fn decode(file: impl BufRead + Seek) -> Result<Self, String> {
        let wrong = |cause: ImageError| format!("expected a PNG, JPEG or BMP picture: {cause}");
        let reader = ImageReader::new(file).with_guessed_format().map_err(|cause| cause.to_string())?;
        let mut decoder = reader.into_decoder().map_err(wrong)?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > MAX_PIXELS {
            return Err(format!("expected at most {MAX_PIXELS} pixels, found {width} × {height}"));
        }
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(wrong)?;
        picture.apply_orientation(orientation);
        Ok(Self(picture))
    }

    /// Columns of pixels.
    pub fn width(&self) -> usize {
        self.0.width() as usize
    }

    /// Rows of pixels.
    pub fn height(&self) -> usize {
        self.0.height() as usize
    }

    /// All pixels, row by row, each with its channels from 0 to 255; transparent parts are white.
    pub fn pixels(&self, color: Color) -> Vec<u8> {
        on_white(self.0.clone(), color).into_bytes()
    }

    /// The middle square in `size` × `size` pixels, each the weighted mean of all that it covers; otherwise as
    /// [`Picture::pixels`]. This is what [`load`](super::load) makes of each picture. Empty if `size` is 0.
    pub fn square(&self, size: u32, color: Color) -> Vec<u8> {
        let (width, height) = (self.0.width(), self.0.height());
        let side = width.min(height);
        let square = self.0.crop_imm((width - side) / 2, (height - side) / 2, side, side);
        on_white(square, color).resize_exact(size, size, FilterType::Triangle).into_bytes()
    }
}

/// The picture in this colour, on white.
fn on_white(picture: DynamicImage, color: Color) -> DynamicImage {
    let (width, height) = (picture.width(), picture.height());
    match (color, picture.color().has_alpha()) {
        (Color::Grey, false) => picture.into_luma8().into(),
        (Color::Rgb, false) => picture.into_rgb8().into(),
        (Color::Grey, true) => {
            let picture = picture.into_luma_alpha8();
            let pixel = |x, y| {
                let [value, alpha] = picture.get_pixel(x, y).0;
                [above_white(value, alpha)].into()
            };
            GrayImage::from_fn(width, height, pixel).into()
        }
        (Color::Rgb, true) => {
            let picture = picture.into_rgba8();
            let pixel = |x, y| {
                let [red, green, blue, alpha] = picture.get_pixel(x, y).0;
                [red, green, blue].map(|value| above_white(value, alpha)).into()
            };
            RgbImage::from_fn(width, height, pixel).into()
        }
    }
}

/// A value of so much opacity, on white.
fn above_white(value: u8, alpha: u8) -> u8 {
    let [value, alpha] = [value, alpha].map(u32::from);
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}
