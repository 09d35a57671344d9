//! Fetching from folders and from a server of the tests' own, on this machine: what is valid gets its name, and
//! nothing else does.
#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, reason = "helpers of tests may panic, too")]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use mnist_io::download::{self, Mirror, Outcome, Progress, RemoteFile};
use mnist_io::{Error, Result};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const NAME: &str = "digits.gz";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that do not compress to nothing: squares, truncated.
fn original() -> Vec<u8> {
    (0..200_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect()
}

/// What the server sends: whole responses, byte for byte, by path.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(responses: HashMap<&'static str, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self { address, requests: requests.clone() };
        thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &responses, &requests);
            }
        });
        server
    }

    /// A server with one file.
    fn with(response: Vec<u8>) -> Self {
        Self::start(HashMap::from([("/digits.gz", response)]))
    }

    fn mirror(&self) -> Mirror {
        self.address.parse().unwrap()
    }
}

fn answer(mut stream: TcpStream, responses: &HashMap<&'static str, Vec<u8>>, requests: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut request = String::new();
    reader.read_line(&mut request).unwrap();
    let mut header = String::new();
    while reader.read_line(&mut header).unwrap() > 2 {
        header.clear();
    }
    let path = request.split(' ').nth(1).unwrap_or("").to_owned();
    let missing = response("404 Not Found", b"<html>no such page</html>");
    let bytes = responses.get(path.as_str()).unwrap_or(&missing);
    requests.lock().unwrap().push(path);
    // A client that has seen enough may have gone.
    let _ = stream.write_all(bytes);
}

fn response(status: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK", body)
}

