use crate::{Run, cnn, folder};
use image::{GrayImage, RgbImage};
use layers::Model;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Five bright and ten dark pictures.
fn write_pictures(folder: &Path) {
    for (class, value, count) in [("bright", 200u8, 5u8), ("dark", 50, 10)] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..count {
            let picture = GrayImage::from_pixel(30, 20, [value + i].into());
            picture.save(folder.join(class).join(format!("{i}.png"))).unwrap();
        }
    }
}

fn with_pictures(name: &str) -> TempDir {
    let folder = folder();
    write_pictures(&folder.path().join(name));
    folder
}

/// The output of a run that went well and had something to say on standard error.
#[track_caller]
fn expect_warnings(run: Run, warnings: &str) -> String {
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), warnings), "{}", run.stdout);
    run.stdout
}

#[test]
fn a_network_learns_pictures_and_their_names() {
    let folder = with_pictures("set");
    let output =
        cnn(&folder, "train --preset keras --epochs 5 --images set --size 8 --out m").expect_success();
    assert!(output.contains("Data: set: 12 training images, 3 test images\n"), "{output}");
    let model = Model::load(&folder.path().join("m")).unwrap();
    assert_eq!(
        (model.class_names.as_slice(), model.network.spec().input),
        (&["bright", "dark"].map(String::from)[..], [8, 8, 1])
    );
    // The model says how large its images are.
    let output = cnn(&folder, "eval m --images set").expect_success();
    assert!(output.contains("Data: set: 3 test images\nClasses: bright, dark\n"), "{output}");
    assert!(output.contains("(3 of 3 images)"), "{output}");
    let other = cnn(&folder, "eval m --images set --size 9");
    other.expect_failure(&["set", "expected a 8×8×1 map", "found a 9×9×1 map"]);
}

#[test]
fn a_fifth_of_each_class_is_for_testing_always_the_same() {
    let folder = with_pictures("set");
    let info = cnn(&folder, "data info --images set --size 4").expect_success();
    assert!(info.starts_with("set\n12 training images of 4×4×1, "), "{info}");
    assert!(info.contains("\nbright         4      1  "), "{info}");
    assert!(info.contains("\ndark           8      2  "), "{info}");
    assert_eq!(cnn(&folder, "data info --images set --size 4").expect_success(), info);
}

#[test]
fn two_folders_are_the_two_splits() {
    let folder = with_pictures("set/train");
    write_pictures(&folder.path().join("set/test"));
    let info = cnn(&folder, "data info --images set --rgb --size 4").expect_success();
    assert!(info.starts_with("set\n15 training images of 4×4×3, "), "{info}");
    assert!(info.contains("\n15 test images of 4×4×3, "), "{info}");
    fs::remove_dir_all(folder.path().join("set/test/bright")).unwrap();
    let run = cnn(&folder, "train --images set --size 8");
    run.expect_failure(&["set: expected the classes bright, dark, found dark"]);
}

#[test]
fn a_model_knows_its_classes() {
    let folder = with_pictures("set");
    cnn(&folder, "train --images set --size 8 --epochs 1 --out m").expect_success();
    fs::rename(folder.path().join("set/dark"), folder.path().join("set/dusky")).unwrap();
    let run = cnn(&folder, "eval m --images set");
    run.expect_failure(&["set: expected the classes bright, dark, found bright, dusky"]);
}

#[test]
fn colours_are_kept_where_they_are_asked_for() {
    let folder = folder();
    for (class, color) in [("blue", [0, 0, 255]), ("red", [255, 0, 0])] {
        let path = folder.path().join("set").join(class);
        fs::create_dir_all(&path).unwrap();
        (0..5).for_each(|i| {
            RgbImage::from_pixel(9, 9, color.into()).save(path.join(format!("{i}.bmp"))).unwrap()
        });
    }
    cnn(&folder, "data show --images set --rgb --class red --count 1 -o red.png").expect_success();
    let sheet = image::open(folder.path().join("red.png")).unwrap().to_rgb8();
    assert_eq!(sheet.get_pixel(20, 20).0, [255, 0, 0]);
    cnn(&folder, "train --images set --rgb --size 8 --epochs 1 --out m").expect_success();
    assert_eq!(Model::load(&folder.path().join("m")).unwrap().network.spec().input, [8, 8, 3]);
    cnn(&folder, "eval m --images set").expect_success();
}

#[test]
fn what_could_not_be_read_is_said_once() {
    let folder = with_pictures("set");
    fs::write(folder.path().join("set/dark/notes.txt"), "no picture").unwrap();
    let warnings = "warning: 1 of 16 files are left out
  set/dark/notes.txt: expected a PNG, JPEG or BMP picture: The image format could not be determined\n";
    let output = expect_warnings(cnn(&folder, "data info --images set --size 4"), warnings);
    assert!(output.contains("12 training images"), "{output}");
    let run = cnn(&folder, "train --images set --size 8 --epochs 1 --progress none");
    assert_eq!(expect_warnings(run, warnings), "");
}

#[test]
fn folders_without_pictures_are_refused() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("empty/class")).unwrap();
    let check = |arguments: &str, parts: &[&str]| {
        let run = cnn(&folder, arguments);
        run.expect_failure(parts);
        assert!(!run.stderr.contains("hint"), "{}", run.stderr);
    };
    check("train --images nowhere", &["nowhere: no such folder"]);
    check(
        "train --images empty",
        &["empty: expected a folder of pictures for each class, found none that can be read"],
    );
    write_pictures(&folder.path().join("small"));
    check("train --images small --size 1", &["small: ", "rows"]);
}
