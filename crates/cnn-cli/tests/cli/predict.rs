use crate::{cnn, command, folder, run};
use image::imageops::{FilterType, resize};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma};
use layers::ndarray::Array4;
use layers::{
    Adam, Augment, Augmentation, Curve, Images, Model, Network, Normalization, Optimizer, Schedule,
    TrainConfig, TrainState, Trainer,
};
use mnist_io::{Dataset, Split, sample};
use std::env;
use std::fs;
use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What the pictures' places, sizes and light follow from.
const SEED: u64 = 20;
const PICTURES: usize = 1000;

/// Random numbers from 0 to 1: a generator by Steele, Lea and Flood (2014).
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    }

    fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }
}

type Ink = ImageBuffer<Luma<f32>, Vec<f32>>;

/// The largest ink around each pixel, or the smallest, up to so many pixels away.
fn morphed(ink: &Ink, reach: i64, largest: bool) -> Ink {
    let (width, height) = ink.dimensions();
    Ink::from_fn(width, height, |x, y| {
        let around = (-reach..=reach).flat_map(|dy| (-reach..=reach).map(move |dx| (dx, dy)));
        let disc = around.filter(|(dx, dy)| dx * dx + dy * dy <= reach * reach);
        let values = disc.map(|(dx, dy)| {
            let (x, y) = (i64::from(x) + dx, i64::from(y) + dy);
            let inside = (0..i64::from(width)).contains(&x) && (0..i64::from(height)).contains(&y);
            if inside { ink.get_pixel(x as u32, y as u32).0[0] } else { 0.0 }
        });
        [values.fold(f32::from(u8::from(!largest)), if largest { f32::max } else { f32::min })].into()
    })
}

/// A digit of MNIST as somebody may have drawn and photographed it.
fn photographed(pixels: &[u8], random: &mut Random) -> (GrayImage, ImageFormat) {
    let digit =
        Ink::from_raw(28, 28, pixels.iter().map(|&pixel| f32::from(pixel) / 255.0).collect()).unwrap();
    // Five pixels for each of MNIST's, with sharp edges.
    let mut ink = resize(&digit, 140, 140, FilterType::CatmullRom);
    ink.pixels_mut().for_each(|pixel| pixel.0[0] = (2.0 * pixel.0[0] - 0.5).clamp(0.0, 1.0));
    match (3.0 * random.unit()) as u32 {
        0 => ink = morphed(&ink, 3, true),
        1 => ink = morphed(&ink, 2, false),
        _ => {}
    }
    let side = (40.0 * 20f32.powf(random.unit())).round() as u32;
    let (width, height) = (side, (side as f32 * random.between(0.75, 1.0)).round() as u32);
    // MNIST leaves a margin; within the picture it may be cut off.
    let size = (height as f32 * random.between(0.5, 1.1)).round() as u32;
    let ink = resize(&ink, size, size, FilterType::Triangle);
    let room = |outer: u32, random: &mut Random| {
        random.between(-0.12 * size as f32, outer as f32 - 0.88 * size as f32)
    };
    let (left, top) = (room(width, random).round() as i64, room(height, random).round() as i64);

    let is_dark_on_light = random.unit() < 0.5;
    let (paper, contrast) = (random.between(170.0, 250.0), random.between(90.0, 150.0));
    let (paper, contrast) = if is_dark_on_light { (paper, -contrast) } else { (255.0 - paper, contrast) };
    let (gradient, direction) = (random.between(0.0, 0.45), random.between(0.0, std::f32::consts::TAU));
    let picture = GrayImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32 - 0.5, y as f32 / height as f32 - 0.5);
        let light =
            1.0 + gradient * (u * direction.cos() + v * direction.sin()) - 0.3 * gradient * (u * u + v * v);
        let (x, y) = (i64::from(x) - left, i64::from(y) - top);
        let inside = (0..i64::from(size)).contains(&x) && (0..i64::from(size)).contains(&y);
        let ink = if inside { ink.get_pixel(x as u32, y as u32).0[0] } else { 0.0 };
        [(light * (paper + contrast * ink) + random.between(-4.0, 4.0)).round() as u8].into()
    });
    let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Jpeg, ImageFormat::Bmp];
    (picture, formats[(4.0 * random.unit()) as usize])
}

