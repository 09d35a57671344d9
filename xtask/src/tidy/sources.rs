//! Rules on Rust code, read as tokens: what stands in a comment or a string is not code.

use super::{File, finding};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// Where `unsafe` may stand.
const UNSAFE: [&str; 2] = ["crates/tensor-ops/src/dispatch.rs", "crates/tensor-ops/src/body/"];
/// Packages whose business is to print.
const PRINTING: [&str; 2] = ["crates/cnn-cli/", "xtask/"];
/// Where `layers` may touch files.
const FILES: [&str; 1] = ["crates/layers/src/file.rs"];
/// Where the network may be touched.
const DOWNLOAD: [&str; 2] = ["crates/mnist-io/src/download.rs", "crates/mnist-io/src/download/"];

/// `unsafe` stands in kernels only, and a block or an `impl` says before it why it is sound.
pub fn no_unsafe(files: &[File]) -> Vec<String> {
    in_code(files, |file, tokens, at| {
        if tokens[at].text != "unsafe" {
            None
        } else if !starts_with_any(&file.path, &UNSAFE) {
            Some(format!("`unsafe`; it may stand only in {}", UNSAFE.join(" and ")))
        } else {
            let obliged = tokens.get(at + 1).is_some_and(|next| next.text == "{" || next.text == "impl");
            let silent = obliged && !has_safety_comment(&file.text, tokens[at].line);
            silent.then(|| "`unsafe`; a comment `// SAFETY:` before it says why it is sound".to_owned())
        }
    })
}

/// Whether `// SAFETY:` begins or is within the comment before the statement that holds the line.
fn has_safety_comment(text: &str, line: usize) -> bool {
    let before: Vec<_> = text.lines().take(line - 1).map(str::trim).collect();
    let is_comment = |line: &&&str| line.starts_with("//");
    let ends = |line: &&&str| line.is_empty() || line.ends_with([';', '{', '}', ',']);
    let comment = before.iter().rev().skip_while(|line| !is_comment(line) && !ends(line));
    comment.take_while(is_comment).any(|line| line.starts_with("// SAFETY:"))
}

/// Every library and binary but `tensor-ops` forbids `unsafe`.
pub fn forbidden_unsafe(files: &[File]) -> Vec<String> {
    let is_root = |path: &str| {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        folder.ends_with("/src/bin") || (folder.ends_with("/src") && (name == "lib.rs" || name == "main.rs"))
    };
    let roots = files.iter().filter(|file| is_root(&file.path) && file.path.ends_with(".rs"));
    let forbids = |file: &File| {
        let tokens = tokens(&file.text);
        let texts: Vec<_> = tokens.iter().map(|token| token.text.as_str()).collect();
        texts.windows(8).any(|window| window == ["#", "!", "[", "forbid", "(", "unsafe_code", ")", "]"])
    };
    let silent = roots.filter(|file| !file.path.starts_with("crates/tensor-ops/") && !forbids(file));
    silent.map(|file| finding(&file.path, 1, "a crate's root says `#![forbid(unsafe_code)]`")).collect()
}

/// A library does not print; programs, examples, benches and tests do.
pub fn no_printing(files: &[File]) -> Vec<String> {
    let may_print = |path: &str| {
        starts_with_any(path, &PRINTING)
            || path.split('/').any(|name| ["examples", "benches", "tests"].contains(&name))
    };
    in_code(files, |file, tokens, at| {
        let Token { text, in_test, .. } = &tokens[at];
        let prints = ["print", "println", "eprint", "eprintln", "dbg"].contains(&text.as_str())
            && tokens.get(at + 1).is_some_and(|next| next.text == "!");
        (prints && !in_test && !may_print(&file.path)).then(|| format!("`{text}!`; a library does not print"))
    })
}

/// The code of `layers` touches files in src/file.rs alone, and only downloading touches the network.
pub fn no_files_or_network(files: &[File]) -> Vec<String> {
    in_code(files, |file, tokens, at| {
        let Token { text, in_test, .. } = &tokens[at];
        if *in_test || !file.path.contains("/src/") {
            return None;
        }
        let of_layers = file.path.starts_with("crates/layers/");
        match text.as_str() {
            "fs" if of_layers && !starts_with_any(&file.path, &FILES) && is_of_std(tokens, at) => {
                Some("`std::fs`; in layers only src/file.rs touches files".to_owned())
            }
            "net" if !starts_with_any(&file.path, &DOWNLOAD) && is_of_std(tokens, at) => {
                Some("`std::net`; only mnist-io's download module touches the network".to_owned())
            }
            "reqwest" if !starts_with_any(&file.path, &DOWNLOAD) => {
                Some("`reqwest`; only mnist-io's download module touches the network".to_owned())
            }
            _ => None,
        }
    })
}

