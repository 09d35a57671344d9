//! What processor this is.

use serde::Serialize;
use std::{env, fs};

#[derive(Serialize)]
pub struct Processor {
    /// As it calls itself, where the system says so.
    pub model: Option<String>,
    /// How many the machine has, where the system says so.
    pub count: Option<usize>,
    /// Of the instructions that matter here, those it has.
    pub features: Vec<&'static str>,
}

impl Processor {
    pub fn find() -> Self {
        // Linux has this file; Windows has the variable.
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let value = |line: &str| line.split_once(':').map(|(_, value)| value.trim().to_owned());
        let model = info.lines().find(|line| line.starts_with("model name")).and_then(value);
        let count = info.lines().filter(|line| line.starts_with("processor")).count();
        Self {
            model: model.or_else(|| env::var("PROCESSOR_IDENTIFIER").ok()),
            count: (count > 0).then_some(count),
            features: features(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    macro_rules! those_found {
        ($($name:tt),*) => { [$(($name, std::is_x86_feature_detected!($name))),*] };
    }
    let found = those_found!("avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl");
    found.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    Vec::new()
}
