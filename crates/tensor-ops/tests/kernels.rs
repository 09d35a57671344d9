//! No instruction set that the processor has may be left out.

use std::collections::HashSet;
use tensor_ops::{Error, Kernels};

#[test]
fn what_the_processor_has_is_available() {
    let names: Vec<_> = Kernels::available().map(Kernels::name).collect();
    let mut expected = vec!["naive", "portable"];
    if processor_has(&["avx2", "fma"]) {
        expected.push("avx2");
    }
    if processor_has(&["avx512f", "avx512bw", "avx512dq", "avx512vl"]) {
        expected.push("avx512");
    }
    assert_eq!(names, expected);
    assert_eq!(Kernels::detect().name(), expected[expected.len() - 1]);
    for name in ["avx2", "avx512"] {
        assert_eq!(name.parse::<Kernels>().is_ok(), expected.contains(&name), "{name}");
    }
}

#[test]
fn names_are_checked() {
    for name in ["", "AVX2", "sse9"] {
        assert_eq!(name.parse::<Kernels>(), Err(Error::UnknownKernels { found: name.to_owned() }));
    }
}

/// Asks the operating system where it tells, which is independent of the library's own test.
fn processor_has(flags: &[&str]) -> bool {
    if cfg!(not(target_arch = "x86_64")) {
        return false;
    }
    if let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") {
        let line = text.lines().find(|line| line.starts_with("flags")).expect("/proc/cpuinfo has flags");
        let found: HashSet<_> = line.split_whitespace().collect();
        return flags.iter().all(|flag| found.contains(flag));
    }
    #[cfg(target_arch = "x86_64")]
    return flags.iter().all(|&flag| match flag {
        "avx2" => std::is_x86_feature_detected!("avx2"),
        "fma" => std::is_x86_feature_detected!("fma"),
        _ => std::is_x86_feature_detected!("avx512f"),
    });
    #[cfg(not(target_arch = "x86_64"))]
    false
}
