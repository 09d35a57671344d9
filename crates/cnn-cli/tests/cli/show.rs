use crate::{cnn, folder, names};
use mnist_io::sample;
use std::fs;

#[test]
fn info_counts_what_there_is() {
    let folder = folder();
    let output = cnn(&folder, "data info").expect_success();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(
        lines[..5],
        [
            "the bundled sample of MNIST",
            "1000 training images of 28×28×1, mean 0.1282, standard deviation 0.3051",
            "1000 test images of 28×28×1, mean 0.1223, standard deviation 0.2984",
            "",
            "class  training   test",
        ]
    );
    assert_eq!(lines[5], format!("0            97     85  {}", "#".repeat(34)));
    assert_eq!((lines[6].matches('#').count(), lines.len()), (40, 15));

    // Of the first three training images each is of another class, and none is a 9.
    let output = cnn(&folder, "data info --limit 3").expect_success();
    let row = |class: usize| output.lines().nth(5 + class).unwrap().to_owned();
    assert_eq!(row(5), format!("5             1      0  {}", "#".repeat(40)));
    assert_eq!(row(9), "9             0      0");
}

#[test]
fn info_names_the_files() {
    let folder = folder();
    for (name, bytes) in [
        ("train-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255][..]),
        ("train-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 1, 1]),
        ("t10k-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2]),
        ("t10k-labels-idx1-ubyte", &[0, 0, 8, 1, 0, 0, 0, 0]),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let output = cnn(&folder, "data info --data-dir .").expect_success();
    assert!(
        output.contains("1 training images of 1×2×1, mean 0.5000, standard deviation 0.5000\n"),
        "{output}"
    );
    assert!(output.contains("\n0 test images of 1×2×1\n"), "{output}");
    assert!(output.contains("\n  ./train-images-idx3-ubyte: 18 bytes\n"), "{output}");
    assert!(output.contains("\n  ./t10k-labels-idx1-ubyte: 8 bytes\n"), "{output}");
    let output = cnn(&folder, "data show --data-dir .").expect_success();
    assert_eq!(output, "1\n =\n", "white above nothing is half as bright");
    cnn(&folder, "data show --data-dir . --split test")
        .expect_failure(&[".: expected images in this split, found none"]);
    cnn(&folder, "data show --data-dir . --class 0 -o none.png")
        .expect_failure(&[".: expected images of the class 0 in this split, found none"]);
    assert!(!folder.path().join("none.png").exists());
}

#[test]
fn letters_where_nobody_watches() {
    let folder = folder();
    let output = cnn(&folder, "data show --count 3").expect_success();
    let lines: Vec<_> = output.lines().collect();
    // Two of 28 columns side by side in 80, each of a line for its name and 14 for its pixels.
    assert_eq!((lines.len(), lines[0], lines[15]), (30, format!("5{}0", " ".repeat(28)).as_str(), "4"));
    assert!(!output.contains('\x1b') && lines.iter().all(|line| line.len() <= 57), "{output}");
    let image = sample::train().unwrap().image(2).to_vec();
    let brightness = |row: usize, column: usize| {
        (usize::from(image[2 * row * 28 + column]) + usize::from(image[(2 * row + 1) * 28 + column])) / 2
    };
    for (row, line) in lines[16..].iter().enumerate() {
        for (column, letter) in line.chars().enumerate() {
            assert_eq!(letter, " .:-=+*#%@".chars().nth(brightness(row, column) * 10 / 256).unwrap());
        }
    }
}

#[test]
fn a_class_and_a_seed_choose() {
    let folder = folder();
    let labels = |arguments: &str| {
        let output = cnn(&folder, &format!("data show --count 4 {arguments}")).expect_success();
        let lines = output.lines().step_by(15).flat_map(str::split_whitespace).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(labels(""), ["5", "0", "4", "1"]);
    assert_eq!(labels("--split test"), ["7", "2", "1", "0"]);
    assert_eq!(labels("--class 9"), ["9"; 4]);
    assert_eq!(labels("--seed 1"), labels("--seed 1"));
    assert_ne!(labels("--seed 1"), labels("--seed 2"));
    let none = cnn(&folder, "data show --class ten");
    none.expect_failure(&["expected a class, one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, found \"ten\""]);
}

#[test]
fn a_picture_has_the_images_enlarged_with_room_for_their_names() {
    let folder = folder();
    let output = cnn(&folder, "data show --count 3 -o digits.png").expect_success();
    assert_eq!(output, "the bundled sample of MNIST: 3 images → digits.png\n");
    assert_eq!(names(folder.path()), ["digits.png"]);
    let sheet = image::open(folder.path().join("digits.png")).unwrap().to_rgb8();
    // Two by two, 28 pixels as 112, with gaps of 8 and 16 below for a name.
    assert_eq!(sheet.dimensions(), (8 + 2 * 120, 8 + 2 * 136));
    let set = sample::train().unwrap();
    for (i, x, y) in [(0, 8, 8), (1, 128, 8), (2, 8, 144)] {
        for (place, &pixel) in (0..).zip(set.image(i)) {
            assert_eq!(sheet.get_pixel(x + place % 28 * 4 + 3, y + place / 28 * 4 + 3).0, [pixel; 3]);
        }
    }
    let is_black = |x, y| sheet.get_pixel(x, y).0 == [0; 3];
    let ink = |x0: u32, y0: u32| (0..64).filter(|place| is_black(x0 + place % 8, y0 + place / 8)).count();
    assert!(ink(8 + 52, 8 + 116) > 8, "the name is in the middle below the image");

    cnn(&folder, "data show -o no/digits.png")
        .expect_failure(&["cannot write no/digits.png: no: no such folder"]);
}
