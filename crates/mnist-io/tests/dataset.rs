//! Images and labels that belong together, and every way in which they do not.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::fs;
use std::path::Path;

use mnist_io::idx::{self, Idx, Values};
use mnist_io::{Dataset, Normalization, Split};

fn put(folder: &Path, name: &str, shape: &[usize], values: Values) {
    fs::write(folder.join(name), idx::write(&Idx { shape: shape.to_vec(), values }).unwrap()).unwrap();
}

/// Three images of 2 × 2 pixels, counted up from 0.
fn small() -> Dataset {
    Dataset::new((0..12).collect(), [2, 2, 1], vec![7, 0, 2]).unwrap()
}

#[test]
fn a_set_gives_what_it_was_made_of() {
    let mut set = small();
    assert_eq!((set.len(), set.shape(), set.classes(), set.is_empty()), (3, [2, 2, 1], 8, false));
    assert_eq!((set.image(1), set.label(1)), ([4, 5, 6, 7].as_slice(), 0));
    assert_eq!((set.images().len(), set.labels()), (12, [7, 0, 2].as_slice()));
    let mut pairs = set.iter();
    assert_eq!((pairs.len(), pairs.next_back()), (3, Some(([8, 9, 10, 11].as_slice(), 2))));
    assert_eq!(pairs.map(|(image, label)| (image[0], label)).collect::<Vec<_>>(), [(0, 7), (4, 0)]);
    assert_eq!(format!("{set:?}"), "Dataset { len: 3, shape: [2, 2, 1], .. }");

    set.truncate(9);
    assert_eq!(set, small());
    set.truncate(1);
    assert_eq!((set.len(), set.images(), set.classes()), (1, [0, 1, 2, 3].as_slice(), 8));
    set.truncate(0);
    assert_eq!((set.len(), set.is_empty(), set.classes(), set.iter().count()), (0, true, 8, 0));
}

#[test]
fn classes_are_named_all_or_none() {
    let unnamed = small();
    assert_eq!((unnamed.classes(), unnamed.class_names().len()), (8, 0));
    assert_eq!(unnamed.class_counts(), [1, 0, 1, 0, 0, 0, 0, 1]);

    let names: Vec<String> = (0..9).map(|class| format!("class {class}")).collect();
    let named = small().with_class_names(names.clone()).unwrap();
    assert_eq!((named.classes(), named.class_names()), (9, names.as_slice()));
    assert_eq!(named.class_counts(), [1, 0, 1, 0, 0, 0, 0, 1, 0]);

    let message = |names: &[&str]| small().with_class_names(names.iter().copied()).unwrap_err().to_string();
    let too_few = "labels: label 0: expected one below 7, the number of class names, found 7";
    assert_eq!(message(&["a"; 7]), too_few);
    assert!(message(&[]).contains("below 0"));

    let empty = Dataset::new(vec![], [2, 2, 1], vec![]).unwrap();
    assert_eq!((empty.classes(), empty.class_counts().len()), (0, 0));
    assert_eq!(empty.with_class_names(["a"]).unwrap().class_counts(), [0]);
}

#[test]
fn mean_and_deviation_are_those_of_the_pixels() {
    // 0 to 11: their mean is 5.5, the mean of their squares 506 / 12.
    let (mean, std) = small().mean_and_std();
    assert!((mean - 5.5 / 255.0).abs() < 1e-12, "{mean}");
    assert!((std - (506.0_f64 / 12.0 - 5.5 * 5.5).sqrt() / 255.0).abs() < 1e-12, "{std}");
    let (mean, std) = Dataset::new(vec![255; 6], [1, 2, 3], vec![0]).unwrap().mean_and_std();
    assert_eq!((mean, std), (1.0, 0.0));
    let (mean, std) = Dataset::new(vec![], [1, 1, 1], vec![]).unwrap().mean_and_std();
    assert!(mean.is_nan() && std.is_nan());
}

#[test]
#[should_panic(expected = "image 3 of a data set of 3")]
fn an_image_too_far_panics_as_a_slice_does() {
    small().image(3);
}

