//! What augmentation does to an image, and what it refuses.

use layers::{Augment, Augmentation, Error};
use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

const SHIFT: Augment = Augment::Shift { pixels: 2.0 };
const ROTATE: Augment = Augment::Rotate { degrees: 15.0 };
const SCALE: Augment = Augment::Scale { factor: 0.1 };
const SHEAR: Augment = Augment::Shear { degrees: 10.0 };
const ELASTIC: Augment = Augment::Elastic { pixels: 1.4, smoothness: 4.0 };
const CUTOUT: Augment = Augment::Cutout { rows: 3, columns: 4 };

const SHAPES: [[usize; 3]; 7] =
    [[28, 28, 1], [12, 17, 1], [9, 8, 3], [5, 6, 2], [1, 9, 1], [9, 1, 3], [1, 1, 1]];

/// Numbers from 1 to 18, so that nothing is 0.
fn image(shape: [usize; 3]) -> Vec<f32> {
    (0..shape.iter().product()).map(|i: usize| (i * i % 17 + i % 2 + 1) as f32).collect()
}

fn augmented(steps: &[Augment], shape: [usize; 3], seed: u64, mut image: Vec<f32>) -> Vec<f32> {
    let augmentation = Augmentation::new(steps.iter().copied());
    let mut scratch = vec![f32::NAN; augmentation.scratch(shape)];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    augmentation.apply(shape, &mut rng, &mut image, &mut scratch);
    image
}

#[test]
fn settings_of_zero_change_no_bit() {
    let none = [
        Augment::Shift { pixels: 0.0 },
        Augment::Rotate { degrees: 0.0 },
        Augment::Scale { factor: 0.0 },
        Augment::Shear { degrees: 0.0 },
        Augment::Cutout { rows: 0, columns: 3 },
    ];
    let elastic = [Augment::Elastic { pixels: 0.0, smoothness: 4.0 }];
    for steps in [&[], &none[..], &elastic, &[none[0], elastic[0], none[1]]] {
        for shape in SHAPES {
            let image: Vec<f32> = image(shape).into_iter().map(|value| (value - 6.0) / 7.3).collect();
            let found = augmented(steps, shape, 1, image.clone());
            let bits = |image: &[f32]| image.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&image), "{steps:?}, {shape:?}");
        }
    }
}

#[test]
fn values_stay_within_the_images_range() {
    let all = [SHIFT, Augment::Flip, ROTATE, ELASTIC, SCALE, SHEAR];
    for shape in SHAPES {
        for seed in 0..50 {
            let image = image(shape);
            let (low, high) =
                (image.iter().copied().fold(f32::MAX, f32::min), image.iter().copied().fold(0.0, f32::max));
            let found = augmented(&all, shape, seed, image);
            let within = |value: &f32| (low - 1e-5..high + 1e-5).contains(value);
            assert!(found.iter().all(within), "seed {seed}, {shape:?}: {found:?}");
        }
    }
}

#[test]
fn a_flat_image_stays_exactly_flat() {
    for seed in 0..50 {
        let found =
            augmented(&[ROTATE, SHIFT, SCALE, SHEAR, ELASTIC], [12, 17, 1], seed, vec![-0.4242; 12 * 17]);
        assert!(found.iter().all(|&value| value == -0.4242), "seed {seed}: {found:?}");
    }
}

/// Each channel becomes what it would alone.
#[test]
fn channels_move_together() {
    let steps = [SHIFT, ROTATE, ELASTIC, Augment::Flip, SCALE, CUTOUT];
    for (channels, seed) in [(2, 1), (3, 2), (3, 3), (5, 4)] {
        let shape = [9, 11, channels];
        let (image, plane) = (image(shape), [9, 11, 1]);
        let found = augmented(&steps, shape, seed, image.clone());
        for channel in 0..channels {
            let of =
                |image: &[f32]| image.iter().skip(channel).step_by(channels).copied().collect::<Vec<_>>();
            let alone = augmented(&steps, plane, seed, of(&image));
            assert_eq!(of(&found), alone, "seed {seed}, channel {channel} of {channels}");
        }
    }
}

#[test]
fn half_of_the_images_are_flipped() {
    let (shape, draws) = ([3, 5, 2], 2000);
    let image = image(shape);
    let mirror = |line: &[f32]| line.chunks(2).rev().flatten().copied().collect::<Vec<_>>();
    let mirrored: Vec<f32> = image.chunks(10).flat_map(mirror).collect();
    assert_ne!(image, mirrored);
    let flips = (0..draws).filter(|&seed| {
        let found = augmented(&[Augment::Flip], shape, seed, image.clone());
        assert!(found == image || found == mirrored, "seed {seed}: {found:?}");
        found == mirrored
    });
    let flips = flips.count();
    assert!((900..1100).contains(&flips), "{flips} of {draws}");
}

