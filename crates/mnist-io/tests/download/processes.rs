//! Fetches by processes of their own: killed, at once, without room, without permission, through a proxy.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use mnist_io::download::{self, Progress};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::server::{Server, ok, part, response};
use super::{NAME, PART, ZIPPED, by_contents, check_complete, fetch, folder, names, patient};

const ADDRESS: &str = "TEST_FETCH_ADDRESS";
const FOLDER: &str = "TEST_FETCH_FOLDER";

/// No test: what a process of its own does, one that runs the program of these tests for this one alone.
#[test]
fn fetching_process() {
    let (Ok(address), Some(folder)) = (env::var(ADDRESS), env::var_os(FOLDER)) else { return };
    let folder = PathBuf::from(folder);
    match fetch(&folder, &[address.parse().unwrap()]) {
        Ok(_) => println!("valid, {:?}", names(&folder)),
        Err(error) => println!("{error}, {:?}", names(&folder)),
    }
}

/// The command for such a process.
fn process(address: &str, folder: &Path) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "processes::fetching_process", "--nocapture"]);
    command.env(ADDRESS, address).env(FOLDER, folder);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

fn output(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// A server that takes its time, so that a moment lies within a file.
fn slow_server() -> Server {
    Server::start(|request, stream| {
        for piece in part(request, &ZIPPED, "").chunks(4096) {
            stream.write_all(piece)?;
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    })
}

#[test]
fn a_fetch_that_is_killed_leaves_nothing_bad() {
    let (server, target) = (slow_server(), folder());
    let start = Instant::now();
    let told = output(process(&server.address, target.path()).spawn().unwrap());
    let whole = start.elapsed();
    assert!(told.contains("valid"), "{told}");
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[1; 32]);
    let mut interrupted = 0;
    for round in 0..50 {
        let target = folder();
        let moment = whole.mul_f64(random.next_u32() as f64 / u32::MAX as f64);
        let mut child = process(&server.address, target.path()).spawn().unwrap();
        thread::sleep(moment);
        child.kill().unwrap();
        child.wait().unwrap();
        let left = names(target.path());
        interrupted += usize::from(left == [PART]);
        match left.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] | [PART] => {}
            [NAME] => check_complete(target.path()),
            _ => panic!("round {round}, killed after {moment:?}: {left:?}"),
        }
        fetch(target.path(), &[server.mirror()])
            .unwrap_or_else(|error| panic!("round {round}, killed after {moment:?}: {error}"));
        check_complete(target.path());
    }
    println!("{interrupted} of 50 were killed on the way");
}

/// The server sends the end to the first when the second is known to wait.
#[test]
fn of_two_fetches_the_second_waits_and_finds_the_file() {
    let target = folder();
    let (waits, waiting) = mpsc::channel();
    let waiting = Mutex::new(waiting);
    let (arrives, arrived) = mpsc::channel();
    let server = Server::start(move |request, stream| {
        let response = part(request, &ZIPPED, "");
        let (beginning, end) = response.split_at(5000);
        stream.write_all(beginning)?;
        arrives.send(()).unwrap();
        waiting.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
        stream.write_all(end)
    });
    thread::scope(|scope| {
        let first = scope.spawn(|| fetch(target.path(), &[server.mirror()]));
        arrived.recv_timeout(Duration::from_secs(60)).unwrap();
        let mirrors = [server.mirror()];
        let second =
            download::fetch(target.path(), &[by_contents()], &mirrors, &patient(), &mut |progress| {
                if let Progress::Waiting { file } = progress {
                    assert_eq!(file, NAME);
                    waits.send(()).unwrap();
                }
            });
        assert!(first.join().unwrap().unwrap()[0].mirror.is_some());
        assert_eq!(second.unwrap()[0].mirror, None, "it was there");
    });
    check_complete(target.path());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn of_many_processes_one_fetches() {
    let (server, target) = (slow_server(), folder());
    let children: Vec<_> = (0..5).map(|_| process(&server.address, target.path()).spawn().unwrap()).collect();
    for told in children.into_iter().map(output) {
        assert!(told.contains("valid"), "{told}");
    }
    check_complete(target.path());
    assert_eq!(server.requests().len(), 1);
}

/// What a process says whose folder is a file system of its own; none where this system does not let a test mount one.
fn in_file_system(options: &str) -> Option<String> {
    let (server, target) = (Server::of(ZIPPED.clone()), folder());
    let script = format!("mount -t tmpfs -o {options} none \"${FOLDER}\" || exit 77; exec \"$0\" \"$@\"");
    let inner = process(&server.address, target.path());
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", &script]);
    command.arg(inner.get_program()).args(inner.get_args());
    command.env(ADDRESS, &server.address).env(FOLDER, target.path());
    let output = command.stdin(Stdio::null()).output().ok()?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    if !told.contains("running 1 test") {
        eprintln!("skipped: no file system can be mounted: {}", String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(told)
}

#[test]
fn a_full_disk_is_told() {
    if let Some(told) = in_file_system("size=16k") {
        assert!(told.contains(&format!("{PART}: No space left on device")), "{told}");
        assert!(!told.contains("no mirror had it"), "{told}");
        assert!(!told.contains(&format!("{NAME:?}")), "{told}");
    }
    // With just enough room, it fits.
    if let Some(told) = in_file_system("size=1m") {
        assert!(told.contains(&format!("valid, [{NAME:?}]")), "{told}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told() {
    if let Some(told) = in_file_system("ro") {
        assert!(told.contains(&format!("{PART}: Read-only file system")), "{told}");
        assert!(told.trim_end().contains(", []"), "{told}");
    }
    let target = folder();
    let file = target.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = fetch(&file.join("mnist"), &[]).unwrap_err().to_string();
    assert!(error.starts_with(file.to_str().unwrap()), "{error}");
}

/// A name that no server could have is reached through the proxy of the environment.
#[test]
fn a_proxy_is_used() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let proxy = {
        let seen = seen.clone();
        Server::start(move |request, stream| {
            seen.lock().unwrap().push(request.path.clone());
            stream.write_all(&ok(&ZIPPED))
        })
    };
    let target = folder();
    let mut command = process("http://mirror.invalid/mnist/", target.path());
    command.env("HTTP_PROXY", &proxy.address).env("http_proxy", &proxy.address);
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let told = output(command.spawn().unwrap());
    assert!(told.contains("valid"), "{told}");
    assert_eq!(*seen.lock().unwrap(), ["http://mirror.invalid/mnist/digits.gz"]);
    check_complete(target.path());
}

/// Of an encrypted connection a proxy is told the server alone, and is asked by every attempt.
#[test]
fn a_proxy_is_used_for_https() {
    let proxy = Server::with(response("403 Forbidden", b""));
    let target = folder();
    let mut command = process("https://mirror.invalid/mnist/", target.path());
    command.env("HTTPS_PROXY", &proxy.address).env("https_proxy", &proxy.address);
    command.env_remove("NO_PROXY").env_remove("no_proxy");
    let told = output(command.spawn().unwrap());
    if told.contains("No CA certificates were loaded") {
        eprintln!("skipped: this system has no certificates");
        return;
    }
    assert!(told.contains("no mirror had it: https://mirror.invalid/mnist/digits.gz: "), "{told}");
    let asked: Vec<_> = proxy.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["mirror.invalid:443"; 3]);
    assert_eq!(names(target.path()), [""; 0]);
}
