//! What a network makes of one image, and where in it the answer comes from.

use crate::drawing::color::{MARK, Scale, range, share};
use crate::drawing::page::{Page, Picture, ROOM, number};
use anyhow::Result;
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma, Rgb, RgbImage};
use layers::ndarray::{Array2, ArrayView2, ArrayView3, Axis, Ix3};
use layers::{Layer, Trace};

/// Pixels of the image, of a feature map, and of one on which choices are marked.
const IMAGE: u32 = 256;
const MAP: u32 = 80;
const CHOICES: u32 = 160;

/// The most channels of a layer that are drawn, and with choices.
const MOST: usize = 64;
const MOST_CHOICES: usize = 12;

/// Characters of a class's name.
const LONGEST_NAME: usize = 12;

/// A row of numbers is drawn in lines of so many, up to the most.
const NUMBERS_A_LINE: usize = 48;
const CELL: u32 = ROOM / NUMBERS_A_LINE as u32;
const MOST_NUMBERS: usize = 10 * NUMBERS_A_LINE;

/// The image as the network sees it, where in it what speaks for a class is found (Grad-CAM), and how much each pixel
/// moves the logit of that class.
pub fn saliency(trace: &Trace, image: &RgbImage, class: usize, name: &str) -> Result<Page> {
    let mut page = Page::default();
    let mut pictures = vec![Picture::new(image.clone(), IMAGE).with_name("input")];
    let cam = trace.grad_cam(class)?;
    if let Some(cam) = &cam {
        let size = pictures[0].size();
        pictures
            .push(Picture::new(overlaid(image, &cam.map, size), size[0].max(size[1])).with_name("Grad-CAM"));
    }
    let gradients = trace.gradients(class)?.image;
    let gradient = match gradients.dim().2 {
        1 => gradients.index_axis(Axis(2), 0).to_owned(),
        _ => gradients
            .map_axis(Axis(2), |channels| channels.iter().fold(0.0, |most: f32, g| most.max(g.abs()))),
    };
    let scale = Scale::of(&gradient);
    pictures.push(Picture::new(colored(gradient.view(), scale), IMAGE).with_name("gradient"));
    page.pictures(pictures);
    if let Some(cam) = cam {
        let layer = &trace.network().spec().layers[cam.layer];
        let what = format!("Grad-CAM for {name}, at layer {} ({})", cam.layer, layer.kind());
        page.legend(Scale::of(&cam.map), &what);
    }
    let of = if gradients.dim().2 == 1 { "" } else { ", of the channels the largest" };
    page.legend(scale, &format!("gradient for {name}{of}"));
    Ok(page)
}

/// What each layer gives, and before it what a pooling chose. The last layer's numbers stand over the names of the classes.
pub fn feature_maps(trace: &Trace, names: &[String]) -> Result<Page> {
    let mut page = Page::default();
    let layers = &trace.network().spec().layers;
    for (layer, settings) in layers.iter().enumerate() {
        let output = trace.output(layer);
        let shape: Vec<_> = output.shape().iter().map(ToString::to_string).collect();
        page.heading(&format!("layer {layer}: {settings}: {}", shape.join("×")));
        if matches!(settings, Layer::Flatten(_) | Layer::Dropout(_)) {
            page.text("the same numbers as before");
            continue;
        }
        if let Some(chosen) = trace.chosen(layer)? {
            choices(&mut page, trace.input(layer).into_dimensionality::<Ix3>()?, chosen.view());
        }
        let scale = Scale::of(&output);
        let [least, most] = range(&output).map(number);
        page.legend(scale, &format!("values from {least} to {most}"));
        match output.view().into_dimensionality::<Ix3>() {
            Ok(maps) => {
                let maps = maps.axis_iter(Axis(2)).take(MOST);
                page.pictures(maps.map(|map| Picture::new(colored(map, scale), MAP)).collect());
                page.left_out(MOST, output.shape()[2], "channels");
            }
            Err(_) if layer + 1 == layers.len() && output.len() == names.len() => {
                let class = |(value, name): (&f32, &String)| {
                    let name: String = name.chars().take(LONGEST_NAME).collect();
                    Picture::new(RgbImage::from_pixel(1, 1, scale.color(*value)), CELL).with_name(name)
                };
                page.pictures(output.iter().zip(names).take(MOST_NUMBERS).map(class).collect());
                page.left_out(MOST_NUMBERS, output.len(), "classes");
            }
            Err(_) => {
                let values: Vec<_> = output.iter().take(MOST_NUMBERS).copied().collect();
                for line in values.chunks(NUMBERS_A_LINE) {
                    let line = ArrayView2::from_shape((1, line.len()), line)?;
                    let image = colored(line, scale);
                    page.pictures(vec![Picture::new(image, CELL * line.len() as u32)]);
                }
                page.left_out(MOST_NUMBERS, output.len(), "numbers");
            }
        }
    }
    Ok(page)
}

/// What the windows of a pooling chose, marked on what was pooled.
fn choices(page: &mut Page, maps: ArrayView3<f32>, chosen: ArrayView3<f32>) {
    let (rows, columns, channels) = maps.dim();
    let (width, height) = (columns as u32, rows as u32);
    // A mark is half as wide as a value, so that what is marked can still be seen.
    let cell = (CHOICES / width.max(height)).clamp(3, 24);
    if width * cell > ROOM {
        return page.text("too large to mark what the windows chose");
    }
    page.text("what the windows chose, marked on what they saw:");
    let marked = |channel: usize| {
        let [least, most] = range(maps.index_axis(Axis(2), channel));
        RgbImage::from_fn(width * cell, height * cell, |x, y| {
            let place = [(y / cell) as usize, (x / cell) as usize, channel];
            let border = (cell / 4).max(1);
            let inner = |n: u32| (border..cell - border).contains(&(n % cell));
            if chosen[place] > 0.0 && inner(x) && inner(y) {
                return MARK;
            }
            Rgb([(255.0 * share(maps[place] - least, most - least)).round() as u8; 3])
        })
    };
    let shown = (0..channels.min(MOST_CHOICES)).map(marked);
    page.pictures(shown.map(|image| Picture::new(image, (width * cell).max(height * cell))).collect());
    page.left_out(MOST_CHOICES, channels, "channels");
}

fn colored(values: ArrayView2<f32>, scale: Scale) -> RgbImage {
    let (rows, columns) = values.dim();
    RgbImage::from_fn(columns as u32, rows as u32, |x, y| scale.color(values[[y as usize, x as usize]]))
}

/// A map of a few positions over the image, in so many pixels.
fn overlaid(image: &RgbImage, map: &Array2<f32>, [width, height]: [u32; 2]) -> RgbImage {
    let (rows, columns) = map.dim();
    let map = ImageBuffer::<Luma<f32>, _>::from_fn(columns as u32, rows as u32, |x, y| {
        Luma([map[[y as usize, x as usize]]])
    });
    let scale = Scale::of(map.as_raw());
    let map = resize(&map, width, height, FilterType::Triangle);
    let image = resize(image, width, height, FilterType::Nearest);
    RgbImage::from_fn(width, height, |x, y| {
        let (over, under) = (scale.color(map.get_pixel(x, y).0[0]), image.get_pixel(x, y));
        Rgb(std::array::from_fn(|i| ((3 * u16::from(over.0[i]) + 2 * u16::from(under.0[i])) / 5) as u8))
    })
}
