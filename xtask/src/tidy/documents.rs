//! Rules on documents: which there are, and where their links lead.

use super::{File, finding};
use pulldown_cmark::{Event, Options, Parser, Tag};

/// Every package has a README, and the project a changelog and a map.
pub fn present(files: &[File]) -> Vec<String> {
    let file = |path: &str| files.iter().find(|file| file.path == path);
    let mut findings = Vec::new();
    for folder in files.iter().filter_map(|file| file.path.strip_suffix("Cargo.toml")) {
        let readme = format!("{folder}README.md");
        if file(&readme).is_none() {
            findings.push(finding(&readme, 1, "missing; every package has one"));
        }
    }
    if file("docs/ARCHITECTURE.md").is_none() {
        findings.push(finding("docs/ARCHITECTURE.md", 1, "missing; it is the map of the project"));
    }
    let is_unreleased = |line: &str| line.starts_with("## ") && line.contains("Unreleased");
    if !file("CHANGELOG.md").is_some_and(|file| file.text.lines().any(is_unreleased)) {
        findings.push(finding("CHANGELOG.md", 1, "a section `## Unreleased` is missing"));
    }
    findings
}

/// A relative link leads to a file or folder of the project.
pub fn links(files: &[File]) -> Vec<String> {
    let exists = |path: &str| {
        let inside = |file: &File| {
            file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        path.is_empty() || files.iter().any(inside)
    };
    let mut findings = Vec::new();
    for File { path, text } in files.iter().filter(|file| file.path.ends_with(".md")) {
        let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_MATH;
        for (event, place) in Parser::new_ext(text, options).into_offset_iter() {
            let Event::Start(Tag::Link { dest_url: url, .. } | Tag::Image { dest_url: url, .. }) = event
            else {
                continue;
            };
            let target = url.split('#').next().unwrap_or_default();
            if !target.is_empty()
                && !is_absolute(&url)
                && !resolved(path, target).is_some_and(|to| exists(&to))
            {
                let line = text[..place.start].matches('\n').count() + 1;
                findings.push(finding(path, line, format!("`{url}`; a link leads to something that exists")));
            }
        }
    }
    findings
}

/// Whether the link begins with a scheme, such as `https:`.
fn is_absolute(url: &str) -> bool {
    url.split_once(':').is_some_and(|(scheme, _)| scheme.chars().all(|c| c.is_ascii_alphanumeric()))
}

/// The path from the root that `target` means in the file at `path`; none if it leads out of the project.
fn resolved(path: &str, target: &str) -> Option<String> {
    let mut names: Vec<_> = path.split('/').collect();
    names.pop();
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            _ => names.push(name),
        }
    }
    Some(names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn missing_documents_are_found() {
        let good = [
            ("Cargo.toml", ""),
            ("README.md", ""),
            ("crates/a/Cargo.toml", ""),
            ("crates/a/README.md", ""),
            ("CHANGELOG.md", "# Changelog\n\n## [Unreleased]\n"),
            ("docs/ARCHITECTURE.md", ""),
        ];
        check(present, &good, &[]);
        check(
            present,
            &[("Cargo.toml", ""), ("crates/a/Cargo.toml", ""), ("CHANGELOG.md", "Unreleased\n")],
            &[
                "README.md:1: missing; every package has one",
                "crates/a/README.md:1: missing; every package has one",
                "docs/ARCHITECTURE.md:1: missing; it is the map of the project",
                "CHANGELOG.md:1: a section `## Unreleased` is missing",
            ],
        );
    }

    #[test]
    fn broken_links_are_found() {
        let row = |text, expected: &[&str]| {
            let files = [("docs/a.md", text), ("docs/b/c.md", ""), ("README.md", ""), ("x.png", "")];
            let expected: Vec<_> = expected
                .iter()
                .map(|row| row.split_once(' ').expect("a line and a link"))
                .map(|(line, url)| {
                    format!("docs/a.md:{line}: `{url}`; a link leads to something that exists")
                })
                .collect();
            check(links, &files, &expected.iter().map(String::as_str).collect::<Vec<_>>());
        };
        row("[a](b/c.md) [b](./b) [c](b/) [d](../README.md#top) [e](#f) [g](..)\n\n![h](../x.png)", &[]);
        row("[a](https://example.org/a) <mailto:a@example.org> [b]\n\n[b]: http://example.org", &[]);
        row("`[a](none)` $W[i](none)$\n\n```text\n[a](none)\n```\n", &[]);
        row("[a](none.md)", &["1 none.md"]);
        row("a\n\n[a](b/c) ![b](x.png)", &["3 b/c", "3 x.png"]);
        row("[a]\n\n[a]: none.md#b", &["1 none.md#b"]);
        row("[a](../../README.md)", &["1 ../../README.md"]);
    }
}
