//! Folders of pictures: what pixels become, what is refused, and the cache.
#![cfg(feature = "images")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageFormat, RgbImage, RgbaImage};
use mnist_io::Dataset;
use mnist_io::pictures::digit::{self, Digit, Doubt};
use mnist_io::pictures::{self, Color, Pictures};
use tempfile::TempDir;

/// The bytes of a file.
fn encoded(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn put(folder: &TempDir, name: &str, bytes: &[u8]) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn grey(value: u8) -> Vec<u8> {
    encoded(GrayImage::from_pixel(5, 4, [value].into()), ImageFormat::Png)
}

fn load(folder: &TempDir) -> Pictures {
    pictures::load(folder.path(), 2, Color::Grey).unwrap()
}

/// What one picture becomes.
fn become_of(picture: impl Into<DynamicImage>, size: u32, color: Color) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "class/picture", &encoded(picture, ImageFormat::Png));
    pictures::load(folder.path(), size, color).unwrap().dataset.image(0).to_vec()
}

/// Paths below the folder, and what is wrong there.
fn unreadable(folder: &TempDir, pictures: &Pictures) -> Vec<(String, String)> {
    let below = |path: &Path| path.strip_prefix(folder.path()).unwrap().display().to_string();
    pictures.unreadable.iter().map(|file| (below(&file.path), file.reason.clone())).collect()
}

#[test]
fn folders_are_classes_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("dog/b.png", 40), ("dog/a.png", 30), ("cat/z.png", 20), ("ape/1.png", 10)] {
        put(&folder, name, &grey(value));
    }
    fs::create_dir(folder.path().join("cow")).unwrap();
    put(&folder, ".hidden/e.png", &grey(50));
    put(&folder, "dog/.DS_Store", b"no picture");
    let found = load(&folder);
    assert_eq!(found.dataset.class_names(), ["ape", "cat", "cow", "dog"]);
    assert_eq!((found.dataset.labels(), found.dataset.shape()), ([0, 1, 3, 3].as_slice(), [2, 2, 1]));
    assert_eq!(found.dataset.images(), [[10; 4], [20; 4], [30; 4], [40; 4]].as_flattened());
    assert!(found.unreadable.is_empty() && found.cache_failure.is_none());
}

#[test]
fn a_picture_of_the_size_stays_as_it_is() {
    let grey = GrayImage::from_fn(6, 6, |x, y| [(x * 40 + y) as u8].into());
    assert_eq!(become_of(grey.clone(), 6, Color::Grey), grey.into_raw());
    let rgb = RgbImage::from_fn(6, 6, |x, y| [(x * 40) as u8, (y * 40) as u8, 7].into());
    assert_eq!(become_of(rgb.clone(), 6, Color::Rgb), rgb.into_raw());
    let deep = image::ImageBuffer::<image::Luma<u16>, _>::from_pixel(3, 3, [200 * 257].into());
    assert_eq!(become_of(deep, 3, Color::Rgb), [200; 27]);
}

#[test]
fn every_format_is_told_by_its_bytes() {
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("a", ImageFormat::Png), ("b.png", ImageFormat::Jpeg), ("c.jpg", ImageFormat::Bmp)]
    {
        put(&folder, &format!("x/{name}"), &encoded(GrayImage::from_pixel(16, 16, [99].into()), format));
    }
    let found = load(&folder);
    assert!(found.dataset.len() == 3 && found.dataset.images().iter().all(|pixel| pixel.abs_diff(99) <= 1));
}

/// Stripes finer than the new pixels have the mean of their greys; every second pixel of them would be white, or black.
#[test]
fn fine_patterns_turn_grey() {
    let stripes = GrayImage::from_fn(280, 280, |x, _| [if x % 2 == 0 { 255 } else { 0 }].into());
    let small = become_of(stripes, 28, Color::Grey);
    assert!(small.iter().all(|pixel| pixel.abs_diff(128) <= 5), "{small:?}");
}