fn save(path: &Path, image: &GrayImage, format: ImageFormat) {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image.clone()).write_to(&mut bytes, format).unwrap();
    fs::write(path, bytes.into_inner()).unwrap();
}

/// The test images of all of MNIST where it is, else of the sample; and `m.safetensors`, which learned from its training
/// images for some seconds.
fn digits(folder: &TempDir) -> Dataset {
    let mnist = env::var_os("MNIST_DIR").map(PathBuf::from);
    let load = |split, sample: fn() -> mnist_io::Result<Dataset>| {
        mnist.as_ref().map_or_else(sample, |mnist| Dataset::load(mnist, split)).unwrap()
    };
    train(&load(Split::Train, sample::train), &folder.path().join("m.safetensors"));
    let test = load(Split::Test, sample::test);
    let step = test.len() / PICTURES;
    test.subset(&(0..PICTURES).map(|i| i * step).collect::<Vec<_>>()).unwrap()
}

/// Learns from 60,000 looks at images.
fn train(images: &Dataset, path: &Path) {
    let count = images.len().min(60_000);
    let mut x = Array4::zeros((count, 28, 28, 1));
    for (x, i) in x.outer_iter_mut().zip(0..) {
        let pixels = images.image(i).iter().map(|&pixel| f32::from(pixel) / 255.0);
        x.into_iter().zip(pixels).for_each(|(x, pixel)| *x = pixel);
    }
    let labels: Vec<_> = (0..count).map(|i| images.label(i)).collect();
    let samples = Images::new(x.view(), &labels).unwrap();
    let spec = "conv 16 5x5 relu, maxpool 2, conv 32 3x3 relu, maxpool 2, dense 64 relu, dense 10";
    let network = Network::new(&spec.parse().unwrap()).unwrap();
    let config = TrainConfig {
        epochs: 60_000 / count,
        batch_size: 32,
        optimizer: Optimizer::Adam(Adam { learning_rate: 0.004, ..Adam::default() }),
        schedule: Schedule {
            curve: Curve::OneCycle { rise: 0.2, first: 0.1, last: 0.01 },
            ..Schedule::default()
        },
        augmentation: Augmentation::new([
            Augment::Rotate { degrees: 10.0 },
            Augment::Scale { factor: 0.15 },
            Augment::Shift { pixels: 1.0 },
        ]),
        ..TrainConfig::default()
    };
    let state = TrainState::new(&config, network.initial_parameters(0)).unwrap();
    let mut trainer = Trainer::new(&network, config, &samples, None, state).unwrap();
    trainer.run(|_, _| ControlFlow::Continue(())).unwrap();
    let parameters = trainer.into_state().into_result();
    let normalization = Normalization { mean: 0.0, std: 1.0 };
    Model { network, parameters, normalization, class_names: Vec::new() }.save(path).unwrap();
}

/// How many of the pictures in a folder, named by their places, are recognised.
fn recognised(folder: &TempDir, pictures: &str, digits: &Dataset) -> usize {
    let run = cnn(folder, &format!("predict m.safetensors {pictures} --json"));
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), PICTURES);
    lines
        .iter()
        .enumerate()
        .filter(|(i, line)| line["label"].as_str() == Some(&digits.label(*i).to_string()))
        .count()
}