/// Whether the name at `at` is a module of `std`: `std::name` or `use std::{…, name, …}`.
fn is_of_std(tokens: &[Token], at: usize) -> bool {
    let before: Vec<_> = tokens[..at].iter().rev().map(|token| token.text.as_str()).collect();
    let statement: Vec<_> = before.iter().copied().take_while(|&text| text != ";" && text != "}").collect();
    before.starts_with(&[":", ":", "std"])
        || (before.first().is_some_and(|&text| text == "{" || text == ",")
            && statement.windows(4).any(|window| window == ["{", ":", ":", "std"])
            && statement.contains(&"use"))
}

/// A leaf of the syntax, or the opening or closing of a group.
struct Token {
    text: String,
    line: usize,
    /// Whether it stands in an item that is compiled for tests only.
    in_test: bool,
}

/// What is found at the tokens of all Rust files.
fn in_code(files: &[File], what: impl Fn(&File, &[Token], usize) -> Option<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let tokens = tokens(&file.text);
        for (at, token) in tokens.iter().enumerate() {
            findings.extend(what(file, &tokens, at).map(|what| finding(&file.path, token.line, what)));
        }
    }
    findings
}

/// The tokens of a source; none if it is not Rust, which the compiler will say.
fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    flatten(source.parse().unwrap_or_default(), false, &mut tokens);
    tokens
}

fn flatten(stream: TokenStream, in_test: bool, tokens: &mut Vec<Token>) {
    let mut item_in_test = in_test;
    for tree in stream {
        let line = tree.span().start().line;
        let mut push = |text, line| tokens.push(Token { text, line, in_test: item_in_test });
        match tree {
            TokenTree::Group(group) => {
                let [open, close] = match group.delimiter() {
                    Delimiter::Parenthesis => ["(", ")"],
                    Delimiter::Brace => ["{", "}"],
                    Delimiter::Bracket => ["[", "]"],
                    Delimiter::None => ["", ""],
                };
                push(open.to_owned(), line);
                flatten(group.stream(), item_in_test, tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { text: close.to_owned(), line, in_test: item_in_test });
                if is_for_tests(&group) {
                    item_in_test = true;
                } else if group.delimiter() == Delimiter::Brace {
                    item_in_test = in_test;
                }
            }
            leaf => {
                let text = leaf.to_string();
                let ends = text == ";";
                push(text, line);
                if ends {
                    item_in_test = in_test;
                }
            }
        }
    }
}

/// Whether the group is the `[cfg(test)]` of an attribute.
fn is_for_tests(group: &Group) -> bool {
    let text = group.stream().to_string().replace(' ', "");
    group.delimiter() == Delimiter::Bracket && (text == "cfg(test)" || text.starts_with("cfg(all(test,"))
}