#[test]
fn the_middle_square_is_cut_out() {
    let wide = GrayImage::from_fn(30, 10, |x, _| [if (10..20).contains(&x) { 80 } else { 255 }].into());
    assert_eq!(become_of(wide, 4, Color::Grey), [80; 16]);
    let high = GrayImage::from_fn(1, 3001, |_, y| [if y == 1500 { 80 } else { 255 }].into());
    assert_eq!(become_of(high, 4, Color::Grey), [80; 16]);
}

#[test]
fn transparent_parts_are_white() {
    let pixels = [[0, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51], [70, 70, 70, 255]];
    let picture = RgbaImage::from_vec(2, 2, pixels.concat()).unwrap();
    assert_eq!(become_of(picture.clone(), 2, Color::Grey), [0, 255, 204, 70]);
    assert_eq!(become_of(picture, 2, Color::Rgb), [[0; 3], [255; 3], [204; 3], [70; 3]].as_flattened());
}

/// A photograph says in its Exif block how the camera was held.
#[test]
fn pictures_are_turned_as_the_camera_says() {
    let picture = GrayImage::from_fn(32, 32, |_, y| [if y < 16 { 255 } else { 0 }].into());
    let jpeg = encoded(picture, ImageFormat::Jpeg);
    // Big-endian TIFF with one entry: tag 0x112, one number of 16 bits, 6: to be turned clockwise.
    let tiff = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let block = [b"\xff\xe1".as_slice(), &(tiff.len() as u16 + 2).to_be_bytes(), tiff].concat();
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "x/a.jpg", &jpeg);
    put(&folder, "x/b.jpg", &[&jpeg[..2], &block, &jpeg[2..]].concat());
    let found = load(&folder).dataset;
    let is_white = |i: usize| found.image(i).iter().map(|&pixel| pixel > 127).collect::<Vec<_>>();
    assert_eq!((is_white(0), is_white(1)), (vec![true, true, false, false], vec![false, true, false, true]));
}

#[test]
fn what_cannot_be_read_is_reported_and_the_rest_is_there() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "x/good.png", &grey(9));
    put(&folder, "notes.txt", b"beside the classes");
    put(&folder, "x/cut.png", &grey(9)[..50]);
    put(&folder, "x/empty.png", b"");
    put(&folder, "x/text.png", b"no picture");
    put(&folder, "x/folder/deep.png", &grey(9));
    // A bitmap's header that promises 60,000 × 60,000 pixels.
    let mut huge = encoded(RgbImage::new(2, 2), ImageFormat::Bmp);
    huge[18..22].copy_from_slice(&60_000u32.to_le_bytes());
    huge[22..26].copy_from_slice(&60_000u32.to_le_bytes());
    put(&folder, "x/huge.bmp", &huge);
    // Found by fuzzing: a few hundred bytes of JPEG that hold 16,000 × 16,000 grey pixels took seconds.
    let mut slow = encoded(GrayImage::new(8, 8), ImageFormat::Jpeg);
    let frame = slow.windows(2).position(|bytes| bytes == [0xff, 0xc0]).unwrap();
    slow[frame + 5..frame + 9].copy_from_slice(&[16_000u16; 2].map(u16::to_be_bytes).concat());
    put(&folder, "x/slow.jpg", &slow);
    let found = load(&folder);
    assert_eq!((found.dataset.len(), found.dataset.image(0)), (1, [9; 4].as_slice()));
    let unreadable = unreadable(&folder, &found);
    let check = |place: usize, path: &str, reason: &str| {
        assert_eq!(unreadable[place].0, path);
        assert!(unreadable[place].1.starts_with(reason), "{:?}", unreadable[place]);
    };
    let kind = "expected a PNG, JPEG or BMP picture: ";
    check(0, "notes.txt", "expected a folder of a class, found a file");
    check(1, "x/cut.png", kind);
    check(2, "x/empty.png", kind);
    check(3, "x/folder", "expected a picture, found no file");
    check(4, "x/huge.bmp", "expected at most 134217728 pixels, found 60000 × 60000");
    check(5, "x/slow.jpg", "expected at most 134217728 pixels, found 16000 × 16000");
    check(6, "x/text.png", kind);
    assert_eq!(unreadable.len(), 7);

    // The report is as long when the others come from the cache, and shorter when a file was mended.
    let again = load(&folder);
    assert_eq!((again.decoded, again.unreadable), (0, found.unreadable));
    put(&folder, "x/cut.png", &grey(3));
    let mended = load(&folder);
    assert_eq!((mended.decoded, mended.unreadable.len(), mended.dataset.image(0)), (1, 6, [3; 4].as_slice()));
}

