//! Sets by name, from files that a test makes: as many images as the real ones, most of them black.
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use mnist_io::catalog::Set;
use mnist_io::idx::{self, Idx, Values};
use mnist_io::{Dataset, Error, Split};
use tempfile::TempDir;

/// Bytes of an image.
const PIXELS: usize = 28 * 28;

/// `n` images. Of each, the pixel in row 0, column 1 tells its place, and that in row 1, column 0 is white.
fn images(n: usize) -> Idx {
    let mut pixels = vec![0; n * PIXELS];
    for (i, image) in pixels.chunks_exact_mut(PIXELS).enumerate() {
        image[1] = (i % 251) as u8;
        image[28] = 255;
    }
    Idx { shape: vec![n, 28, 28], values: Values::U8(pixels) }
}

/// `n` labels, in turn from `first` on.
fn labels(n: usize, first: u8, classes: usize) -> Idx {
    let labels = (0..n).map(|i| first + (i % classes) as u8).collect();
    Idx { shape: vec![n], values: Values::U8(labels) }
}

fn gzip(array: &Idx) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&idx::write(array).unwrap()).unwrap();
    encoder.finish().unwrap()
}

fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[track_caller]
fn check_error(loaded: mnist_io::Result<Dataset>, folder: &Path, expected: &str) {
    let error = loaded.unwrap_err().to_string();
    assert_eq!(error, expected.replace("{}", folder.to_str().unwrap()));
}

#[test]
fn sets_of_four_files_are_loaded() {
    for set in [Set::Mnist, Set::FashionMnist, Set::Kmnist] {
        let folder = folder(&[
            ("t10k-images-idx3-ubyte.gz", gzip(&images(10_000))),
            ("t10k-labels-idx1-ubyte", idx::write(&labels(10_000, 0, 10)).unwrap()),
        ]);
        let test = set.load(folder.path(), Split::Test).unwrap();
        assert_eq!((test.len(), test.shape(), test.classes()), (10_000, [28, 28, 1], 10));
        let paths =
            ["t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte"].map(|name| folder.path().join(name));
        assert_eq!(set.files(folder.path(), Split::Test).unwrap(), paths);
        let unnamed = Dataset::load(folder.path(), Split::Test).unwrap();
        assert_eq!(test, unnamed.with_class_names(set.entry().class_names.iter().copied()).unwrap());
        let error = set.load(folder.path(), Split::Train).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error}");
    }
}

/// A set by name has the sizes and classes of that set, or it is an error.
#[test]
fn what_is_no_set_of_that_name_is_refused() {
    let check = |images: &Idx, labels: &Idx, expected: &str| {
        let [images, labels] = [images, labels].map(gzip);
        let folder = folder(&[("t10k-images-idx3-ubyte.gz", images), ("t10k-labels-idx1-ubyte.gz", labels)]);
        check_error(Set::Mnist.load(folder.path(), Split::Test), folder.path(), expected);
    };
    let (good_images, good_labels) = (images(10_000), labels(10_000, 0, 10));
    let path = "{}/t10k-images-idx3-ubyte.gz";
    check(
        &images(9_999),
        &good_labels,
        &format!("{path}: byte 4: expected shape [10000, 28, 28], found [9999, 28, 28]"),
    );
    check(
        &Idx { shape: vec![9_800, 40, 20], ..images(10_000) },
        &good_labels,
        &format!("{path}: byte 4: expected shape [10000, 28, 28], found [9800, 40, 20]"),
    );
    check(
        &images(10_001),
        &good_labels,
        &format!("{path}: byte 4: expected at most 7840000 bytes of values, found shape [10001, 28, 28]"),
    );
    check(
        &Idx { shape: vec![2], values: Values::I8(vec![0, 1]) },
        &good_labels,
        &format!("{path}: byte 2: expected values of u8, found i8"),
    );
    check(
        &good_images,
        &labels(9_999, 0, 10),
        &format!(
            "{{}}/t10k-labels-idx1-ubyte.gz: byte 4: expected 10000 labels, one for each image in {path}, found 9999"
        ),
    );
    check(
        &good_images,
        &labels(10_000, 0, 12),
        "{}/t10k-labels-idx1-ubyte.gz: label 10: expected 0 to 9, found 10",
    );
}

/// Of eight numbers the first is the class, and the test file holds two sets.
#[test]
fn qmnist_is_loaded() {
    let rows = (0..60_000).flat_map(|i| [i % 10, 4, i, 0, 30 + i % 10, i, 0, 0]).collect();
    let labels = Idx { shape: vec![60_000, 8], values: Values::I32(rows) };
    let folder = folder(&[
        ("qmnist-train-images-idx3-ubyte.gz", gzip(&images(60_000))),
        ("qmnist-train-labels-idx2-int.gz", gzip(&labels)),
        ("qmnist-test-images-idx3-ubyte.gz", gzip(&images(60_000))),
        ("qmnist-test-labels-idx2-int.gz", gzip(&labels)),
    ]);
    let check = |set: Set, split, len, first: usize| {
        let dataset = set.load(folder.path(), split).unwrap();
        assert_eq!((dataset.len(), dataset.classes()), (len, 10));
        for i in [0, 7, len - 1] {
            assert_eq!(dataset.image(i)[1], ((first + i) % 251) as u8);
            assert_eq!(dataset.label(i), (first + i) % 10);
        }
    };
    check(Set::Qmnist, Split::Train, 60_000, 0);
    check(Set::Qmnist, Split::Test, 10_000, 0);
    check(Set::QmnistExtra, Split::Train, 60_000, 0);
    check(Set::QmnistExtra, Split::Test, 50_000, 10_000);
}