#[test]
fn drawn_and_photographed_digits() {
    let folder = folder();
    let digits = digits(&folder);
    let mut random = Random(SEED);
    for name in ["clean", "photographed"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for i in 0..digits.len() {
        let clean = GrayImage::from_raw(28, 28, digits.image(i).to_vec()).unwrap();
        save(&folder.path().join(format!("clean/{i:04}.png")), &clean, ImageFormat::Png);
        let (picture, format) = photographed(digits.image(i), &mut random);
        let extension = format.extensions_str()[0];
        save(&folder.path().join(format!("photographed/{i:04}.{extension}")), &picture, format);
    }
    let clean = recognised(&folder, "clean --prepare none", &digits);
    let photographed = recognised(&folder, "photographed", &digits);
    // A network that saw all of MNIST knows digits of other thickness than these; one that saw a sixtieth does so less.
    let share = if env::var_os("MNIST_DIR").is_some() { 0.015 } else { 0.04 };
    assert!(
        photographed as f64 >= clean as f64 - share * PICTURES as f64,
        "of {PICTURES}: {clean} clean, {photographed} photographed; seed {SEED}"
    );
}

/// A picture whose pixels are a function of column and row.
fn picture(folder: &TempDir, name: &str, [width, height]: [u32; 2], pixel: impl Fn(u32, u32) -> u8) {
    let image = GrayImage::from_fn(width, height, |x, y| [pixel(x, y)].into());
    save(&folder.path().join(name), &image, ImageFormat::Png);
}

/// A dark bar on paper.
fn bar(x: u32, y: u32) -> u8 {
    if (30..36).contains(&x) && (10..70).contains(&y) { 30 } else { 230 }
}

/// A model of random weights.
fn model(folder: &TempDir, name: &str, network: &str, class_names: &[&str]) {
    let network = Network::new(&network.parse().unwrap()).unwrap();
    let parameters = network.initial_parameters(1);
    let class_names = class_names.iter().map(|&name| name.to_owned()).collect();
    let normalization = Normalization { mean: 0.5, std: 1.0 };
    Model { network, parameters, normalization, class_names }.save(&folder.path().join(name)).unwrap();
}

#[test]
fn what_is_shown() {
    let folder = folder();
    model(&folder, "m", "28x28x1: dense 10", &[]);
    picture(&folder, "one.png", [80, 80], bar);
    let output = cnn(&folder, "predict m one.png");
    let lines: Vec<_> = output.stdout.lines().collect();
    // The name, 14 lines of two pixels, a blank one; three bars beside the middle.
    assert_eq!(
        (output.code, lines.len(), lines[0], lines[15]),
        (Some(0), 16, "one.png", ""),
        "{}",
        output.stdout
    );
    assert_eq!(lines.iter().filter(|line| line.ends_with(" %")).count(), 3);
    assert!(!output.stdout.contains('\x1b') && lines[7].contains('@'), "{}", output.stdout);

    let json = cnn(&folder, "predict m one.png --json").stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let probabilities: Vec<f64> =
        json["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).collect();
    let largest = probabilities.iter().copied().fold(0.0, f64::max);
    assert!(
        (probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-5 && json["probability"] == largest,
        "{json}"
    );
    assert!(json["file"] == "one.png" && json.as_object().unwrap().len() == 4, "{json}");
    let label: usize = json["label"].as_str().unwrap().parse().unwrap();
    assert_eq!(probabilities[label], largest);

    let bytes = fs::read(folder.path().join("one.png")).unwrap();
    let piped = run(command(&folder).args(["predict", "m", "-", "--json"]).write_stdin(bytes));
    let piped: serde_json::Value = serde_json::from_str(&piped.stdout).unwrap();
    assert_eq!((&piped["file"], &piped["probabilities"]), (&"-".into(), &json["probabilities"]));
}

#[test]
fn what_looks_like_no_digit() {
    let folder = folder();
    model(&folder, "m", "28x28x1: dense 10", &[]);
    picture(&folder, "blank.png", [50, 40], |_, _| 200);
    picture(&folder, "faint.png", [80, 80], |x, y| 200 - (230 - bar(x, y)) / 16);
    picture(&folder, "blot.png", [90, 90], |x, y| {
        if (20..60).contains(&x) && (20..65).contains(&y) { 0 } else { 255 }
    });
    picture(&folder, "line.png", [90, 90], |x, y| {
        if (10..80).contains(&x) && (40..44).contains(&y) { 0 } else { 255 }
    });
    for (name, expected) in [
        ("blank.png", "nothing stands out from the background"),
        ("faint.png", "hardly any contrast"),
        ("blot.png", "more ink than a digit has"),
        ("line.png", "wider than a digit"),
    ] {
        let run = cnn(&folder, &format!("predict m {name} --json"));
        let warning = format!("warning: {name}: looks like no digit: {expected}\n");
        assert_eq!((run.code, run.stderr, run.stdout.lines().count()), (Some(0), warning, 1));
    }
    picture(&folder, "one.png", [80, 80], bar);
    let run = cnn(&folder, "predict m one.png --json");
    assert!(
        run.stderr.starts_with("warning: one.png: not sure: "),
        "a network of random weights: {}",
        run.stderr
    );
}

#[test]
fn models_of_other_images() {
    let folder = folder();
    model(&folder, "pets", "6x6x3: dense 2", &["cat", "dog"]);
    picture(&folder, "a.png", [80, 50], bar);
    let output = cnn(&folder, "predict pets a.png --json").stdout;
    assert!(output.contains(r#""label":"cat""#) || output.contains(r#""label":"dog""#), "{output}");
    cnn(&folder, "predict pets a.png --prepare digit")
        .expect_failure(&["expected a model of 28×28×1, found 6×6×3"]);
    cnn(&folder, "predict pets a.png --prepare none")
        .expect_failure(&["a.png: expected 6×6 pixels", "found 80×50"]);
    model(&folder, "wide", "4x9x1: dense 2", &[]);
    cnn(&folder, "predict wide a.png").expect_failure(&["a.png: expected 9×4 pixels", "found 80×50"]);
    cnn(&folder, "predict wide a.png --prepare square")
        .expect_failure(&["expected a model of square images"]);
    picture(&folder, "b.png", [9, 4], bar);
    assert_eq!(cnn(&folder, "predict wide b.png --json").code, Some(0));
    model(&folder, "deep", "4x4x2: dense 2", &[]);
    cnn(&folder, "predict deep a.png").expect_failure(&["expected a model of images with 1 or 3 channels"]);
}

#[test]
fn what_cannot_be_read() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    model(&folder, "m", "28x28x1: dense 10", &[]);
    picture(&folder, "one.png", [80, 80], bar);
    fs::write(path("text"), "not a model, but longer than eight bytes").unwrap();
    cnn(&folder, "predict nowhere one.png").expect_failure(&["nowhere: No such file"]);
    cnn(&folder, "predict text one.png").expect_failure(&["text: expected a model in safetensors format"]);
    cnn(&folder, "predict m nowhere.png").expect_failure(&["nowhere.png: No such file"]);
    cnn(&folder, "predict m text").expect_failure(&["text: expected a PNG, JPEG or BMP picture"]);
    let run = run(command(&folder).args(["predict", "m", "-"]).write_stdin("text"));
    run.expect_failure(&["standard input: expected a PNG, JPEG or BMP picture"]);
    fs::create_dir(path("empty")).unwrap();
    cnn(&folder, "predict m empty").expect_failure(&["empty: expected pictures in the folder, found none"]);
    assert_eq!(cnn(&folder, "predict m").code, Some(2));

    // Of several, the others are still told.
    let run = cnn(&folder, "predict m one.png text one.png --json");
    assert_eq!((run.code, run.stdout.lines().count()), (Some(1), 2));
    assert!(run.stderr.contains("warning: text: expected a PNG, JPEG or BMP picture"), "{}", run.stderr);
    assert!(run.stderr.ends_with("error: 1 of 3 pictures could not be read\n"), "{}", run.stderr);
}

#[test]
#[cfg(target_os = "linux")]
fn nobody_reads_and_a_full_disk() {
    use std::process::Stdio;
    let folder = folder();
    model(&folder, "m", "28x28x1: dense 10", &[]);
    picture(&folder, "one.png", [80, 80], bar);
    let predict = || {
        let mut predict = std::process::Command::new(command(&folder).get_program());
        predict.args(["predict", "m", "one.png", "one.png"]).current_dir(&folder).stderr(Stdio::piped());
        predict
    };
    let mut child = predict().stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = predict().stdout(full).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && error.contains("error: standard output: "), "{error}");
}