/// Whoever opened them would wait for ever.
#[test]
#[cfg(unix)]
fn sockets_and_broken_links_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    put(&folder, "x/good.png", &grey(9));
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("x/socket")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("x/link")).unwrap();
    let found = load(&folder);
    assert_eq!(found.dataset.len(), 1);
    let [link, socket] = unreadable(&folder, &found).try_into().unwrap();
    assert_eq!(socket, ("x/socket".to_owned(), "expected a picture, found no file".to_owned()));
    assert!(link.0 == "x/link" && link.1.contains("No such file"), "{link:?}");
}

#[test]
fn folders_that_give_nothing_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path, size| {
        let error = pictures::load(path, size, Color::Grey).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "F")
    };
    let expected = "expected a folder of pictures for each class, found";
    assert_eq!(message(&folder.path().join("no"), 2), "F/no: no such folder");
    assert_eq!(message(folder.path(), 2), format!("F: {expected} no folder in it"));
    put(&folder, "a/text", b"no picture");
    let found = message(folder.path(), 2);
    assert!(
        found.starts_with(&format!("F: {expected} none that can be read in 1 folders; F/a/text: ")),
        "{found}"
    );
    put(&folder, "a/b.png", &grey(1));
    assert_eq!(message(folder.path(), 0), "expected a size of 1 to 4096 pixels, found 0");
    assert_eq!(message(folder.path(), 4097), "expected a size of 1 to 4096 pixels, found 4097");
}

/// A set of three pictures.
fn three() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [("a/1", 10), ("a/2", 20), ("b/3", 30)] {
        put(&folder, name, &grey(value));
    }
    folder
}

#[test]
fn what_did_not_change_is_not_decoded_again() {
    let folder = three();
    let first = load(&folder);
    let check = |decoded: usize, expected: &[u8]| {
        let Pictures { dataset, decoded: found, unreadable, cache_failure } = load(&folder);
        assert!(unreadable.is_empty() && cache_failure.is_none());
        assert_eq!(
            (found, dataset.iter().map(|(image, _)| image[0]).collect::<Vec<_>>()),
            (decoded, expected.to_vec())
        );
        dataset
    };
    assert_eq!(first.decoded, 3);
    assert_eq!(check(0, &[10, 20, 30]), first.dataset);
    // Of the same length, but of another time.
    put(&folder, "a/2", &grey(21));
    let file = fs::File::options().write(true).open(folder.path().join("a/2")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1)).unwrap();
    check(1, &[10, 21, 30]);
    check(0, &[10, 21, 30]);
    // Another name is another picture, and one that is gone leaves the cache.
    fs::rename(folder.path().join("a/1"), folder.path().join("a/9")).unwrap();
    check(1, &[21, 10, 30]);
    let cache = folder.path().join(".pictures-2-grey");
    let long = fs::metadata(&cache).unwrap().len();
    fs::remove_file(folder.path().join("b/3")).unwrap();
    check(0, &[21, 10]);
    assert!(fs::metadata(&cache).unwrap().len() < long);
    check(0, &[21, 10]);
    // Other pixels have a cache of their own.
    assert_eq!(pictures::load(folder.path(), 2, Color::Rgb).unwrap().decoded, 2);
    assert_eq!(pictures::load(folder.path(), 3, Color::Grey).unwrap().decoded, 2);
    check(0, &[21, 10]);
}

