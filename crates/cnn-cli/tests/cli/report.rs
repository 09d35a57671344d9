//! What a model is judged by: the tables, the files, and the page in a real browser.

use crate::{cnn, folder, names};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A folder with two runs, a better one and one that hardly learned.
fn runs() -> TempDir {
    let folder = folder();
    cnn(&folder, "train --preset lenet --run good --progress none").expect_success();
    cnn(&folder, "train --preset keras --epochs 1 --limit 20 --run poor --progress none").expect_success();
    folder
}

#[test]
fn the_figures_of_text_json_and_files_agree() {
    let folder = runs();
    let json = cnn(&folder, "eval good --progress json").expect_success();
    let test: Value = serde_json::from_str(&json).unwrap();
    let number = |key: &str| test[key].as_f64().unwrap();
    assert!(number("accuracy_low") < number("accuracy") && number("accuracy") < number("accuracy_high"));
    let confusion: Vec<Vec<u64>> = serde_json::from_value(test["confusion"].clone()).unwrap();
    let right: u64 = (0..10).map(|class| confusion[class][class]).sum();
    let all: u64 = confusion.iter().flatten().sum();
    assert_eq!((all, right as f64 / all as f64), (1000, number("accuracy")));
    let recall = test["recall"][3].as_f64().unwrap();
    assert_eq!(recall, confusion[3][3] as f64 / confusion[3].iter().sum::<u64>() as f64);

    let text = cnn(&folder, "eval good --out judged").expect_success();
    assert!(text.contains(&format!("({right} of 1000 images); 95% interval ")), "{text}");
    assert!(text.contains(&format!("{:.2}%", 100.0 * recall)), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert_eq!(names(&folder.path().join("judged")), ["confusion.csv", "confusion.svg", "report.html"]);
    let csv = fs::read_to_string(folder.path().join("judged/confusion.csv")).unwrap();
    let row: Vec<String> = confusion[3].iter().map(u64::to_string).collect();
    assert_eq!(csv.lines().nth(4).unwrap(), format!("3,{}", row.join(",")));
    let svg = fs::read_to_string(folder.path().join("judged/confusion.svg")).unwrap();
    assert!(svg.starts_with("<svg xmlns=") && svg.contains(&format!(">{}</text>", confusion[3][3])), "{svg}");

    cnn(&folder, "eval good --out judged").expect_failure(&["confusion.svg", "--force"]);
    cnn(&folder, "eval good --out judged --force").expect_success();
    fs::write(folder.path().join("file"), "").unwrap();
    cnn(&folder, "eval good --out file").expect_failure(&["cannot make the folder file"]);
}

#[test]
fn two_models_are_compared() {
    let folder = runs();
    let text = cnn(&folder, "eval good --compare poor").expect_success();
    assert!(text.contains("good/model.safetensors is better\n"), "{text}");
    let text = cnn(&folder, "eval poor --compare good").expect_success();
    assert!(text.contains("good/model.safetensors is better\n"), "{text}");
    let text = cnn(&folder, "eval good --compare good").expect_success();
    assert!(text.contains("McNemar's test: p = 1.00e0: the difference may be chance\n"), "{text}");
    let json = cnn(&folder, "eval good --compare poor --progress json").expect_success();
    let compared: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
    let count = |key: &str| compared[key].as_u64().unwrap();
    let alone = count("first_alone") + count("second_alone");
    assert_eq!(count("both_right") + alone + count("both_wrong"), 1000);
    cnn(&folder, "eval good --compare nowhere").expect_failure(&["nowhere: No such file"]);

    cnn(&folder, "train --spec 'x' --progress none").expect_failure(&["is no network"]);
    let spec = "train --limit 10 --epochs 1 --run wide --progress none --spec";
    let mut arguments: Vec<&str> = spec.split(' ').collect();
    arguments.push("dense 12");
    crate::run(crate::command(&folder).args(arguments)).expect_success();
    cnn(&folder, "eval good --compare wide").expect_failure(&["know other classes"]);
}

/// A page that needs nothing else: no request leaves the browser, and it has nothing to complain of.
#[test]
fn a_browser_shows_the_report() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    }) else {
        eprintln!("skipped: there is no chromium");
        return;
    };
    let folder = runs();
    let page = folder.path().join("good/report.html");
    let log = folder.path().join("net.json");
    let output = Command::new(browser)
        .args(["--disable-background-networking", "--disable-component-update", "--no-first-run"])
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let [dom, errors] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{errors}");
    for part in [
        "<h2>Training</h2>",
        "The mean loss of each epoch",
        "Confusion matrix",
        "The worst errors",
        "[training]",
    ] {
        assert!(dom.contains(part), "no {part:?} in the page");
    }
    assert!(dom.matches("<svg").count() == 3 && dom.matches("data:image/png;base64,").count() > 40);
    // A page's own errors are logged by its console.
    assert!(!errors.contains("CONSOLE"), "{errors}");
    check_requests(&log, &page);
}

/// Fails where the browser asked for anything but the page and what is in it, or what it asks its maker.
fn check_requests(log: &Path, page: &Path) {
    let log = fs::read_to_string(log).unwrap();
    let requested = log.split("\"url\":\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let page = format!("file://{}", page.display());
    for url in requested {
        let host = url.split('/').nth(2).unwrap_or_default();
        let is_own = host.contains("google")
            || host.contains("gvt1")
            || host.contains("gstatic")
            || url.starts_with("chrome");
        assert!(url == page || url.starts_with("data:") || is_own, "the page asked for {url}");
    }
}