/// Whether `path` starts with one of `starts`.
fn starts_with_any(path: &str, starts: &[&str]) -> bool {
    starts.iter().any(|start| path.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn unsafe_is_found() {
        let outside = "crates/layers/src/a.rs:1: `unsafe`; it may stand only in \
                       crates/tensor-ops/src/dispatch.rs and crates/tensor-ops/src/body/";
        check(no_unsafe, &[("crates/layers/src/a.rs", "unsafe fn a() {}")], &[outside]);
        check(no_unsafe, &[("crates/layers/src/a.rs", "// unsafe {}\nconst A: &str = \"unsafe\";")], &[]);
        check(no_unsafe, &[("crates/layers/src/lib.rs", "#![forbid(unsafe_code)]")], &[]);

        let silent = |line| {
            format!(
                "crates/tensor-ops/src/body/a.rs:{line}: `unsafe`; a comment `// SAFETY:` before it says \
                 why it is sound"
            )
        };
        let row = |text, expected: &[&str]| {
            check(no_unsafe, &[("crates/tensor-ops/src/body/a.rs", text)], expected);
        };
        row("fn a() {\n// SAFETY: so\n// and so\nunsafe { b() }\n}", &[]);
        row("fn a() {\n// SAFETY: so\nlet b =\nunsafe { b() };\n}", &[]);
        row("// SAFETY: so\nunsafe impl A for B {}", &[]);
        row("unsafe fn a() {}", &[]);
        row("fn a() {\nunsafe { b() }\n}", &[&silent(2)]);
        row("fn a() {\n// why not\nunsafe { b() }\n}", &[&silent(3)]);
        row("fn a() {\n// SAFETY: so\nc();\nunsafe { b() }\n}", &[&silent(4)]);
        row("unsafe impl A for B {}", &[&silent(1)]);
    }

    #[test]
    fn roots_forbid_unsafe() {
        let good = "//! A crate.\n#![forbid(unsafe_code)]\n";
        let bad = "//! #![forbid(unsafe_code)]\n";
        for path in ["crates/a/src/lib.rs", "xtask/src/main.rs", "crates/a/src/bin/b.rs"] {
            check(forbidden_unsafe, &[(path, good)], &[]);
            let expected = format!("{path}:1: a crate's root says `#![forbid(unsafe_code)]`");
            check(forbidden_unsafe, &[(path, bad)], &[&expected]);
        }
        for path in ["crates/tensor-ops/src/lib.rs", "crates/a/src/b.rs", "crates/a/tests/main.rs"] {
            check(forbidden_unsafe, &[(path, bad)], &[]);
        }
    }

    #[test]
    fn printing_is_found() {
        for name in ["print", "println", "eprint", "eprintln", "dbg"] {
            let text = format!("fn a() {{\n    {name}!(\"b\");\n}}");
            let expected = format!("crates/layers/src/a.rs:2: `{name}!`; a library does not print");
            check(no_printing, &[("crates/layers/src/a.rs", &text)], &[&expected]);
            for path in ["crates/cnn-cli/src/a.rs", "xtask/src/a.rs", "crates/layers/examples/a.rs"] {
                check(no_printing, &[(path, &text)], &[]);
            }
        }
        let row = |text, expected: &[&str]| check(no_printing, &[("crates/layers/src/a.rs", text)], expected);
        row("/// println!()\nfn print() {} // println!()", &[]);
        row("#[cfg(test)]\nmod tests { fn a() { println!() } }", &[]);
        row(
            "#[cfg(all(test, unix))]\nuse a::b;\nfn a() { println!() }",
            &["crates/layers/src/a.rs:3: `println!`; a library does not print"],
        );
        row(
            "#[cfg(not(test))]\nfn a() { println!() }",
            &["crates/layers/src/a.rs:2: `println!`; a library does not print"],
        );
        row(
            "#[cfg(test)]\nmod tests {}\nfn a() { println!() }",
            &["crates/layers/src/a.rs:3: `println!`; a library does not print"],
        );
    }

    #[test]
    fn files_and_network_are_found() {
        let row = |path: &str, text: &str, expected: &[&str]| {
            let expected: Vec<_> = expected.iter().map(|what| format!("{path}:{what}")).collect();
            let expected: Vec<_> = expected.iter().map(String::as_str).collect();
            check(no_files_or_network, &[(path, text)], &expected);
        };
        let file = "1: `std::fs`; in layers only src/file.rs touches files";
        let net = "1: `std::net`; only mnist-io's download module touches the network";
        let request = "1: `reqwest`; only mnist-io's download module touches the network";

        row("crates/layers/src/a.rs", "use std::fs::File;", &[file]);
        row("crates/layers/src/a.rs", "use std::{io, fs};", &[file]);
        row("crates/layers/src/a.rs", "fn a() { std::fs::write(b, c) }", &[file]);
        row("crates/layers/src/a.rs", "use std::{io};\nfn a(net: b, fs: c) { d(fs, net) }", &[]);
        row("crates/layers/src/a.rs", "#[cfg(test)] mod tests { use std::fs; }", &[]);
        row("crates/layers/src/file.rs", "use std::fs;", &[]);
        row("crates/layers/tests/a.rs", "use std::fs;", &[]);
        row("crates/mnist-io/src/idx.rs", "use std::fs;", &[]);

        row("crates/layers/src/file.rs", "use std::net::TcpStream;", &[net]);
        row("crates/cnn-cli/src/main.rs", "use std::{net::TcpStream, io};", &[net]);
        row("crates/mnist-io/src/idx.rs", "fn a() -> reqwest::Error { b }", &[request]);
        row("crates/mnist-io/src/download/mirror.rs", "use std::net; use reqwest::blocking;", &[]);
        row("crates/mnist-io/tests/download.rs", "use std::net::TcpListener;", &[]);
    }
}
