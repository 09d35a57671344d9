//! `tidy`: the rules of this workspace that no compiler knows, each a function from its files to findings.

mod documents;
mod manifests;
mod sources;
mod texts;

use crate::workspace::root;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Check the rules of this workspace: dependencies, `unsafe`, printing, files, texts, links.
#[derive(clap::Args)]
pub struct Tidy {}

impl Tidy {
    /// Prints every finding, and fails if there is one.
    pub fn run(self) -> Result<()> {
        let findings = findings(&root())?;
        for finding in &findings {
            println!("{finding}");
        }
        ensure!(findings.is_empty(), "{} findings; to repeat it: cargo xtask tidy", findings.len());
        Ok(())
    }
}

/// A file of the project.
struct File {
    /// The way from the root, with `/` between the names.
    path: String,
    /// The content; nothing if it is not text.
    text: String,
}

/// A rule's findings: `path:line: what is wrong; the rule`.
type Rule = fn(&[File]) -> Vec<String>;

const RULES: [Rule; 14] = [
    manifests::arrows,
    manifests::heavy_dependencies,
    manifests::versions,
    manifests::inheritance,
    manifests::cargo_configuration,
    sources::no_unsafe,
    sources::forbidden_unsafe,
    sources::no_printing,
    sources::no_files_or_network,
    texts::unfinished,
    texts::white_space,
    texts::foreign_paths,
    documents::present,
    documents::links,
];

/// What all rules find in the workspace at `root`.
fn findings(root: &Path) -> Result<Vec<String>> {
    let files = files(root)?;
    Ok(RULES.iter().flat_map(|rule| rule(&files)).collect())
}

/// The one form of a finding.
fn finding(path: &str, line: usize, what: impl std::fmt::Display) -> String {
    format!("{path}:{line}: {what}")
}

/// The files of the project: what git knows or would add or, outside of a checkout, all but what was built.
fn files(root: &Path) -> Result<Vec<File>> {
    let mut paths = match known_to_git(root) {
        Some(paths) => paths,
        None => below(root, "")?,
    };
    paths.sort();
    paths.retain(|path| root.join(path).is_file());
    let read = |path: String| {
        let bytes = fs::read(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        Ok(File { path, text: String::from_utf8(bytes).unwrap_or_default() })
    };
    paths.into_iter().map(read).collect()
}

fn known_to_git(root: &Path) -> Option<Vec<String>> {
    if !root.join(".git").exists() {
        return None;
    }
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let output = git.output().ok().filter(|output| output.status.success())?;
    let paths = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(paths.split_terminator('\0').map(str::to_owned).collect())
}

fn below(root: &Path, folder: &str) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(root.join(folder)).with_context(|| format!("cannot read {folder:?}"))? {
        let entry = entry?;
        let path = format!("{folder}{}", entry.file_name().to_string_lossy());
        match path.as_str() {
            "target" | ".git" => {}
            _ if entry.file_type()?.is_dir() => paths.extend(below(root, &format!("{path}/"))?),
            _ => paths.push(path),
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tidy() {
        let findings = findings(&root()).expect("the workspace can be read");
        assert!(findings.is_empty(), "{} findings:\n{}", findings.len(), findings.join("\n"));
    }

    #[test]
    fn files_are_found_with_and_without_git() {
        let files = files(&root()).expect("the workspace can be read");
        let walked = below(&root(), "").expect("the workspace can be walked");
        assert!(files.iter().all(|file| walked.contains(&file.path)));
        assert!(!walked.iter().any(|path| path.starts_with("target/") || path.starts_with(".git/")));
        let this = files.iter().find(|file| file.path == "xtask/src/tidy.rs").expect("this file");
        assert!(this.text.contains("fn files_are_found_with_and_without_git"));
    }

    /// Asserts what a rule finds in files that are made up.
    pub fn check(rule: Rule, files: &[(&str, &str)], expected: &[&str]) {
        let file = |&(path, text): &(&str, &str)| File { path: path.to_owned(), text: text.to_owned() };
        assert_eq!(rule(&files.iter().map(file).collect::<Vec<_>>()), expected, "in {files:#?}");
    }
}
