use crate::{cnn, folder, names};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// The figures of the tutorial's step lines.
fn steps(lines: &[&str]) -> Vec<(usize, f64, f64)> {
    let parse = |line: &&str| {
        let (step, rest) = line.strip_prefix("[Step ")?.split_once("] Past 100 steps: Average Loss ")?;
        let (loss, accuracy) = rest.split_once(" | Accuracy: ")?;
        Some((step.parse().ok()?, loss.parse().ok()?, accuracy.strip_suffix('%')?.parse().ok()?))
    };
    lines.iter().filter_map(parse).collect()
}

#[test]
fn from_guessing_to_reading() {
    let folder = folder();
    let output = cnn(&folder, "").expect_success();
    assert_eq!(names(folder.path()), ["tutorial.safetensors"]);
    assert!(output.starts_with("A network with random weights (seed 0)"), "{output}");

    let lines: Vec<&str> = output.lines().collect();
    let at = |line: &str| {
        lines.iter().position(|l| *l == line).unwrap_or_else(|| panic!("no {line:?} in {output}"))
    };
    let heads = [
        "--- The untrained CNN ---",
        "--- Epoch 1 ---",
        "--- Epoch 2 ---",
        "--- Epoch 3 ---",
        "--- Testing the CNN ---",
    ];
    let places = heads.map(at);
    assert!(places.is_sorted());
    let parts: Vec<_> = places.windows(2).map(|pair| steps(&lines[pair[0]..pair[1]])).collect();
    for part in &parts {
        assert!(part.iter().map(|step| step.0).eq((1..=10).map(|n| 100 * n)), "{output}");
    }
    // Ten equally likely digits: a loss of ln 10, and every tenth right by chance.
    assert!(parts[0].iter().all(|(_, loss, _)| (loss - 10f64.ln()).abs() < 0.02), "{output}");
    let accuracy = |part: &[(usize, f64, f64)]| part.iter().map(|step| step.2).sum::<f64>() / 10.0;
    assert!((3.0..20.0).contains(&accuracy(&parts[0])), "{output}");
    assert!(accuracy(&parts[3]) > accuracy(&parts[1]), "{output}");

    let number = |prefix: &str| -> f64 {
        let rest = lines.iter().find_map(|line| line.strip_prefix(prefix)).unwrap();
        rest.split(['%', ' ']).next().unwrap().parse().unwrap()
    };
    let (loss, accuracy) = (number("Test Loss: "), number("Test Accuracy: "));
    assert!((70.0..90.0).contains(&accuracy), "{output}");

    // What it says to try next works, as it stands there.
    let next: Vec<_> = lines.iter().filter_map(|line| line.split_once("cargo run -p cnn-cli -- ")).collect();
    let [eval, convolve, train] = next[..] else { panic!("{output}") };
    let test: Value =
        serde_json::from_str(&cnn(&folder, &format!("{} --progress json", eval.1)).expect_success()).unwrap();
    assert_eq!(format!("{:.4}", test["loss"].as_f64().unwrap()), format!("{loss:.4}"));
    assert_eq!(format!("{:.2}", 100.0 * test["accuracy"].as_f64().unwrap()), format!("{accuracy:.2}"));

    let images = folder.path().join("crates/cnn-cli/images");
    fs::create_dir_all(&images).unwrap();
    let shapes = Path::new(env!("CARGO_MANIFEST_DIR")).join("images/shapes.png");
    fs::copy(shapes, images.join("shapes.png")).unwrap();
    cnn(&folder, convolve.1).expect_success();
    assert!(folder.path().join("edges.png").is_file());
    cnn(&folder, &format!("{} --limit 5", train.1)).expect_success();
}