#[test]
fn parts_that_do_not_fit_are_named() {
    let check = |images: usize, shape, labels: &[usize], expected: &str| {
        let error = Dataset::new(vec![0; images], shape, labels.to_vec()).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(11, [2, 2, 1], &[0; 3], "images: expected 12 pixels, 3 images of shape [2, 2, 1], found 11");
    check(0, [2, 0, 1], &[], "images: expected images of at least one pixel, found shape [2, 0, 1]");
    check(
        4,
        [usize::MAX, 2, 1],
        &[0],
        &format!("images: expected {0} pixels, 1 images of shape [{0}, 2, 1], found 4", usize::MAX),
    );
    check(2, [1, 1, 1], &[0, 65_536], "labels: label 1: expected 0 to 65535, found 65536");
    check(1, [1, 1, 1], &[usize::MAX], &format!("labels: label 0: expected 0 to 65535, found {}", i64::MAX));
}

#[test]
fn every_spelling_is_found_in_the_documented_order() {
    let folder = tempfile::tempdir().unwrap();
    // The last of the order comes first, so each next one must win over all that are there.
    let spellings = [".idx3-ubyte", ".idx3-ubyte.gz", "-idx3-ubyte", "-idx3-ubyte.gz"];
    put(folder.path(), "train-labels.idx1-ubyte", &[1], Values::U8(vec![5]));
    for (pixel, ending) in (0..).zip(spellings) {
        put(folder.path(), &format!("train-images{ending}"), &[1, 1, 1], Values::U8(vec![pixel]));
        assert_eq!(Dataset::load(folder.path(), Split::Train).unwrap().image(0), [pixel]);
    }
    put(folder.path(), "t10k-images-idx3-ubyte", &[1, 1, 1], Values::U8(vec![9]));
    put(folder.path(), "t10k-labels-idx1-ubyte", &[1], Values::U8(vec![4]));
    assert_eq!(Dataset::load(folder.path(), Split::Test).unwrap().label(0), 4);
}

#[test]
fn a_folder_with_the_name_of_a_file_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("train-images-idx3-ubyte")).unwrap();
    put(folder.path(), "train-images.idx3-ubyte", &[1, 1, 1], Values::U8(vec![3]));
    put(folder.path(), "train-labels.idx1-ubyte", &[1], Values::U8(vec![5]));
    assert_eq!(Dataset::load(folder.path(), Split::Train).unwrap().image(0), [3]);
}

#[test]
fn missing_files_and_folders_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display();
    let message = |directory: &Path| Dataset::load(directory, Split::Test).unwrap_err().to_string();
    assert_eq!(message(&folder.path().join("x")), format!("{path}/x: no such folder"));
    assert_eq!(
        message(folder.path()),
        format!(
            "{path}: expected one of t10k-images-idx3-ubyte.gz, t10k-images-idx3-ubyte, \
             t10k-images.idx3-ubyte.gz, t10k-images.idx3-ubyte, found none"
        )
    );
    put(folder.path(), "t10k-images-idx3-ubyte", &[0, 1, 1], Values::U8(vec![]));
    assert_eq!(
        message(folder.path()),
        format!(
            "{path}: expected one of t10k-labels-idx1-ubyte.gz, t10k-labels-idx1-ubyte, \
             t10k-labels.idx1-ubyte.gz, t10k-labels.idx1-ubyte, found none"
        )
    );
}

#[test]
fn labels_of_any_integer_type_are_classes() {
    for values in [
        Values::U8(vec![0, 127]),
        Values::I8(vec![0, 127]),
        Values::I16(vec![0, 127]),
        Values::I32(vec![0, 127]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "images", &[2, 1, 2], Values::U8(vec![1, 2, 3, 4]));
        put(folder.path(), "labels", &[2], values);
        let set = Dataset::read(&folder.path().join("images"), &folder.path().join("labels")).unwrap();
        assert_eq!((set.labels(), set.shape(), set.classes()), ([0, 127].as_slice(), [1, 2, 1], 128));
    }
}

