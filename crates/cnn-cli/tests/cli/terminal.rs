//! What a person sees: the binary in a terminal that the test made.

use crate::{cnn, folder};
use mnist_io::sample;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

/// What a run prints in a terminal of so many columns.
fn watched(columns: u16, variables: &[(&str, &str)], arguments: &str) -> String {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).unwrap();
    tcsetwinsize(&terminal, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();

    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cnn"));
    command.current_dir(&folder).args(arguments.split_whitespace()).stdout(terminal);
    for variable in ["MNIST_DIR", "CNN_KERNELS", "NO_COLOR"] {
        command.env_remove(variable);
    }
    let mut child = command.env("TERM", "xterm").envs(variables.iter().copied()).spawn().unwrap();
    // The command holds the test's end of the terminal, which would keep it open.
    drop(command);
    let mut output = Vec::new();
    // Where nobody writes to the terminal any more, Linux calls that an error.
    let _ = File::from(controller).read_to_end(&mut output);
    assert!(child.wait().unwrap().success());
    String::from_utf8(output).unwrap().replace("\r\n", "\n")
}

/// The columns of each line, without what sets colours.
fn widths(output: &str) -> Vec<usize> {
    let visible = |line: &str| {
        let mut parts = line.split("\x1b[");
        let first = parts.next().map_or(0, |part| part.chars().count());
        first + parts.map(|part| part.split_once('m').unwrap().1.chars().count()).sum::<usize>()
    };
    output.lines().map(visible).collect()
}

#[test]
fn greys_are_colours_in_a_terminal_and_letters_elsewhere() {
    let show = "data show --count 3";
    let output = watched(100, &[], show);
    // The first image is black at its corner, so the first character of the second line is.
    assert_eq!(sample::train().unwrap().image(0)[0], 0);
    let line = output.lines().nth(1).unwrap();
    assert!(line.starts_with("\x1b[38;5;16;48;5;16m▀") && line.ends_with("\x1b[0m"), "{line:?}");
    assert_eq!(widths(&output)[1..], [3 * 28 + 2; 14], "three side by side");

    let piped = cnn(&folder(), show).expect_success();
    assert!(!piped.contains('\x1b'), "{piped}");
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert_eq!(watched(80, &[variable], show), piped, "{variable:?}");
    }
}

#[test]
fn a_narrow_terminal_is_not_overrun() {
    for (columns, lines) in [(57, 2 * 15), (56, 3 * 15), (28, 3 * 15), (10, 3 * 6), (1, 3 * 2)] {
        let output = watched(columns, &[], "data show --count 3");
        let widths = widths(&output);
        assert_eq!(widths.len(), lines, "{columns} columns: {output}");
        assert!(widths.iter().all(|&width| width <= columns.into()), "{columns} columns: {widths:?}");
    }
}

/// Bars of the terminal's own characters where somebody watches.
#[test]
fn counts_have_bars() {
    assert!(watched(80, &[], "data info").contains('█'));
    let piped = cnn(&folder(), "data info").expect_success();
    assert!(piped.contains('#') && !piped.contains('█') && !piped.contains('\x1b'), "{piped}");
}