/// Everything else is as without the cutout, even where that is listed first; each place is reached.
#[test]
fn a_cutout_is_one_rectangle_of_its_size() {
    for (shape, rows, columns) in [([6, 7, 1], 2, 3), ([6, 7, 3], 6, 1), ([4, 5, 2], 4, 5), ([5, 5, 1], 1, 1)]
    {
        let [image_rows, image_columns, channels] = shape;
        let mut places = std::collections::BTreeSet::new();
        for seed in 0..500 {
            let steps = [Augment::Cutout { rows, columns }, SHIFT];
            let (before, found) = (
                augmented(&steps[1..], shape, seed, image(shape)),
                augmented(&steps, shape, seed, image(shape)),
            );
            let first = found.iter().position(|&value| value == 0.0).unwrap() / channels;
            let (top, left) = (first / image_columns, first % image_columns);
            places.insert((top, left));
            for (index, (&value, &before)) in found.iter().zip(&before).enumerate() {
                let (row, column) = (index / channels / image_columns, index / channels % image_columns);
                let cut = (top..top + rows).contains(&row) && (left..left + columns).contains(&column);
                assert_eq!(
                    value,
                    if cut { 0.0 } else { before },
                    "seed {seed}, {shape:?} at {row}, {column}"
                );
            }
        }
        assert_eq!(
            places.len(),
            (image_rows - rows + 1) * (image_columns - columns + 1),
            "{shape:?}: {places:?}"
        );
    }
}

/// Where a soft dot goes, (down, right) of the image's centre, by its centre of gravity.
fn moved(steps: &[Augment], seed: u64, [down, right]: [f32; 2]) -> [f32; 2] {
    let size = 41;
    let place = |index: usize| [index / size, index % size].map(|i| i as f32 - 20.0);
    let dot = |[y, x]: [f32; 2]| (-((y - down).powi(2) + (x - right).powi(2)) / 8.0).exp();
    let image = augmented(steps, [size, size, 1], seed, (0..size * size).map(|i| dot(place(i))).collect());
    let total: f32 = image.iter().sum();
    [0, 1].map(|axis| image.iter().enumerate().map(|(i, value)| place(i)[axis] * value).sum::<f32>() / total)
}

#[test]
fn a_dot_goes_where_the_change_moves_it() {
    for seed in 0..100 {
        let [down, right] = moved(&[ROTATE], seed, [-12.0, 0.0]);
        assert!((down.hypot(right) - 12.0).abs() < 0.1, "seed {seed}, turned: {down}, {right}");
        assert!((right / down).atan().to_degrees().abs() < 15.2, "seed {seed}, turned: {down}, {right}");
        let [down, right] = moved(&[SCALE], seed, [-8.0, 8.0]);
        assert!((down + right).abs() < 0.1, "seed {seed}, scaled: {down}, {right}");
        assert!((7.1..8.9).contains(&right), "seed {seed}, scaled: {down}, {right}");
        let [down, right] = moved(&[SHEAR], seed, [-12.0, 0.0]);
        assert!((down + 12.0).abs() < 0.1 && right.abs() < 2.2, "seed {seed}, slanted: {down}, {right}");
        let [down, right] = moved(&[SHIFT], seed, [0.0, 0.0]);
        assert!(down.abs() < 2.05 && right.abs() < 2.05, "seed {seed}, shifted: {down}, {right}");
    }
}

/// A dot in the centre stays there when it is turned first, and a shift then leaves it in a square; turned afterwards,
/// it can leave the square.
#[test]
fn changes_act_in_the_lists_order() {
    let (shift, rotate) = (Augment::Shift { pixels: 6.0 }, Augment::Rotate { degrees: 180.0 });
    let outside = |steps: &[Augment]| {
        let beyond = |&seed: &u64| moved(steps, seed, [0.0, 0.0]).into_iter().any(|value| value.abs() > 6.1);
        (0..200).filter(beyond).count()
    };
    assert_eq!(outside(&[rotate, shift]), 0);
    let found = outside(&[shift, rotate]);
    assert!(found > 10, "{found} of 200");
}

