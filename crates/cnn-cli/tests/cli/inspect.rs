use crate::{cnn, folder, names};
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use layers::{Model, Network, Normalization, Parameters};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A model of random weights, or of those that `change` makes of them.
fn model(folder: &TempDir, name: &str, network: &str, change: impl FnOnce(&mut Parameters)) {
    let network = Network::new(&network.parse().unwrap()).unwrap();
    let mut parameters = network.initial_parameters(1);
    change(&mut parameters);
    let normalization = Normalization { mean: 0.5, std: 1.0 };
    let class_names = Vec::new();
    Model { network, parameters, normalization, class_names }.save(&folder.path().join(name)).unwrap();
}

/// Numbers for a part, in the order row, column, input, output.
fn set(parameters: &mut Parameters, name: &str, values: &[f32]) {
    parameters.get_mut(name).unwrap().iter_mut().zip(values).for_each(|(to, from)| *to = *from);
}

fn picture(folder: &TempDir, name: &str, [width, height]: [u32; 2]) {
    let image = GrayImage::from_fn(width, height, |x, y| [(40 * x + 10 * y) as u8].into());
    DynamicImage::from(image).save_with_format(folder.path().join(name), ImageFormat::Png).unwrap();
}

fn sheet(path: &Path) -> RgbImage {
    image::open(path).unwrap().to_rgb8()
}

/// How many squares of 2×2 cells, so many pixels wide, have these colours from left to right and from top to bottom: as many as
/// a cell has pixels, where there is one such square.
fn matches(sheet: &RgbImage, cell: u32, colors: [[u8; 3]; 4]) -> usize {
    let (width, height) = sheet.dimensions();
    let places = (0..height - cell).flat_map(|y| (0..width - cell).map(move |x| (x, y)));
    let is_square = |&(x, y): &(u32, u32)| {
        let corners = [(x, y), (x + cell, y), (x, y + cell), (x + cell, y + cell)];
        corners.into_iter().zip(colors).all(|((x, y), color)| sheet.get_pixel(x, y).0 == color)
    };
    places.filter(is_square).count()
}

const BLUE: [u8; 3] = [0x1f, 0x5f, 0xa8];
const WHITE: [u8; 3] = [255; 3];
const ORANGE: [u8; 3] = [0xd9, 0x5f, 0x02];
const HALF_ORANGE: [u8; 3] = [0xec, 0xaf, 0x81];

#[test]
fn filters_have_the_colours_of_their_weights() {
    let folder = folder();
    let path = folder.path().join("sheet.png");
    model(&folder, "m", "4x4: conv 1 2x2 nobias, dense 2", |parameters| {
        set(parameters, "0.weight", &[0.8, -0.8, 0.0, 0.4]);
    });
    let output = cnn(&folder, "inspect m -o sheet.png").expect_success();
    assert_eq!(matches(&sheet(&path), 24, [ORANGE, BLUE, WHITE, HALF_ORANGE]), 24 * 24);
    let (width, height) = sheet(&path).dimensions();
    assert!(output.ends_with(&format!("\nm → sheet.png: {width}×{height} pixels\n")), "{output}");
    assert!(output.contains("conv 1 2x2 nobias") && output.contains("parameters"), "{output}");

    // Two filters on two channels: in the row of the second, the first channel comes first.
    model(&folder, "deep", "4x4x2: conv 2 1x1 nobias, dense 2", |parameters| {
        set(parameters, "0.weight", &[0.0, -1.0, 0.5, 1.0]);
    });
    cnn(&folder, "inspect deep -o sheet.png --force").expect_success();
    // A kernel of one number is 24 pixels wide; from one to the next there are 30 across and 32 down.
    let deep = sheet(&path);
    let is_kernel = |x: u32, y: u32, color| (0..24).all(|i| deep.get_pixel(x + i, y + i).0 == color);
    let rows = (0..deep.height() - 56).filter(|&y| {
        is_kernel(24, y, WHITE)
            && is_kernel(54, y, HALF_ORANGE)
            && is_kernel(24, y + 32, BLUE)
            && is_kernel(54, y + 32, ORANGE)
    });
    assert_eq!(rows.count(), 1);

    // On an image in colour: no red, half of the green, all of the blue.
    model(&folder, "rgb", "2x2x3: conv 1 1x1 nobias, dense 2", |parameters| {
        set(parameters, "0.weight", &[-1.0, 0.0, 1.0]);
    });
    cnn(&folder, "inspect rgb -o sheet.png --force").expect_success();
    let colored = sheet(&path).pixels().filter(|pixel| pixel.0 == [0, 128, 255]).count();
    assert_eq!(colored, 24 * 24);
}

/// The filter gives the pixel itself, so the windows choose the brightest one of each.
#[test]
fn choices_are_marked_on_what_was_pooled() {
    let folder = folder();
    model(&folder, "m", "4x2: conv 1 1x1 nobias, maxpool 2, dense 2", |parameters| {
        set(parameters, "0.weight", &[1.0]);
    });
    let image = GrayImage::from_raw(2, 4, vec![0, 255, 51, 102, 10, 20, 204, 30]).unwrap();
    DynamicImage::from(image).save_with_format(folder.path().join("a.png"), ImageFormat::Png).unwrap();
    cnn(&folder, "inspect m a.png -o sheet.png").expect_success();
    let sheet = sheet(&folder.path().join("sheet.png"));
    let marks: Vec<_> = sheet
        .enumerate_pixels()
        .filter(|pixel| pixel.2.0 == [0xff, 0x7f, 0x0e])
        .map(|(x, y, _)| (x, y))
        .collect();
    // Two marks of 12×12 pixels in cells of 24: in the right column of row 0, and in the left one of row 3.
    let (x, y) = marks[0];
    let mark = |x: u32, y: u32| (0..12).flat_map(move |dy| (0..12).map(move |dx| (x + dx, y + dy)));
    assert!(marks == mark(x, y).chain(mark(x - 24, y + 72)).collect::<Vec<_>>());
    // Around the first one, what was pooled: white, and left of it black.
    assert_eq!([sheet.get_pixel(x - 1, y).0, sheet.get_pixel(x - 24, y).0], [[255; 3], [0; 3]]);
}

