use crate::{cnn, folder, names};
use std::fs;
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

/// What a program says of `input`; nothing where there is no such program.
#[allow(clippy::print_stderr, reason = "a check that was left out is named")]
fn says(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("not checked: there is no {program}");
            return None;
        }
        child => child.unwrap(),
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{program}: {text}");
    Some(text)
}

#[test]
fn a_script_for_each_shell() {
    let folder = folder();
    for (shell, check) in
        [("bash", true), ("zsh", true), ("fish", true), ("powershell", false), ("elvish", false)]
    {
        let script = cnn(&folder, &format!("completions {shell}")).expect_success();
        for word in ["predict", "learning-rate"] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        if check && let Some(complaints) = says(shell, &["-n"], &script) {
            assert_eq!(complaints, "", "{shell}");
        }
    }
    let run = cnn(&folder, "completions tcsh");
    assert!(
        run.code == Some(2) && run.stderr.contains("bash, elvish, fish, powershell, zsh"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_manual_page_for_each_command() {
    let folder = folder();
    let page = cnn(&folder, "man").expect_success();
    assert!(page.contains("cnn\\-predict(1)"), "{page}");
    let line = cnn(&folder, "man --out share/man1").expect_success();
    let pages = folder.path().join("share/man1");
    let found = names(&pages);
    assert_eq!(line, format!("{} pages → share/man1\n", found.len()));
    for name in ["cnn.1", "cnn-train.1", "cnn-data-show.1", "cnn-man.1"] {
        assert!(found.contains(&name.to_owned()), "no {name} in {found:?}");
    }
    for name in &found {
        let page = fs::read_to_string(pages.join(name)).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains("\"cnn 0."), "{name}: {page}");
        if let Some(complaints) = says("mandoc", &["-T", "lint", "-W", "error"], &page) {
            assert_eq!(complaints, "", "{name}");
        }
        if let Some(shown) = says("man", &["--warnings", "-l", "-"], &page) {
            assert!(shown.contains("SYNOPSIS") && !shown.contains("troff"), "{name}: {shown}");
        }
    }
    cnn(&folder, "man --out share/man1").expect_success();
    fs::write(folder.path().join("file"), "").unwrap();
    cnn(&folder, "man --out file").expect_failure(&["cannot make file"]);
}
