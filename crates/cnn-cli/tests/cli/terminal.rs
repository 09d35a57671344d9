//! What a person sees: the binary in a terminal that the test made.

use crate::{cnn, folder};
use layers::{Model, Network, Normalization};
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
    resized(&[columns], variables, arguments)
}

/// What a run prints in a terminal that changes its width while it runs.
fn resized(columns: &[u16], variables: &[(&str, &str)], arguments: &str) -> String {
    let size = |columns| Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(OsStr::from_bytes(name.to_bytes())).unwrap();
    tcsetwinsize(&terminal, size(columns[0])).unwrap();

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
    let mut controller = File::from(controller);
    for &columns in &columns[1..] {
        let mut part = [0; 1000];
        let length = controller.read(&mut part).unwrap();
        output.extend_from_slice(&part[..length]);
        tcsetwinsize(&controller, size(columns)).unwrap();
    }
    // Where nobody writes to the terminal any more, Linux calls that an error.
    let _ = controller.read_to_end(&mut output);
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

/// Its first step is drawn at once, however fast the machine.
const LONG: &str = "train --preset lenet --epochs 4 --run r";

/// Bars, redrawn in place, and the lines that stay once each; nothing of the bars at the end.
#[test]
fn training_is_seen_live() {
    let output = watched(160, &[], LONG);
    assert!(output.contains("images/s, ") && output.contains('━'), "{output:?}");
    for epoch in 1..=4 {
        assert_eq!(output.matches(&format!("Epoch {epoch}: loss ")).count(), 1, "{output:?}");
    }
    let screen = screen(&output, 160);
    assert!(!screen.contains('━') && !screen.contains("images/s"), "{screen}");
    assert!(screen.contains("Test Accuracy: ") && screen.contains("Network: lenet"), "{screen}");

    let piped = cnn(&folder(), LONG).expect_success();
    assert!(!piped.contains(['\x1b', '\r', '━']), "{piped:?}");
    let seconds = |text: &str| text.lines().filter(|line| !line.starts_with("Epoch ")).count();
    assert_eq!(seconds(&piped), seconds(&screen), "{screen}");
}

#[test]
fn without_colours_the_bars_are_plain() {
    let colours = |output: &str| output.contains("\x1b[36m") || output.contains("\x1b[2m");
    assert!(colours(&watched(100, &[], LONG)));
    assert!(!colours(&watched(100, &[("NO_COLOR", "1")], LONG)));
    // A terminal that can do nothing but print gets lines.
    assert!(!watched(100, &[("TERM", "dumb")], LONG).contains('\x1b'));
}

/// In a narrow terminal the bars stay on their lines, too: nothing of them is left behind.
#[test]
fn bars_in_a_narrow_terminal() {
    for columns in [59, 30, 10] {
        let output = watched(columns, &[], LONG);
        assert!(output.contains("epoch 1/4 ") && !output.contains('━'), "{output:?}");
        let screen = screen(&output, columns.into()).replace('\n', "");
        assert!(!screen.contains("epoch 1/4") && screen.contains("Accuracy: "), "{columns}: {screen}");
    }
    let output = resized(&[100, 40, 80], &[], LONG);
    assert!(output.contains("Test Accuracy: "), "{output:?}");
}

#[test]
fn a_report_fits_the_terminal() {
    let models = folder();
    let model = models.path().join("m");
    let network = Network::new(
        &"28x28: residual(conv 8 3 same relu, conv 8 3 same | conv 8 1), dense 10".parse().unwrap(),
    );
    let network = network.unwrap();
    let (parameters, normalization) = (network.initial_parameters(1), Normalization { mean: 0.0, std: 1.0 });
    Model { network, parameters, normalization, class_names: Vec::new() }.save(&model).unwrap();
    let inspect = format!("inspect {} --sample 1", model.display());
    for (columns, arguments, expected) in [
        (40, "doctor", "processor"),
        (80, "doctor", "80 columns, with colours"),
        (120, "doctor", "120 columns, with colours"),
        (40, &inspect, "  a flat row of 10, learns 62730"),
        (80, &inspect, "  a flat row of 10, learns 62730 numbers, 62720 multiply-adds"),
        (140, &inspect, "62,730         62,720"),
    ] {
        let output = watched(columns, &[], arguments);
        assert!(output.contains(expected), "{arguments}, {columns} columns: {output}");
        assert!(
            widths(&output).into_iter().all(|width| width <= columns.into()),
            "{columns} columns: {output}"
        );
    }
}

/// What is left on a terminal of so many columns when all of this was printed: a small part of what a terminal does.
fn screen(output: &str, columns: usize) -> String {
    let mut rows: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0, 0);
    let mut characters = output.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => {
                row += 1;
                column = 0;
                rows.resize(rows.len().max(row + 1), Vec::new());
            }
            '\r' => column = 0,
            '\x1b' => {
                assert_eq!(characters.next(), Some('['));
                let mut number = String::new();
                while let Some(&digit) = characters.peek() {
                    if !digit.is_ascii_digit() && !matches!(digit, ';' | '?') {
                        break;
                    }
                    number.push(digit);
                    characters.next();
                }
                let count = number.parse().unwrap_or(1);
                match characters.next().unwrap() {
                    'A' => row -= count.min(row),
                    'B' => {
                        row += count;
                        rows.resize(rows.len().max(row + 1), Vec::new());
                    }
                    'K' if number == "2" => rows[row].clear(),
                    'K' => rows[row].truncate(column),
                    'J' => rows.truncate(row + 1),
                    'm' | 'h' | 'l' => {}
                    other => panic!("an escape sequence that is not known: {number}{other}"),
                }
            }
            character => {
                if column == columns {
                    row += 1;
                    column = 0;
                    rows.resize(rows.len().max(row + 1), Vec::new());
                }
                let line = &mut rows[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                column += 1;
            }
        }
    }
    let lines = rows.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned() + "\n");
    lines.collect::<String>().trim_end().to_owned() + "\n"
}