/// Blocks, colour, a single pixel, no maps, no row of numbers short enough for a line.
#[test]
fn every_network_has_a_sheet() {
    let folder = folder();
    for (network, size) in [
        ("28x28: conv 8 3x3, maxpool 2, dense 10", [28, 28]),
        (
            "32x32x3: conv 4 3x3 relu, maxpool 2, conv 40 3x3 batchnorm relu, dropout 0.5, dense 1000, dense 3",
            [32, 32],
        ),
        (
            "8x8: residual(conv 4 3 same relu, conv 4 3 same | conv 4 1) relu, minpool 3 stride 1, globalavgpool, dense 2 softmax",
            [8, 8],
        ),
        ("1x1x3: dense 2", [1, 1]),
        ("1x1: conv 1 1x1, maxpool 1, flatten", [1, 1]),
        ("1x2000: conv 1 1x900, avgpool 1x9, dense 2", [2000, 1]),
        ("6x6: flatten, softmax", [6, 6]),
    ] {
        model(&folder, "m", network, |_| ());
        picture(&folder, "a.png", size);
        for arguments in ["m", "m a.png", "m a.png --class 0"] {
            let output = cnn(&folder, &format!("inspect {arguments} --prepare auto -o sheet.png --force"));
            assert_eq!(output.code, Some(0), "{network}: {}", output.stderr);
            let (width, height) = sheet(&folder.path().join("sheet.png")).dimensions();
            assert!(
                width == 1200 && output.stdout.contains(&format!("{width}×{height} pixels")),
                "{network}"
            );
        }
    }
}

#[test]
fn svg_needs_nothing_else() {
    let folder = folder();
    model(&folder, "m", "28x28: conv 8 3x3, maxpool 2, dense 10", |_| ());
    let output = cnn(&folder, "inspect m --sample 3 --class 7 -o sheet.svg").expect_success();
    let svg = fs::read_to_string(folder.path().join("sheet.svg")).unwrap();
    for text in [
        ">m: 28x28x1: conv 8 3x3, maxpool 2, dense 10<",
        ">Grad-CAM<",
        "gradient for 7",
        ">layer 1: maxpool 2: 13×13×8<",
    ] {
        assert!(svg.contains(text), "no {text}");
    }
    assert_eq!(svg.matches("http").count(), 1, "the name of the format alone");
    assert!(output.contains("\ntest image 3, a ") && output.contains(" %, "), "{output}");
}

#[test]
fn without_a_sheet_it_prints() {
    let folder = folder();
    model(&folder, "m", "28x28: conv 8 3x3, maxpool 2, dense 10", |_| ());
    let output = cnn(&folder, "inspect m").expect_success();
    assert!(output.contains("13×13×8") && output.contains("-o SHEET.png"), "{output}");
    let output = cnn(&folder, "inspect m --sample 0").expect_success();
    assert!(output.contains("\ntest image 0, a "), "{output}");
    assert_eq!(names(folder.path()), ["m"]);
}

#[test]
fn what_cannot_be_inspected() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    model(&folder, "m", "28x28: conv 2 3x3, dense 10", |_| ());
    model(&folder, "small", "5x5: dense 10", |_| ());
    model(&folder, "map", "5x5: conv 2 3x3", |_| ());
    model(&folder, "deep", "5x5x2: dense 10", |_| ());
    picture(&folder, "a.png", [28, 28]);
    picture(&folder, "five.png", [5, 5]);
    fs::write(path("text"), "no model and no picture, but longer than eight bytes").unwrap();
    fs::write(path("there.png"), "mine").unwrap();
    let before = names(folder.path());
    for (arguments, expected) in [
        ("nowhere", "nowhere: No such file"),
        ("text", "text: expected a model in safetensors format"),
        ("m nowhere.png", "nowhere.png"),
        ("m text", "text"),
        (
            "m a.png --class 10 -o s.png",
            "expected a class, one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, found \"10\"",
        ),
        ("m a.png --class seven", "found \"seven\""),
        ("m --sample 1000", "--sample: expected a number below 1000, the test images, found 1000"),
        ("m --sample 0 --data-dir nowhere", "nowhere: no such folder"),
        ("small --sample 0", "expected images of 5×5×1, found 28×28×1"),
        ("map five.png", "the network ends in a 3×3×2 map"),
        ("deep five.png", "expected a model of images with 1 or 3 channels, found 5×5×2"),
        ("m -o there.png", "there.png: it is there already; --force replaces it"),
        ("m -o nowhere/s.png", "nowhere: no such folder"),
    ] {
        cnn(&folder, &format!("inspect {arguments}")).expect_failure(&[expected]);
        assert_eq!(names(folder.path()), before, "{arguments}");
    }
    fs::copy(path("m"), path("m.png")).unwrap();
    cnn(&folder, "inspect m.png -o m.png --force").expect_failure(&["m.png: it is the model itself"]);
    assert_eq!(fs::read(path("there.png")).unwrap(), b"mine");
    cnn(&folder, "inspect m -o there.png --force").expect_success();
    assert!(sheet(&path("there.png")).width() == 1200);
}