#[test]
fn settings_outside_their_range_are_refused() {
    use Augment::{Cutout, Elastic, Rotate, Scale, Shear, Shift};
    let check = |step, expected: Option<&str>| {
        let result = Augmentation::new([SHIFT, step]).check([5, 9, 1]);
        match (&result, expected) {
            (Ok(()), None) => (),
            (Err(error @ Error::Setting { .. }), Some(expected)) => assert_eq!(error.to_string(), expected),
            _ => panic!("{step:?}: expected {expected:?}, found {result:?}"),
        }
    };
    let elastic = |pixels, smoothness| Elastic { pixels, smoothness };
    for good in [
        Shift { pixels: 0.0 },
        Rotate { degrees: 180.0 },
        Scale { factor: 0.99 },
        Shear { degrees: 89.0 },
        elastic(0.0, 0.1),
        Cutout { rows: 5, columns: 9 },
        Augment::Flip,
    ] {
        check(good, None);
    }
    for (bad, expected) in [
        (Shift { pixels: -1.0 }, "shift: expected a finite number of pixels of at least 0, found -1"),
        (Shift { pixels: f32::NAN }, "shift: expected a finite number of pixels of at least 0, found NaN"),
        (
            Shift { pixels: f32::INFINITY },
            "shift: expected a finite number of pixels of at least 0, found inf",
        ),
        (Rotate { degrees: 181.0 }, "rotate: expected degrees from 0 to 180, found 181"),
        (Rotate { degrees: -1.0 }, "rotate: expected degrees from 0 to 180, found -1"),
        (Scale { factor: 1.0 }, "scale: expected a factor from 0 to below 1, found 1"),
        (Scale { factor: f32::NAN }, "scale: expected a factor from 0 to below 1, found NaN"),
        (Shear { degrees: 90.0 }, "shear: expected degrees from 0 to below 90, found 90"),
        (elastic(-0.5, 4.0), "elastic: expected a finite number of pixels of at least 0, found -0.5"),
        (elastic(1.0, 0.0), "elastic smoothness: expected a finite number of pixels above 0, found 0"),
        (
            elastic(1.0, f32::INFINITY),
            "elastic smoothness: expected a finite number of pixels above 0, found inf",
        ),
        (Cutout { rows: 6, columns: 1 }, "cutout: expected at most the image's rows, found 6 of 5"),
        (Cutout { rows: 1, columns: 10 }, "cutout: expected at most the image's columns, found 10 of 9"),
    ] {
        check(bad, Some(expected));
    }
}

/// Whoever does not check gets no sensible image, and no panic.
#[test]
fn unchecked_settings_do_not_panic() {
    for value in [f32::NAN, f32::INFINITY, -3.0, 1e30] {
        let steps = [
            Augment::Shift { pixels: value },
            Augment::Rotate { degrees: value },
            Augment::Scale { factor: value },
            Augment::Shear { degrees: value },
            Augment::Elastic { pixels: value, smoothness: value },
            Augment::Cutout { rows: 100, columns: usize::MAX },
        ];
        for shape in SHAPES.into_iter().chain([[0, 4, 1], [4, 0, 1], [4, 4, 0]]) {
            for step in steps {
                augmented(&[step], shape, 1, image(shape));
            }
            augmented(&steps, shape, 1, image(shape));
        }
    }
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Config {
    augment: Augmentation,
}

#[test]
fn every_change_can_be_written_in_a_file() {
    let text = r#"
        [[augment]]
        type = "rotate"
        degrees = 15
        [[augment]]
        type = "shift"
        pixels = 2.0
        [[augment]]
        type = "scale"
        factor = 0.1
        [[augment]]
        type = "shear"
        degrees = 10.0
        [[augment]]
        type = "elastic"
        pixels = 1.4
        smoothness = 4
        [[augment]]
        type = "flip"
        [[augment]]
        type = "cutout"
        rows = 3
        columns = 4
    "#;
    let config: Config = toml::from_str(text).unwrap();
    assert_eq!(config.augment.steps(), [ROTATE, SHIFT, SCALE, SHEAR, ELASTIC, Augment::Flip, CUTOUT]);
    assert_eq!(toml::from_str::<Config>(&toml::to_string(&config).unwrap()).unwrap(), config);
    assert_eq!(toml::from_str::<Config>("augment = []").unwrap().augment, Augmentation::default());
}

#[test]
fn a_file_with_a_misspelt_change_is_refused() {
    for (text, expected) in [
        ("{ type = \"blur\", pixels = 1.0 }", "blur"),
        ("{ type = \"shift\" }", "pixels"),
        ("{ type = \"shift\", pixel = 1.0 }", "pixel"),
        ("{ type = \"rotate\", degrees = 1.0, radians = 2.0 }", "radians"),
        ("{ type = \"flip\", probability = 0.3 }", "probability"),
        ("{ type = \"cutout\", rows = -1, columns = 3 }", "-1"),
    ] {
        let error = toml::from_str::<Config>(&format!("augment = [{text}]")).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
}