/// Images are stored column by column, and letters count from 1.
#[test]
fn emnist_is_loaded_from_unpacked_files() {
    for (set, n, first) in [(Set::EmnistBalanced, 18_800, 0), (Set::EmnistLetters, 20_800, 1)] {
        let classes = set.entry().class_names.len();
        let folder = folder(&[
            (&format!("{set}-test-images-idx3-ubyte.gz"), gzip(&images(n))),
            (&format!("{set}-test-labels-idx1-ubyte"), idx::write(&labels(n, first, classes)).unwrap()),
        ]);
        let test = set.load(folder.path(), Split::Test).unwrap();
        assert_eq!((test.len(), test.classes()), (n, classes));
        assert!((0..n).all(|i| test.image(i)[28] == (i % 251) as u8 && test.image(i)[1] == 255));
        assert!((0..n).all(|i| test.label(i) == i % classes));
    }
    let n = 20_800;
    let folder = folder(&[
        ("emnist-letters-test-images-idx3-ubyte.gz", gzip(&images(n))),
        ("emnist-letters-test-labels-idx1-ubyte.gz", gzip(&labels(n, 0, 26))),
    ]);
    check_error(
        Set::EmnistLetters.load(folder.path(), Split::Test),
        folder.path(),
        "{}/emnist-letters-test-labels-idx1-ubyte.gz: label 0: expected 1 to 26, found 0",
    );
}

#[cfg(feature = "zip")]
mod archive {
    use std::io::Cursor;

    use zip::CompressionMethod::{Deflated, Stored};
    use zip::write::{SimpleFileOptions, ZipWriter};

    use super::*;

    fn zipped(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (i, (name, bytes)) in members.iter().enumerate() {
            let method = if i % 2 == 0 { Deflated } else { Stored };
            let options = SimpleFileOptions::default().compression_method(method);
            writer.start_file(*name, options).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    #[test]
    fn emnist_is_loaded_from_its_archive() {
        let n = 20_800;
        let [images_path, labels_path] = [
            "gzip/emnist-letters-test-images-idx3-ubyte.gz",
            "gzip/emnist-letters-test-labels-idx1-ubyte.gz",
        ];
        let (images, labels) = (gzip(&images(n)), gzip(&labels(n, 1, 26)));
        let whole = zipped(&[
            ("gzip/emnist-letters-mapping.txt", b"1 65 97".to_vec()),
            (images_path, images.clone()),
            (labels_path, labels.clone()),
        ]);
        let at = folder(&[("gzip.zip", whole.clone())]);
        let test = Set::EmnistLetters.load(at.path(), Split::Test).unwrap();
        assert_eq!((test.len(), test.classes()), (n, 26));
        assert!((0..n).all(|i| test.image(i)[28] == (i % 251) as u8 && test.label(i) == i % 26));
        let files = Set::EmnistLetters.files(at.path(), Split::Test).unwrap();
        assert_eq!(files, [at.path().join("gzip.zip")], "it holds both");

        let error = Set::EmnistDigits.load(at.path(), Split::Train).unwrap_err().to_string();
        let names = "emnist-digits-train-images-idx3-ubyte.gz, emnist-digits-train-images-idx3-ubyte, \
             emnist-digits-train-images.idx3-ubyte.gz, emnist-digits-train-images.idx3-ubyte";
        let path = at.path().display();
        assert_eq!(error, format!("{path}/gzip.zip: expected one of {names}, found none"));

        let empty = folder(&[]);
        let error = Set::EmnistDigits.load(empty.path(), Split::Train).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("{}: expected one of {names}, gzip.zip, found none", empty.path().display())
        );

        // One wrong byte in what is not compressed twice is found by the archive's sum or by gzip's.
        let place = whole.windows(64).position(|window| window == &images[1000..1064]).unwrap();
        let mut broken = whole.clone();
        broken[place] ^= 1;
        let at = folder(&[("gzip.zip", broken)]);
        Set::EmnistLetters.load(at.path(), Split::Test).unwrap_err();
        let cut = folder(&[("gzip.zip", whole[..whole.len() - 100].to_vec())]);
        let error = Set::EmnistLetters.load(cut.path(), Split::Test).unwrap_err().to_string();
        assert!(error.contains("gzip.zip: expected a zip archive: "), "{error}");
    }

    /// What a member decompresses to is limited before it is decompressed.
    #[test]
    fn a_member_that_promises_too_much_is_refused() {
        let bomb = Idx { shape: vec![1 << 24], values: Values::U8(vec![0; 1 << 24]) };
        let archive = zipped(&[("bomb.gz", gzip(&bomb))]);
        assert!(archive.len() < 100_000);
        let read =
            |limit| mnist_io::archive::read(Cursor::new(&archive), Path::new("a.zip"), &["bomb.gz"], limit);
        assert_eq!(read(1 << 24).unwrap(), bomb);
        let error = read((1 << 24) - 1).unwrap_err().to_string();
        assert_eq!(
            error,
            "a.zip/bomb.gz: byte 4: expected at most 16777215 bytes of values, found shape [16777216]"
        );
    }
}
