//! What a network learned to look for: the weights of its filters.

use crate::drawing::color::{Scale, share};
use crate::drawing::page::{GAP, Page, Picture, ROOM, number};
use anyhow::Result;
use image::{Rgb, RgbImage};
use layers::Model;
use layers::ndarray::{ArrayView3, ArrayView4, ArrayViewD, Axis, Ix2, Ix4};

/// Pixels of a filter, and of one among the rows and columns of many.
const SIDE: u32 = 72;
const SIDE_IN_ROWS: u32 = 24;

/// The most filters that are drawn of a layer, and the most rows of them.
const MOST: usize = 128;
const MOST_ROWS: usize = 24;

/// The filters of every convolution: those on one channel as they are, those on an image in colour in colour, and of the
/// others a row each. Of a dense layer on the image itself, the weights of each output as an image. An empty page where
/// there is neither.
pub fn filters(model: &Model) -> Result<Page> {
    let mut page = Page::default();
    let [rows, columns, channels] = model.network.spec().input;
    let mut is_on_image = true;
    for part in model.network.parts() {
        let Some(weight) = model.parameters.get(&part.name).filter(|weight| weight.ndim() > 1) else {
            continue;
        };
        let ink = Ink::new(&weight, is_on_image && channels == 3);
        if weight.ndim() == 4 {
            convolution(&mut page, &part.name, weight.into_dimensionality::<Ix4>()?, ink);
        } else if is_on_image && [1, 3].contains(&channels) {
            let weight = weight.into_dimensionality::<Ix2>()?;
            let outputs = weight.ncols();
            page.heading(&format!("{}: {outputs} outputs, a weight for each pixel", part.name));
            let weight = weight.to_shape((rows, columns, channels, outputs))?;
            tiles(&mut page, weight.view(), ink, "outputs");
        }
        is_on_image = false;
    }
    Ok(page)
}

/// The filters (kernel row, kernel column, input channel, filter) of a convolution.
fn convolution(page: &mut Page, name: &str, weight: ArrayView4<f32>, ink: Ink) {
    let (rows, columns, inputs, filters) = weight.dim();
    let on = if inputs == 1 { String::new() } else { format!(" on {inputs} channels") };
    page.heading(&format!("{name}: {filters} filters of {rows}×{columns}{on}"));
    if inputs == 1 || ink.is_rgb {
        return tiles(page, weight, ink, "filters");
    }
    page.text("a row for each filter, in it a column for each channel");
    ink.legend(page);
    let width = Picture::new(RgbImage::new(columns as u32, rows as u32), SIDE_IN_ROWS).size()[0];
    let most = ((ROOM + GAP) / (width + GAP)) as usize;
    for filter in weight.axis_iter(Axis(3)).take(MOST_ROWS) {
        let kernels = filter.axis_chunks_iter(Axis(2), 1).take(most);
        page.pictures(kernels.map(|kernel| Picture::new(ink.image(kernel), SIDE_IN_ROWS)).collect());
    }
    page.left_out(MOST_ROWS, filters, "filters");
    page.left_out(most, inputs, "channels");
}

/// One filter beside the other.
fn tiles(page: &mut Page, weight: ArrayView4<f32>, ink: Ink, what: &str) {
    ink.legend(page);
    let filters = weight.axis_iter(Axis(3)).take(MOST);
    page.pictures(filters.map(|filter| Picture::new(ink.image(filter), SIDE)).collect());
    page.left_out(MOST, weight.dim().3, what);
}

/// How the weights of a layer are drawn.
#[derive(Clone, Copy)]
struct Ink {
    largest: f32,
    is_rgb: bool,
}

impl Ink {
    fn new(weight: &ArrayViewD<f32>, is_rgb: bool) -> Self {
        let [least, most] = Scale::of(weight).ends();
        Self { largest: most.max(-least), is_rgb }
    }

    /// Weights (row, column, channel) of one channel, or of red, green and blue.
    fn image(self, weight: ArrayView3<f32>) -> RgbImage {
        let (rows, columns, _) = weight.dim();
        RgbImage::from_fn(columns as u32, rows as u32, |x, y| {
            let weight = |channel| weight[[y as usize, x as usize, channel]];
            match self.is_rgb {
                true => Rgb([0, 1, 2]
                    .map(|channel| (127.5 + 127.5 * share(weight(channel), self.largest)).round() as u8)),
                false => Scale::Signed(self.largest).color(weight(0)),
            }
        })
    }

    fn legend(self, page: &mut Page) {
        if self.is_rgb {
            let largest = number(self.largest);
            page.text(&format!("in colour: grey is 0, dark -{largest}, bright {largest}"));
        } else {
            page.legend(Scale::Signed(self.largest), "");
        }
    }
}
