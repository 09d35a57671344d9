//! Rules on the characters of a file.

use super::{File, finding};

/// Words that say something is unfinished. Those here and below are in two pieces, so that this file may
/// hold them.
const UNFINISHED: [&str; 6] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("#[", "ignore"),
];

/// Where the home of a user or a place to work in begins.
const FOREIGN: [&str; 4] =
    [concat!("/", "home/"), concat!("/", "root/"), concat!("/", "work/"), concat!("/", "Users/")];

/// The longest Rust file, in lines.
const LONGEST: usize = 600;

/// Nothing is left for later.
pub fn unfinished(files: &[File]) -> Vec<String> {
    in_lines(files, is_ours, |line| {
        let word = UNFINISHED.iter().find(|&&word| line.contains(word))?;
        Some(format!("`{word}`; what is here is finished, and every test runs"))
    })
}

/// White space is spaces between words and single line ends; a Rust file is not too long to be one idea.
pub fn white_space(files: &[File]) -> Vec<String> {
    let mut findings = in_lines(files, is_ours, |line| {
        let what = if line.contains('\t') {
            "a tab; spaces are used"
        } else if line.ends_with(char::is_whitespace) {
            "white space before the end of the line"
        } else {
            return None;
        };
        Some(what.to_owned())
    });
    for File { path, text } in files.iter().filter(|file| is_ours(file)) {
        let lines = text.lines().count();
        if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
            findings.push(finding(path, lines, "a file ends in one line end"));
        }
        if path.ends_with(".rs") && lines > LONGEST {
            findings.push(finding(path, lines, format!("{lines} lines; a file has at most {LONGEST}")));
        }
    }
    findings
}

/// No path of a developer's machine. The lock file is cargo's.
pub fn foreign_paths(files: &[File]) -> Vec<String> {
    let here = |line: &str, start: usize| {
        let before = line[..start].chars().next_back();
        before.is_none_or(|before| !before.is_alphanumeric() && !"._-~})".contains(before))
    };
    in_lines(
        files,
        |file| file.path != "Cargo.lock",
        |line| {
            let at = |path: &&&str| line.match_indices(**path).any(|(start, _)| here(line, start));
            let path = FOREIGN.iter().find(at)?;
            Some(format!("`{path}`; a path of one machine means nothing on another"))
        },
    )
}

/// What is found in the lines of the chosen files.
fn in_lines(
    files: &[File],
    chosen: impl Fn(&File) -> bool,
    what: impl Fn(&str) -> Option<String>,
) -> Vec<String> {
    let mut findings = Vec::new();
    for File { path, text } in files.iter().filter(|file| chosen(file)) {
        for (index, line) in text.split('\n').enumerate() {
            findings.extend(what(line).map(|what| finding(path, index + 1, what)));
        }
    }
    findings
}

/// Whether a file is of a kind that is written by hand.
fn is_ours(file: &File) -> bool {
    [".rs", ".toml", ".md"].iter().any(|kind| file.path.ends_with(kind))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn unfinished_words_are_found() {
        for word in UNFINISHED {
            let what = format!("a.rs:2: `{word}`; what is here is finished, and every test runs");
            check(unfinished, &[("a.rs", &format!("// fine\n  {word} x\n"))], &[&what]);
            check(unfinished, &[("a.py", word)], &[]);
        }
        check(unfinished, &[("a.md", "To do is not to-do.\n")], &[]);
    }

    #[test]
    fn white_space_is_found() {
        let row = |text: &str, expected: &[&str]| check(white_space, &[("a.rs", text)], expected);
        row("", &[]);
        row("fn a() {}\n\n    fn b() {}\n", &[]);
        row("a\n\tb\n", &["a.rs:2: a tab; spaces are used"]);
        row("a \n", &["a.rs:1: white space before the end of the line"]);
        row("a\r\nb\n", &["a.rs:1: white space before the end of the line"]);
        row("a\nb", &["a.rs:2: a file ends in one line end"]);
        row("a\n\n", &["a.rs:2: a file ends in one line end"]);
        row(&"a\n".repeat(600), &[]);
        row(&"a\n".repeat(601), &["a.rs:601: 601 lines; a file has at most 600"]);
        check(white_space, &[("Makefile", "\ta \n\n"), ("long.md", &"a\n".repeat(601))], &[]);
    }

    #[test]
    fn foreign_paths_are_found() {
        for path in FOREIGN {
            let what = format!("a.sh:1: `{path}`; a path of one machine means nothing on another");
            for text in [format!("cd {path}me"), format!("file://{path}me"), format!("x={path}me")] {
                check(foreign_paths, &[("a.sh", &text)], &[&what]);
                check(foreign_paths, &[("Cargo.lock", &text)], &[]);
            }
            for text in [format!("..{path}me"), format!("example.org{path}me"), path.replace('/', "")] {
                check(foreign_paths, &[("a.sh", &text)], &[]);
            }
        }
    }
}
