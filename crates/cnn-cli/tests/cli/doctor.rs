use crate::{cnn, command, folder, run};
use serde_json::Value;
use std::fs;

/// The lines of a report: marks with topics, and behind those to be noted what to do.
fn topics(output: &str) -> Vec<(&str, &str)> {
    let mut lines = output.lines().peekable();
    let mut topics = Vec::new();
    while let Some(line) = lines.next() {
        let mut words = line.split_whitespace();
        let (mark, topic) = (words.next().unwrap(), words.next().unwrap());
        let has_advice = lines.next_if(|line| line.trim_start().starts_with("→ ")).is_some();
        assert!(mark == if has_advice { "note" } else { "ok" }, "{output}");
        topics.push((topic, words.next().unwrap_or_default()));
    }
    topics
}

#[test]
fn every_topic_has_a_line() {
    let output = cnn(&folder(), "doctor").expect_success();
    let topics: Vec<_> = topics(&output).into_iter().map(|(topic, _)| topic).collect();
    let expected = [
        "version",
        "processor",
        "kernels",
        "threads",
        "peak",
        "memory",
        "data",
        "sets",
        "caches",
        "terminal",
    ];
    assert_eq!(topics, expected);
}

#[test]
fn kernels_that_were_forced_are_noted() {
    let folder = folder();
    let mut command = command(&folder);
    let output = run(command.arg("doctor").env("CNN_KERNELS", "naive")).expect_success();
    assert!(
        output.contains("note  kernels    naive run") && output.contains("unset CNN_KERNELS"),
        "{output}"
    );
    let json = run(command.arg("--json")).expect_success();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert!(json["kernels"] == "naive" && json["available_kernels"][1] == "portable", "{json}");
    for speed in ["peak_gflops", "bandwidth_gigabytes"] {
        for threads in ["one_thread", "all_threads"] {
            let speed = json[speed][threads].as_f64().unwrap();
            assert!(speed > 0.0 && speed.is_finite(), "{json}");
        }
    }
    assert!(json["threads"].as_u64().unwrap() > 0 && json["terminal"]["is_terminal"] == false, "{json}");
}

#[test]
fn data_is_found_where_it_is() {
    let folder = folder();
    let json = |variable: Option<&str>| -> Value {
        let mut command = command(&folder);
        command.args(["doctor", "--json"]).envs(variable.map(|variable| ("MNIST_DIR", variable)));
        serde_json::from_str(&run(&mut command).expect_success()).unwrap()
    };
    let none = json(None);
    assert!(none["data"]["is_sample"] == true && none["data"]["found"] == Value::Array(Vec::new()), "{none}");

    let mnist = folder.path().join("data/mnist");
    fs::create_dir_all(&mnist).unwrap();
    for name in [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ] {
        fs::write(mnist.join(name), "").unwrap();
    }
    fs::write(mnist.join(".t10k-images-idx3-ubyte.gz.part"), "").unwrap();
    let some = json(None);
    let data = &some["data"];
    assert!(
        data["default"] == "data/mnist" && data["is_sample"] == false && data["problem"].is_null(),
        "{some}"
    );
    assert!(
        data["found"][0] == "mnist" && data["parts"][0] == "data/mnist/.t10k-images-idx3-ubyte.gz.part",
        "{some}"
    );
    let output = cnn(&folder, "doctor").expect_success();
    assert!(
        topics(&output).contains(&("data", "data/mnist,"))
            && output.contains("goes on with data/mnist/.t10k"),
        "{output}"
    );

    let nowhere = json(Some("nowhere"));
    assert_eq!(nowhere["data"]["problem"], "nowhere: no such folder");
}
