//! The guard of the kernels' speed that holds on a busy machine: their instructions, counted by callgrind.
//!
//! A bench calls each kernel within a function `counted` and prints the kernel's name; callgrind counts what is within
//! that function, and writes a file at each return from it. The default profile is counted, which is what the tests
//! were built with; it is one of incremental builds, and others do not give the same code.

use crate::debian;
use crate::workspace::{command, is_there, output, root};
use anyhow::{Context, Result, ensure};
use std::fmt::Write;
use std::fs;
use toml::{Table, Value};

/// Where the counts that are compared with stand.
const BASELINE: &str = "crates/tensor-ops/benches/instructions.toml";

/// The benches that count, with their options; of the workspace, so that what the tests built is used.
const BENCHES: [&str; 2] = [
    "cargo test --workspace --bench instructions --",
    "cargo test --workspace --bench steps -- --repeat 20 --only tutorial-step",
];

/// More than this, as a share of the baseline, fails.
const LIMIT: f64 = 1.03;

/// What was counted with a compiler.
struct Counts {
    rustc: String,
    /// Instructions by name, in the order they ran.
    counts: Vec<(String, u64)>,
}

/// Counts the instructions and compares them with the baseline, or makes them the baseline.
pub fn run(save: bool) -> Result<()> {
    if let Some(why) = hindrance() {
        println!("Skipped: {why}.");
        return Ok(());
    }
    let found = Counts::count()?;
    let path = root().join(BASELINE);
    if save {
        return fs::write(path, found.to_toml()).with_context(|| format!("cannot write {BASELINE}"));
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {BASELINE}"))?;
    let baseline = Counts::parse(&text).with_context(|| format!("{BASELINE}: not what --save writes"))?;
    let worse = compare(&baseline, &found);
    if baseline.rustc != found.rustc {
        println!("Not judged: the baseline is from rustc {}, this is {}.", baseline.rustc, found.rustc);
        return Ok(());
    }
    ensure!(
        worse.is_empty(),
        "{}; if that is meant: cargo xtask bench --instructions --save",
        worse.join("; ")
    );
    Ok(())
}

/// Why instructions cannot be counted here, if they cannot. Where everything is checked, valgrind is installed first.
fn hindrance() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    let has_avx2 = false;
    if !has_avx2 {
        return Some("the baseline is of AVX2 kernels, which this processor does not have");
    }
    debian::provide("valgrind");
    (!is_there("valgrind")).then_some("instructions are counted by valgrind, which is not installed")
}

impl Counts {
    /// Runs the benches under callgrind.
    fn count() -> Result<Self> {
        let version = output(&mut command("rustc --version --verbose"))?;
        let field =
            |name| version.lines().find_map(|line| line.strip_prefix(name)).context("rustc's version");
        let (rustc, host) = (field("release: ")?.to_owned(), field("host: ")?);

        let mut counts = Vec::new();
        for bench in BENCHES {
            let folder = tempfile::tempdir()?;
            let files = folder.path().join("counts");
            let runner = [
                "valgrind".to_owned(),
                "--quiet".to_owned(),
                "--tool=callgrind".to_owned(),
                "--toggle-collect=*::counted".to_owned(),
                "--dump-after=*::counted".to_owned(),
                format!("--callgrind-out-file={}", files.display()),
            ];
            let mut bench = command(bench);
            bench.env(
                format!("CARGO_TARGET_{}_RUNNER", host.to_uppercase().replace('-', "_")),
                runner.join(" "),
            );
            let names = output(bench.env("CNN_KERNELS", "avx2").env("CARGO_INCREMENTAL", "1"))?;
            for (index, name) in names.lines().enumerate() {
                let path = format!("{}.{}", files.display(), index + 1);
                let text =
                    fs::read_to_string(&path).with_context(|| format!("no count of {name}: {path}"))?;
                let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
                let total = total.and_then(|total| total.trim().parse().ok());
                counts.push((name.to_owned(), total.with_context(|| format!("no total in {path}"))?));
            }
        }
        Ok(Self { rustc, counts })
    }

    fn to_toml(&self) -> String {
        let mut text = format!(
            "# Instructions of a call with AVX2 kernels in the default profile.\n\
             # `cargo xtask bench --instructions` compares with them; with --save, it writes them.\n\
             rustc = {:?}\n\n[counts]\n",
            self.rustc
        );
        for (name, count) in &self.counts {
            let _ = writeln!(text, "{name:?} = {count}");
        }
        text
    }

    fn parse(text: &str) -> Option<Self> {
        let table: Table = text.parse().ok()?;
        let count =
            |(name, value): (&String, &Value)| Some((name.clone(), u64::try_from(value.as_integer()?).ok()?));
        let counts = table.get("counts")?.as_table()?.iter().map(count).collect::<Option<_>>()?;
        Some(Self { rustc: table.get("rustc")?.as_str()?.to_owned(), counts })
    }
}

/// Prints each count beside the baseline's, and gives back what is worse and what cannot be compared.
fn compare(baseline: &Counts, found: &Counts) -> Vec<String> {
    fn get(counts: &Counts, name: &str) -> Option<u64> {
        counts.counts.iter().find(|row| row.0 == name).map(|row| row.1)
    }
    let mut worse = Vec::new();
    println!("{:<48} {:>12} {:>12} {:>8}", "instructions", "baseline", "now", "change");
    for (name, now) in &found.counts {
        let Some(before) = get(baseline, name) else {
            worse.push(format!("{name} is not in the baseline"));
            continue;
        };
        let ratio = *now as f64 / before as f64;
        println!("{name:<48} {before:>12} {now:>12} {:>+6.1} %", 100.0 * (ratio - 1.0));
        if ratio > LIMIT {
            worse.push(format!("{name}: expected at most 3 % more than {before} instructions, found {now}"));
        }
    }
    for (name, _) in baseline.counts.iter().filter(|(name, _)| get(found, name).is_none()) {
        worse.push(format!("{name} is in the baseline and was not counted"));
    }
    worse
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, u64)]) -> Counts {
        let counts = rows.iter().map(|&(name, count)| (name.to_owned(), count)).collect();
        Counts { rustc: "1.2.3".to_owned(), counts }
    }

    #[test]
    fn what_is_saved_is_read() {
        let saved = counts(&[("a 1x1", 7), ("\"b\"", 9)]);
        let read = Counts::parse(&saved.to_toml()).expect("it is TOML");
        assert_eq!(read.rustc, saved.rustc);
        assert!(compare(&saved, &read).is_empty() && compare(&read, &saved).is_empty());
        for text in
            ["", "rustc = \"1\"", "rustc = \"1\"\n[counts]\na = \"b\"", "rustc = \"1\"\n[counts]\na = -1"]
        {
            assert!(Counts::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn more_than_three_percent_more_is_worse() {
        let check = |baseline: &[(&str, u64)], found: &[(&str, u64)], expected: &[&str]| {
            assert_eq!(compare(&counts(baseline), &counts(found)), expected);
        };
        check(&[("a", 1000), ("b", 1000)], &[("b", 1030), ("a", 1)], &[]);
        check(
            &[("a", 1000), ("b", 1000)],
            &[("a", 1000), ("b", 1031)],
            &["b: expected at most 3 % more than 1000 instructions, found 1031"],
        );
        check(&[("a", 1)], &[("a", 1), ("b", 1)], &["b is not in the baseline"]);
        check(&[("a", 1), ("b", 1)], &[("a", 1)], &["b is in the baseline and was not counted"]);
    }
}
