use crate::{cnn, folder, names};
use image::{GrayImage, RgbaImage};
use std::fs;
use tempfile::TempDir;

const IMAGE: [[u8; 4]; 3] = [[10, 10, 20, 20], [10, 10, 20, 20], [50, 30, 20, 60]];

fn write_image(folder: &TempDir, name: &str) {
    GrayImage::from_fn(4, 3, |x, y| [IMAGE[y as usize][x as usize]].into())
        .save(folder.path().join(name))
        .unwrap();
}

/// The rows of a grey image.
fn rows(folder: &TempDir, name: &str) -> Vec<Vec<u8>> {
    let image = image::open(folder.path().join(name)).unwrap();
    assert_eq!(image.color(), image::ColorType::L8);
    let image = image.to_luma8();
    image.rows().map(|row| row.map(|pixel| pixel.0[0]).collect()).collect()
}

/// All numbers were computed by hand.
#[test]
fn every_kernel_and_padding() {
    let folder = folder();
    write_image(&folder, "x.png");
    fs::write(folder.path().join("row.txt"), "# one row, an even number of columns\n1 2\n").unwrap();
    let check = |kernel: &str, padding: &str, expected: &[&[u8]]| {
        let arguments = format!("convolve x.png --kernel {kernel} --padding {padding} -o y.png");
        let output = cnn(&folder, &arguments).expect_success();
        assert_eq!(rows(&folder, "y.png"), expected, "{kernel} {padding}");
        let (columns, rows) = (expected[0].len(), expected.len());
        assert_eq!(output, format!("x.png: 4×3 → y.png: {columns}×{rows} pixels\n"));
    };
    check("sobel-x", "valid", &[&[0, 60]]);
    check("sobel-x", "same", &[&[30, 30, 30, 60], &[60, 0, 60, 80], &[70, 50, 70, 60]]);
    check("sobel-y", "valid", &[&[80, 60]]);
    check("sobel-y", "same", &[&[30, 50, 70, 60], &[100, 80, 60, 80], &[30, 50, 70, 60]]);
    check("blur", "valid", &[&[18, 21]]);
    check("blur", "same", &[&[6, 9, 13, 11], &[14, 18, 21, 20], &[18, 19, 21, 21]]);
    check("sharpen", "valid", &[&[0, 30]]);
    check("sharpen", "same", &[&[30, 10, 50, 60], &[0, 0, 30, 0], &[210, 70, 0, 255]]);
    check("row.txt", "valid", &[&[30, 50, 60], &[30, 50, 60], &[110, 70, 140]]);
    check("row.txt", "same", &[&[30, 50, 60, 20], &[30, 50, 60, 20], &[110, 70, 140, 60]]);
    assert_eq!(names(folder.path()), ["row.txt", "x.png", "y.png"]);
}

#[test]
fn formats_and_transparency() {
    let folder = folder();
    fs::write(folder.path().join("one.txt"), "1").unwrap();
    for name in ["x.bmp", "x.png"] {
        write_image(&folder, name);
        cnn(&folder, &format!("convolve {name} --kernel one.txt -o y.PNG")).expect_success();
        assert_eq!(rows(&folder, "y.PNG"), IMAGE, "{name}");
    }
    GrayImage::from_pixel(16, 16, [99].into()).save(folder.path().join("x.jpg")).unwrap();
    cnn(&folder, "convolve x.jpg --kernel one.txt -o y.png").expect_success();
    assert!(rows(&folder, "y.png").concat().iter().all(|pixel| pixel.abs_diff(99) <= 1));

    let pixels = [[0, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51], [70, 70, 70, 255]];
    RgbaImage::from_vec(4, 1, pixels.concat()).unwrap().save(folder.path().join("alpha.png")).unwrap();
    cnn(&folder, "convolve alpha.png --kernel one.txt -o y.png").expect_success();
    assert_eq!(rows(&folder, "y.png"), [[0, 255, 204, 70]]);
}

#[test]
fn failures_leave_what_was_there() {
    let folder = folder();
    write_image(&folder, "x.png");
    let png = fs::read(folder.path().join("x.png")).unwrap();
    for (name, bytes) in [
        ("cut.png", &png[..png.len() / 2]),
        ("empty.png", b""),
        ("text.png", b"no image"),
        ("text", b"no image"),
        ("wide.txt", b"1 1 1 1 1"),
        ("tall.txt", b"1\n1\n1\n1"),
        ("ragged.txt", b"1 2 3\n\n4 5"),
        ("words.txt", b"one two"),
        ("none.txt", b"# nothing"),
        ("binary.txt", b"\xff\xfe1"),
        ("y.png", b"an older result"),
    ] {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    fs::create_dir(folder.path().join("directory.png")).unwrap();
    let before = names(folder.path());
    let check = |image: &str, kernel: &str, padding: &str, out: &str, parts: &[&str]| {
        let run = cnn(&folder, &format!("convolve {image} --kernel {kernel} --padding {padding} -o {out}"));
        run.expect_failure(parts);
        assert_eq!(run.stdout, "");
        assert_eq!(fs::read(folder.path().join("y.png")).unwrap(), b"an older result");
        assert_eq!(names(folder.path()), before);
    };
    let kind = "expected a PNG, JPEG or BMP image";
    check("no.png", "blur", "same", "y.png", &["no.png: No such file"]);
    check("cut.png", "blur", "same", "y.png", &["cut.png", kind]);
    check("empty.png", "blur", "same", "y.png", &["empty.png", kind]);
    check("text.png", "blur", "same", "y.png", &["text.png", kind]);
    check("text", "blur", "same", "y.png", &["text: ", kind]);
    check(
        "x.png",
        "wide.txt",
        "valid",
        "y.png",
        &["x.png: columns: a window of 5 does not fit into an input of 4"],
    );
    check(
        "x.png",
        "tall.txt",
        "valid",
        "y.png",
        &["x.png: rows: a window of 4 does not fit into an input of 3"],
    );
    check(
        "x.png",
        "ragged.txt",
        "same",
        "y.png",
        &["ragged.txt: line 3: expected 3 numbers as in line 1, found 2"],
    );
    check(
        "x.png",
        "words.txt",
        "same",
        "y.png",
        &["words.txt: line 1: expected a finite number, found \"one\""],
    );
    check("x.png", "none.txt", "same", "y.png", &["none.txt: expected rows of numbers, found none"]);
    check("x.png", "binary.txt", "same", "y.png", &["binary.txt: expected sobel-x"]);
    check(
        "x.png",
        "sobel",
        "same",
        "y.png",
        &["sobel: expected sobel-x, sobel-y, blur, sharpen or a text file"],
    );
    check("x.png", "blur", "same", "no/y.png", &["cannot write no/y.png: no: no such folder"]);
    check(
        "x.png",
        "blur",
        "same",
        "directory.png",
        &["directory.png: expected a file or a new name, found a folder"],
    );
    check("directory.png", "blur", "same", "y.png", &["directory.png"]);
    cnn(&folder, "convolve x.png --kernel wide.txt --padding same -o z.png").expect_success();
}

#[test]
#[cfg(unix)]
fn the_result_is_a_file_like_any_other() {
    use std::os::unix::fs::PermissionsExt;
    let folder = folder();
    write_image(&folder, "x.png");
    cnn(&folder, "convolve x.png --kernel blur -o y.png").expect_success();
    let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode("y.png"), mode("x.png"));
}