#[test]
fn files_that_do_not_belong_together_are_named() {
    let check = |images: (&[usize], Values), labels: (&[usize], Values), expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let [images_path, labels_path] = ["images", "labels"].map(|name| folder.path().join(name));
        put(folder.path(), "images", images.0, images.1);
        put(folder.path(), "labels", labels.0, labels.1);
        let error = Dataset::read(&images_path, &labels_path).unwrap_err().to_string();
        assert_eq!(error.replace(&format!("{}/", folder.path().display()), ""), expected);
    };
    let two = || (&[2, 1, 1][..], Values::U8(vec![0, 0]));
    let labels = || (&[2][..], Values::U8(vec![0, 0]));
    check(
        two(),
        (&[3], Values::U8(vec![0; 3])),
        "labels: byte 4: expected 2 labels, one for each image in images, found 3",
    );
    check(two(), two(), "labels: byte 3: expected a shape of (labels), found [2, 1, 1]");
    check(labels(), labels(), "images: byte 3: expected a shape of (images, rows, columns), found [2]");
    check(
        (&[2, 1, 1], Values::F32(vec![0.0; 2])),
        labels(),
        "images: byte 2: expected values of u8, found f32",
    );
    check(
        two(),
        (&[2], Values::F64(vec![0.0; 2])),
        "labels: byte 2: expected values of u8, i8, i16 or i32, found f64",
    );
    check(two(), (&[2], Values::I8(vec![1, -1])), "labels: label 1: expected 0 to 65535, found -1");
    check(
        two(),
        (&[2], Values::I32(vec![65_535, 65_536])),
        "labels: label 1: expected 0 to 65535, found 65536",
    );
    check(
        (&[0, 0, 28], Values::U8(vec![])),
        (&[0], Values::U8(vec![])),
        "images: expected images of at least one pixel, found shape [0, 28, 1]",
    );
}

#[test]
fn normalisation_is_the_formula_to_the_bit() {
    let pixels: Vec<u8> = (0..=255).collect();
    let mut out = [f32::NAN; 256];
    Normalization::CENTERED.apply(&pixels, &mut out);
    for (&p, number) in pixels.iter().zip(out) {
        assert_eq!(number.to_bits(), (p as f32 / 255.0 - 0.5).to_bits(), "pixel {p}");
    }
    Normalization::MNIST.apply(&pixels, &mut out);
    for (&p, number) in pixels.iter().zip(out) {
        let exact = (f64::from(p) / 255.0 - 0.1307) / 0.3081;
        assert!((f64::from(number) - exact).abs() < 1e-6, "pixel {p}: {number}, expected {exact}");
    }
}

#[test]
fn gathering_fills_the_buffer_in_the_order_of_the_indices() {
    let identity = Normalization { mean: 0.0, std: 1.0 / 255.0 };
    let mut out = [f32::NAN; 12];
    small().gather(&[2, 0, 2], identity, &mut out).unwrap();
    assert_eq!(out.map(f32::round), [8., 9., 10., 11., 0., 1., 2., 3., 8., 9., 10., 11.]);
    small().gather(&[], identity, &mut []).unwrap();
}

#[test]
fn a_subset_has_its_images_and_all_classes() {
    let set = small().with_class_names((0..9).map(|class| class.to_string())).unwrap();
    let part = set.subset(&[2, 0, 2]).unwrap();
    assert_eq!(part.images(), [8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11]);
    assert_eq!(
        (part.labels(), part.classes(), part.class_names()),
        ([2, 7, 2].as_slice(), 9, set.class_names())
    );
    let error = set.subset(&[0, 3]).unwrap_err().to_string();
    assert_eq!(error, "indices: place 1: expected an image below 3, found 3");
}

#[test]
fn a_refused_gathering_leaves_the_buffer_alone() {
    let check = |indices: &[usize], room: usize, expected: &str| {
        let mut out = vec![-7.0; room];
        let error = small().gather(indices, Normalization::CENTERED, &mut out).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!(out, vec![-7.0; room]);
    };
    check(&[0, 3], 8, "indices: place 1: expected an image below 3, found 3");
    check(&[0, 1], 7, "out: expected room for 8 values, found 7");
    check(&[0, 1], 9, "out: expected room for 8 values, found 9");
}
