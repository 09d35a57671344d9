//! `cnn doctor`: what this machine offers, line by line.

mod data;
mod processor;
mod speed;

use crate::args;
use crate::console::{self, Console, has_color, is_watched};
use crate::drawing::text::wrapped;
use anyhow::Result;
use data::Data;
use layers::Kernels;
use processor::Processor;
use serde::Serialize;
use speed::Speed;
use std::env;

/// Where all threads together do less than this share of what as many single ones would, something is in their way.
const SHARED: f64 = 0.7;

#[derive(Serialize)]
struct Report {
    version: &'static str,
    system: &'static str,
    architecture: &'static str,
    processor: Processor,
    /// The kernels that run, and all that could, the fastest last.
    kernels: &'static str,
    available_kernels: Vec<&'static str>,
    threads: usize,
    peak_gflops: Speed,
    bandwidth_gigabytes: Speed,
    data: Data,
    /// Where the pictures of `--images DIR` are kept decoded.
    picture_cache: &'static str,
    terminal: Terminal,
}

#[derive(Serialize)]
struct Terminal {
    is_terminal: bool,
    columns: usize,
    colors: bool,
}

/// A line of the report.
struct Finding {
    topic: &'static str,
    found: String,
    /// What to do, where something is not good.
    advice: Option<String>,
}

pub fn run(args: args::Doctor, kernels: Kernels) -> Result<()> {
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        system: env::consts::OS,
        architecture: env::consts::ARCH,
        processor: Processor::find(),
        kernels: kernels.name(),
        available_kernels: Kernels::available().map(Kernels::name).collect(),
        threads: rayon::current_num_threads(),
        peak_gflops: speed::peak(kernels),
        bandwidth_gigabytes: speed::bandwidth(),
        data: Data::find(),
        picture_cache: "DIR/.pictures-SIZE-COLOUR",
        terminal: Terminal { is_terminal: is_watched(), columns: console::width(), colors: has_color() },
    };
    let mut console = Console::default();
    if args.json {
        console.line(serde_json::to_string(&report)?);
        return console.finish();
    }
    for finding in report.findings() {
        finding.lines(console::room()).iter().for_each(|line| console.line(line));
    }
    console.finish()
}

impl Report {
    fn findings(&self) -> Vec<Finding> {
        let Self { version, system, architecture, .. } = self;
        vec![
            good("version", format!("cnn {version} for {system} on {architecture}")),
            self.processor(),
            self.kernels(),
            self.threads(),
            self.speed("peak", self.peak_gflops, "GFLOP/s of multiply-adds"),
            self.speed("memory", self.bandwidth_gigabytes, "GB/s read and written"),
            self.data(),
            self.sets(),
            self.caches(),
            self.terminal(),
        ]
    }

    fn processor(&self) -> Finding {
        let Processor { model, features, .. } = &self.processor;
        let model = model.as_deref().unwrap_or("a model that the system does not name");
        let features =
            if features.is_empty() { "none of the known vectors".into() } else { features.join(", ") };
        good("processor", format!("{model}: {features}"))
    }

    fn kernels(&self) -> Finding {
        let Self { kernels, available_kernels, .. } = self;
        let found = format!("{kernels} run; this processor can run {}", available_kernels.join(", "));
        let fastest = available_kernels.last().copied().unwrap_or_default();
        let advice = match (*kernels, fastest) {
            (kernels, fastest) if kernels != fastest => {
                Some(format!("{fastest} are faster: unset {}", Kernels::VARIABLE))
            }
            (_, "portable") => Some("a processor with AVX2 is several times as fast".into()),
            _ => None,
        };
        Finding { topic: "kernels", found, advice }
    }

    fn threads(&self) -> Finding {
        let Self { threads, .. } = self;
        match self.processor.count {
            Some(count) if count > *threads => Finding {
                topic: "threads",
                found: format!("{threads} of {count} processors"),
                advice: Some(
                    "more can be used where an affinity or a quota of this process is lifted".into(),
                ),
            },
            _ => good("threads", format!("{threads}, all that there are processors for")),
        }
    }

    fn speed(&self, topic: &'static str, speed: Speed, unit: &str) -> Finding {
        let (Speed { one_thread, all_threads }, multiple) = (speed, speed.multiple());
        let threads = self.threads;
        let mut found = format!("{one_thread:.1} {unit} on one thread");
        if threads > 1 {
            found += &format!(", {all_threads:.1} on {threads}: {multiple:.1} times as much");
        }
        // One thread alone can fill the memory's bandwidth, but never the peak of several cores.
        let is_short = topic == "peak" && multiple < SHARED * threads as f64;
        let advice = "something else keeps the processors busy, or threads share a core: fewer --threads may be as fast";
        Finding { topic, found, advice: is_short.then(|| advice.into()) }
    }

    fn data(&self) -> Finding {
        let Data { default, problem, is_sample, .. } = &self.data;
        let found = match problem {
            Some(problem) => format!("{default} cannot be read: {problem}"),
            None => format!("{default}, where a command names none"),
        };
        let advice = match (problem, is_sample) {
            (Some(_), _) => Some("point MNIST_DIR to the folder with MNIST's four files, or unset it"),
            (None, true) => Some("for all of MNIST: `cargo xtask fetch-data`, or MNIST_DIR"),
            (None, false) => None,
        };
        Finding { topic: "data", found, advice: advice.map(str::to_owned) }
    }

    fn sets(&self) -> Finding {
        let Data { found, missing, .. } = &self.data;
        let found =
            if found.is_empty() { "none in data/".into() } else { format!("{} in data/", found.join(", ")) };
        let advice = format!("`cargo xtask fetch-data SET` gets {}", missing.join(", "));
        Finding { topic: "sets", found, advice: (!missing.is_empty()).then_some(advice) }
    }

    fn caches(&self) -> Finding {
        let parts = &self.data.parts;
        let found = format!("decoded pictures in {}", self.picture_cache);
        let paths: Vec<_> = parts.iter().map(|path| path.display().to_string()).collect();
        let advice = format!("`cargo xtask fetch-data` goes on with {}", paths.join(", "));
        Finding { topic: "caches", found, advice: (!parts.is_empty()).then_some(advice) }
    }

    fn terminal(&self) -> Finding {
        let Terminal { is_terminal, columns, colors } = self.terminal;
        let found = match (is_terminal, colors) {
            (false, _) => "none: plain lines without colours".into(),
            (true, true) => format!("{columns} columns, with colours"),
            (true, false) => format!("{columns} columns, without colours, for NO_COLOR is set"),
        };
        const NARROW: usize = 60;
        let advice = (is_terminal && columns < NARROW)
            .then(|| format!("with {NARROW} columns or more, pictures and bars have room beside each other"));
        Finding { topic: "terminal", found, advice }
    }
}

fn good(topic: &'static str, found: String) -> Finding {
    Finding { topic, found, advice: None }
}

impl Finding {
    /// In so many columns: what was found beside the topic, and below it what to do.
    fn lines(&self, columns: usize) -> Vec<String> {
        const INDENT: usize = "note  processor  ".len();
        let room = columns.saturating_sub(INDENT).max(10);
        let mark = if self.advice.is_none() { "ok" } else { "note" };
        let mut start = format!("{mark:4}  {:9}  ", self.topic);
        let advice = self.advice.iter().flat_map(|advice| wrapped(&format!("→ {advice}"), room));
        let texts = wrapped(&self.found, room).into_iter().chain(advice);
        texts.map(|text| std::mem::replace(&mut start, " ".repeat(INDENT)) + &text).collect()
    }
}