#[test]
fn a_broken_cache_is_made_again() {
    let folder = three();
    let expected: Dataset = load(&folder).dataset;
    let cache = folder.path().join(".pictures-2-grey");
    let whole = fs::read(&cache).unwrap();
    let mut broken: Vec<Vec<u8>> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
    broken.extend((0..whole.len()).map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x41;
        bytes
    }));
    broken.push([whole.as_slice(), b"more"].concat());
    for bytes in broken {
        fs::write(&cache, &bytes).unwrap();
        let found = load(&folder);
        assert_eq!((found.decoded, &found.dataset), (3, &expected), "{bytes:?}");
        assert_eq!(fs::read(&cache).unwrap(), whole);
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_said_and_the_set_is_there() {
    let folder = three();
    fs::create_dir_all(folder.path().join(".pictures-2-grey/full")).unwrap();
    let found = load(&folder);
    assert_eq!((found.decoded, found.dataset.len()), (3, 3));
    let message = found.cache_failure.unwrap().to_string();
    assert!(message.contains(".pictures-2-grey: "), "{message}");
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [".pictures-2-grey", "a", "b"]);
}

/// Wherever it lies, whichever way round it is and however the light falls, a bar becomes the same digit.
#[test]
fn a_digit_is_prepared_as_mnist_was() {
    let bar = |x: usize, y: usize| (40..48).contains(&x) && (20..80).contains(&y);
    let prepare = |width: usize, height: usize, pixel: &dyn Fn(usize, usize) -> u8| {
        let grey: Vec<u8> = (0..width * height).map(|i| pixel(i % width, i / width)).collect();
        digit::prepare(&grey, width)
    };
    let paper = prepare(100, 100, &|x, y| if bar(x, y) { 20 } else { 240 });
    assert!(paper.doubts.is_empty());
    let rows: Vec<u32> =
        paper.pixels.chunks(28).map(|row| row.iter().map(|&value| u32::from(value)).sum()).collect();
    assert!(
        rows[..4].iter().chain(&rows[24..]).all(|&sum| sum == 0) && rows[4..24].iter().all(|&sum| sum > 200)
    );

    let near = |name: &str, other: Digit| {
        let difference = |(a, b): (&u8, &u8)| u32::from(a.abs_diff(*b));
        let total: u32 = paper.pixels.iter().zip(&other.pixels).map(difference).sum();
        assert!(total < 40 * 28 && other.doubts.is_empty(), "{name}: {total}, {:?}", other.doubts);
    };
    near("a blackboard", prepare(100, 100, &|x, y| if bar(x, y) { 220 } else { 30 }));
    near("elsewhere", prepare(160, 130, &|x, y| if bar(x.wrapping_sub(90), y) { 20 } else { 240 }));
    near("uneven light", prepare(100, 100, &|x, y| (if bar(x, y) { 30 } else { 130 }) + x as u8));
    near("large", prepare(600, 600, &|x, y| if bar(x / 6, y / 6) { 20 } else { 240 }));
    near("dust", prepare(100, 100, &|x, y| if bar(x, y) || (x, y) == (80, 9) { 20 } else { 240 }));
    near("beside a table", prepare(120, 100, &|x, y| if bar(x, y) || x > 105 { 20 } else { 240 }));
}

/// No picture is too small, too large or too odd.
#[test]
fn every_picture_is_prepared() {
    assert_eq!(digit::prepare(&[], 0).doubts, [Doubt::Empty]);
    assert_eq!(digit::prepare(&[7; 5], 0).doubts, [Doubt::Empty]);
    assert_eq!(digit::prepare(&[7; 5], 6).doubts, [Doubt::Empty]);
    for (width, height) in [(1, 1), (1, 9), (9, 1), (2, 2), (3, 500), (500, 3), (257, 255)] {
        for pixels in [
            vec![0; width * height],
            vec![255; width * height],
            (0..width * height).map(|i| (i * 7919 % 256) as u8).collect(),
            (0..width * height).map(|i| if i == 0 { 255 } else { 0 }).collect(),
        ] {
            let digit = digit::prepare(&pixels, width);
            let is_empty = digit.pixels.iter().all(|&value| value == 0);
            assert_eq!(digit.doubts.contains(&Doubt::Empty), is_empty, "{width}×{height}");
        }
    }
}