fn fetch(folder: &Path, mirrors: &[Mirror]) -> Result<Vec<Outcome>> {
    let bytes = original();
    let sha256 = sha256(&bytes);
    let file = RemoteFile { name: NAME, sha256: &sha256, bytes: bytes.len() as u64 };
    download::fetch(folder, &[file], mirrors, &mut |_| {})
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A server with this response ends in an error that says `expected`, where `{}` stands for the file's address, and
/// leaves nothing behind.
#[track_caller]
fn check_refused(response: Vec<u8>, expected: &str) {
    let (server, target) = (Server::with(response), folder());
    let error = fetch(target.path(), &[server.mirror()]).unwrap_err().to_string();
    let address = format!("{}/{NAME}", server.address);
    let expected = format!("{NAME}: no mirror had it: {}", expected.replace("{}", &address));
    assert!(error.starts_with(&expected), "found    {error}\nexpected {expected}");
    assert_eq!(names(target.path()), [""; 0], "nothing may be left behind");
}

#[test]
fn what_is_not_the_file_is_refused() {
    let zipped = gzip(&original());
    check_refused(response("404 Not Found", b"<html>"), "{}: the server answered 404 Not Found");
    check_refused(
        response("500 Internal Server Error", b""),
        "{}: the server answered 500 Internal Server Error",
    );
    check_refused(response("403 Forbidden", b""), "{}: the server answered 403 Forbidden");
    check_refused(
        ok(b"\n<!DOCTYPE html>\n<title>Sign in</title>"),
        "{}: the server sent a web page, not data: <!DOCTYPE html> <title>Sign in</title>",
    );
    check_refused(
        ok(&[b"<p>".as_slice(), &[b'a'; 100]].concat()),
        &format!("{{}}: the server sent a web page, not data: <p>{}…", "a".repeat(77)),
    );
    check_refused(ok(b""), "{}: expected 200000 decompressed bytes, found 0");
    check_refused(ok(&gzip(&original()[1..])), "{}: expected 200000 decompressed bytes, found 199999");
    check_refused(ok(&gzip(&[0; 300_000])), "{}: expected 200000 decompressed bytes, found more");
    check_refused(
        ok(&gzip(&[0; 200_000])),
        &format!(
            "{{}}: expected a decompressed SHA-256 of {}, found {}",
            sha256(&original()),
            sha256(&[0; 200_000])
        ),
    );
    check_refused(ok(&vec![1; 2_000_000]), "{}: expected at most 1248576 bytes, found more");
    check_refused(ok(&zipped[..zipped.len() / 2]), "{}: broken gzip after ");
    let mut flipped = zipped.clone();
    flipped[zipped.len() - 6] ^= 4;
    check_refused(ok(&flipped), "{}: broken gzip after 200000 decompressed bytes: corrupt gzip stream");
}

#[test]
fn a_cut_connection_is_refused() {
    let zipped = gzip(&original());
    let mut cut = ok(&zipped);
    let missing = 1_000;
    cut.truncate(cut.len() - missing);
    let (arrived, total) = (zipped.len() - missing, zipped.len());
    check_refused(cut, &format!("{{}}: the connection broke after {arrived} bytes of {total}: "));
    check_refused(b"HTTP/1.1 200".to_vec(), "{}: ");
}

#[test]
fn a_redirect_loop_ends() {
    let loops =
        b"HTTP/1.1 302 Found\r\nLocation: /digits.gz\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    check_refused(loops.to_vec(), "{}: error following redirect: too many redirects");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    // A port that was free a moment ago, and is not listened to.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let target = folder();
    let mirror = format!("http://127.0.0.1:{port}/").parse().unwrap();
    let error = fetch(target.path(), &[mirror]).unwrap_err().to_string();
    let expected =
        format!("{NAME}: no mirror had it: http://127.0.0.1:{port}/{NAME}: error sending request: ");
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(names(target.path()), [""; 0]);
}

#[test]
fn a_server_that_speaks_no_tls_is_named() {
    let (server, target) = (Server::with(ok(&gzip(&original()))), folder());
    let address = server.address.replace("http:", "https:");
    let error = fetch(target.path(), &[address.parse().unwrap()]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{NAME}: no mirror had it: {address}/")), "{error}");
    assert_eq!(names(target.path()), [""; 0]);
}

#[test]
fn the_bytes_are_stored_as_they_were_served() {
    let zipped = gzip(&original());
    let (server, target) = (Server::with(ok(&zipped)), folder());
    let nested = target.path().join("made/on/the/way");
    let outcomes = fetch(&nested, &[server.mirror()]).unwrap();
    let path = nested.join(NAME);
    let expected = Outcome { path: path.clone(), bytes: zipped.len() as u64, mirror: Some(server.mirror()) };
    assert_eq!(outcomes, [expected]);
    assert_eq!(fs::read(&path).unwrap(), zipped);
    assert_eq!(names(&nested), [NAME]);
}

#[cfg(unix)]
#[test]
fn a_stored_file_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let (server, target) = (Server::with(ok(&gzip(&original()))), folder());
    fetch(target.path(), &[server.mirror()]).unwrap();
    fs::write(target.path().join("new"), "").unwrap();
    let mode = |name: &str| fs::metadata(target.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode(NAME), mode("new"));
}

#[test]
fn the_next_mirror_is_tried_and_all_are_told() {
    let bad = Server::with(response("503 Service Unavailable", b""));
    let page = Server::with(ok(b"<html>"));
    let good = Server::with(ok(&gzip(&original())));
    let unused = Server::with(ok(&gzip(&original())));
    let target = folder();
    let mirrors = [bad.mirror(), page.mirror(), good.mirror(), unused.mirror()];
    let outcomes = fetch(target.path(), &mirrors).unwrap();
    assert_eq!(outcomes[0].mirror, Some(good.mirror()));
    assert!(unused.requests.lock().unwrap().is_empty());

    let error = fetch(folder().path(), &[bad.mirror(), page.mirror()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{NAME}: no mirror had it: {}/{NAME}: the server answered 503 Service Unavailable; \
             {}/{NAME}: the server sent a web page, not data: <html>",
            bad.address, page.address
        )
    );
    let Error::AllMirrors { attempts, .. } = error else { panic!("{error}") };
    assert!(matches!(attempts[..], [Error::Status { .. }, Error::WebPage { .. }]));
}

#[test]
fn a_valid_file_is_left_alone() {
    for (name, contents) in [(NAME, gzip(&original())), ("digits", original())] {
        let (server, target) = (Server::with(ok(&gzip(&original()))), folder());
        let path = target.path().join(name);
        fs::write(&path, &contents).unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        let outcomes = fetch(target.path(), &[server.mirror()]).unwrap();
        assert_eq!(outcomes, [Outcome { path: path.clone(), bytes: contents.len() as u64, mirror: None }]);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        assert!(server.requests.lock().unwrap().is_empty(), "nothing may be asked for");
    }
}

#[test]
fn an_invalid_file_is_replaced_only_by_a_valid_one() {
    let target = folder();
    let path = target.path().join(NAME);
    fs::write(&path, b"truncated long ago").unwrap();
    let bad = Server::with(response("404 Not Found", b""));
    fetch(target.path(), &[bad.mirror()]).unwrap_err();
    assert_eq!(fs::read(&path).unwrap(), b"truncated long ago");

    let good = Server::with(ok(&gzip(&original())));
    let outcomes = fetch(target.path(), &[good.mirror()]).unwrap();
    assert_eq!(outcomes[0].mirror, Some(good.mirror()));
    assert_eq!(fs::read(&path).unwrap(), gzip(&original()));
}

#[test]
fn folders_are_mirrors_by_path_and_by_url() {
    let (source, zipped) = (folder(), gzip(&original()));
    fs::write(source.path().join(NAME), &zipped).unwrap();
    let path = source.path().to_str().unwrap();
    for mirror in [path.to_owned(), format!("file://{path}"), format!("file://{path}/")] {
        let target = folder();
        fetch(target.path(), &[mirror.parse().unwrap()]).unwrap();
        assert_eq!(fs::read(target.path().join(NAME)).unwrap(), zipped, "{mirror}");
    }
}

#[test]
fn what_is_served_plain_is_named_plain() {
    let source = folder();
    fs::write(source.path().join("digits"), original()).unwrap();
    let from_folder = source.path().to_str().unwrap().parse().unwrap();
    let server = Server::with(ok(&original()));
    for mirror in [from_folder, server.mirror()] {
        let target = folder();
        let outcomes = fetch(target.path(), &[mirror]).unwrap();
        assert_eq!(names(target.path()), ["digits"]);
        assert_eq!(fs::read(&outcomes[0].path).unwrap(), original());
    }
}

#[test]
fn a_mirrors_address_may_have_a_path_and_need_no_slash() {
    let zipped = gzip(&original());
    let server = Server::start(HashMap::from([("/sets/mnist/digits.gz", ok(&zipped))]));
    for ending in ["", "/"] {
        let mirror = format!("{}/sets/mnist{ending}", server.address).parse().unwrap();
        fetch(folder().path(), &[mirror]).unwrap();
    }
}

#[test]
fn what_names_no_place_is_no_mirror() {
    for text in ["", "ftp://example.org/", "http://", "file://elsewhere/mnist"] {
        let error = text.parse::<Mirror>().unwrap_err().to_string();
        assert_eq!(error, format!("expected an http, https or file URL or a folder, found {text:?}"));
    }
}

#[test]
fn progress_tells_what_happens() {
    let (bad, good) = (Server::with(response("404 Not Found", b"")), Server::with(ok(&gzip(&original()))));
    let target = folder();
    fs::write(target.path().join(NAME), b"?").unwrap();
    let (mut told, mut last) = (Vec::new(), None);
    let bytes = original();
    let file = RemoteFile { name: NAME, sha256: &sha256(&bytes), bytes: bytes.len() as u64 };
    download::fetch(target.path(), &[file], &[bad.mirror(), good.mirror()], &mut |progress| match progress {
        Progress::Invalid(_) => told.push("invalid"),
        Progress::Failed(_) => told.push("failed"),
        Progress::Received { bytes, total, .. } => last = Some((bytes, total)),
        Progress::Done(_) => told.push("done"),
        _ => {}
    })
    .unwrap();
    assert_eq!(told, ["invalid", "failed", "done"]);
    let length = gzip(&original()).len() as u64;
    assert_eq!(last, Some((length, Some(length))));
}

#[test]
fn without_mirrors_nothing_is_had() {
    let error = fetch(folder().path(), &[]).unwrap_err().to_string();
    assert_eq!(error, format!("{NAME}: no mirror had it: none was given"));
}

#[test]
fn the_full_set_comes_from_a_folder_and_from_a_server() {
    let Some(full) = std::env::var_os("MNIST_DIR") else {
        eprintln!("skipped: MNIST_DIR does not name a folder with the full set");
        return;
    };
    let full = Path::new(&full);
    let paths = [
        "/train-images-idx3-ubyte.gz",
        "/train-labels-idx1-ubyte.gz",
        "/t10k-images-idx3-ubyte.gz",
        "/t10k-labels-idx1-ubyte.gz",
    ];
    let server = Server::start(
        paths.map(|path| (path, ok(&fs::read(full.join(&path[1..])).unwrap()))).into_iter().collect(),
    );
    for mirror in [full.to_str().unwrap().parse().unwrap(), server.mirror()] {
        let target = folder();
        let fetched = download::mnist(target.path(), &[mirror], &mut |_| {}).unwrap();
        assert!(fetched.iter().all(|outcome| outcome.mirror.is_some()));
        let again = download::mnist(target.path(), &[], &mut |_| {}).unwrap();
        assert!(again.iter().all(|outcome| outcome.mirror.is_none()));
        assert_eq!(names(target.path()).len(), 4);
    }
}
