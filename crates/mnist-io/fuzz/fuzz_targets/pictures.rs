//! A picture: decoded or refused, and the same again from the cache.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mnist_io::pictures::{self, Color};
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

/// A folder in memory, where the system has such a place, with a folder for the one class.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let memory = PathBuf::from("/dev/shm");
    let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
    let folder = folder.join(format!("mnist-io-fuzz-{}", std::process::id()));
    fs::create_dir_all(folder.join("class")).expect("a folder can be made");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    fs::write(FOLDER.join("class/picture"), bytes).expect("a file can be written");
    // Inputs come faster than the clock of the files ticks: the cache would take one for another.
    for cache in [".pictures-5-grey", ".pictures-5-rgb"] {
        let _ = fs::remove_file(FOLDER.join(cache));
    }
    for color in [Color::Grey, Color::Rgb] {
        let Ok(new) = pictures::load(&FOLDER, 5, color) else { return };
        assert_eq!(new.dataset.shape(), [5, 5, color.channels()]);
        let kept = pictures::load(&FOLDER, 5, color).expect("it was read a moment ago");
        assert_eq!((kept.decoded, kept.dataset), (0, new.dataset));
    }
});
