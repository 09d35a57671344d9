//! What servers do: each ends in a clear error or a valid file, soon, and never in a bad file under its final name.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use mnist_io::download::{self, Options};

use super::server::{Server, ok, response, response_with};
use super::{
    CONTENTS, NAME, ORIGINAL, PART, ZIPPED, as_served, by_contents, check_complete, fetch, folder, gzip,
    names, patient, sha256,
};

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
    for status in ["403 Forbidden", "404 Not Found", "500 Internal Server Error", "503 Service Unavailable"] {
        check_refused(response(status, b"<html>"), &format!("{{}}: the server answered {status}"));
    }
    check_refused(
        ok(b"\n<!DOCTYPE html>\n<title>Sign in</title>"),
        "{}: the server sent a web page, not data: <!DOCTYPE html> <title>Sign in</title>",
    );
    check_refused(
        ok(&[b"<p>".as_slice(), &[b'a'; 100]].concat()),
        &format!("{{}}: the server sent a web page, not data: <p>{}…", "a".repeat(77)),
    );
    check_refused(ok(b""), "{}: expected 200000 decompressed bytes, found 0");
    check_refused(ok(&gzip(&ORIGINAL[1..])), "{}: expected 200000 decompressed bytes, found 199999");
    check_refused(ok(&gzip(&[0; 300_000])), "{}: expected 200000 decompressed bytes, found more");
    check_refused(
        ok(&gzip(&[0; 200_000])),
        &format!("{{}}: expected decompressed SHA-256 {}, found {}", *CONTENTS, sha256(&[0; 200_000])),
    );
    check_refused(ok(&vec![1; 2_000_000]), "{}: expected at most 1248576 bytes, found more");
    check_refused(ok(&ZIPPED[..ZIPPED.len() / 2]), "{}: broken gzip after ");
    let mut flipped = ZIPPED.clone();
    flipped[ZIPPED.len() - 6] ^= 4;
    check_refused(ok(&flipped), "{}: broken gzip after 200000 decompressed bytes: corrupt gzip stream");
    check_refused(b"HTTP/1.1 200".to_vec(), "{}: ");
    check_refused(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(), "{}: ");
}

/// What may pass is asked for again, and what does not pass is not.
#[test]
fn retries_are_counted() {
    for (status, requests) in
        [("404 Not Found", 1), ("403 Forbidden", 1), ("500 E", 3), ("503 E", 3), ("429 E", 3)]
    {
        let server = Server::with(response(status, b""));
        fetch(folder().path(), &[server.mirror()]).unwrap_err();
        assert_eq!(server.requests().len(), requests, "{status}");
    }
}

#[test]
fn a_redirect_is_followed_and_a_loop_ends() {
    check_refused(
        response_with("302 Found", "Location: /digits.gz\r\n", b""),
        "{}: error following redirect: too many redirects",
    );
    let (good, target) = (Server::of(ZIPPED.clone()), folder());
    let location = format!("Location: {}/elsewhere\r\n", good.address);
    let server = Server::with(response_with("302 Found", &location, b""));
    fetch(target.path(), &[server.mirror()]).unwrap();
    check_complete(target.path());
}

/// More is announced than comes: what came stays for the next time, under its own name.
#[test]
fn a_content_length_that_is_too_large_is_refused() {
    let mut short = ok(&ZIPPED);
    short.truncate(short.len() - 1000);
    let (server, target) = (Server::with(short), folder());
    let error = fetch(target.path(), &[server.mirror()]).unwrap_err().to_string();
    let (arrived, total) = (ZIPPED.len() - 1000, ZIPPED.len());
    let expected = format!("/{NAME}: the connection broke after {arrived} bytes of {total}: ");
    assert!(error.contains(&expected), "{error}");
    assert_eq!(names(target.path()), [PART]);
}

#[test]
fn a_content_length_that_is_too_small_is_refused() {
    let whole = String::from_utf8_lossy(&ok(&[])).replace("Content-Length: 0", "Content-Length: 5000");
    check_refused([whole.as_bytes(), &ZIPPED].concat(), "{}: broken gzip after ");
}

#[test]
fn without_a_content_length_the_checksum_tells() {
    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
    let (server, target) = (Server::with([head, ZIPPED.as_slice()].concat()), folder());
    fetch(target.path(), &[server.mirror()]).unwrap();
    check_complete(target.path());
    check_refused([head, &ZIPPED[..50_000]].concat(), "{}: broken gzip after ");
}

/// Compressed on the way: the file's own gzip may be called that, and may be within another.
#[test]
fn gzip_on_the_way_is_undone() {
    let chunked = |body: &[u8]| {
        let chunks: Vec<Vec<u8>> = body
            .chunks(30_000)
            .chain([&[][..]])
            .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat())
            .collect();
        chunks.concat()
    };
    let transfer = |body: &[u8]| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n";
        [head.as_bytes(), &chunked(body)].concat()
    };
    let content = |body: &[u8]| response_with("200 OK", "Content-Encoding: gzip\r\n", body);
    let wrapped = gzip(&ZIPPED);
    for response in [content(&ZIPPED), content(&wrapped), transfer(&ZIPPED), transfer(&wrapped)] {
        for file in [by_contents(), as_served()] {
            let (server, target) = (Server::with(response.clone()), folder());
            download::fetch(target.path(), &[file], &[server.mirror()], &patient(), &mut |_| {}).unwrap();
            check_complete(target.path());
        }
    }
    check_refused(
        content(&gzip(&gzip(&[0; 3_000_000]))),
        "{}: expected 200000 decompressed bytes, found more",
    );
    check_refused(
        content(&gzip(&gzip(&ORIGINAL[1..]))),
        "{}: expected 200000 decompressed bytes, found 199999",
    );
    let mut broken = wrapped;
    let middle = broken.len() / 2;
    broken.truncate(middle);
    check_refused(content(&broken), "{}: ");
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
    let (server, target) = (Server::of(ZIPPED.clone()), folder());
    let address = server.address.replace("http:", "https:");
    let error = fetch(target.path(), &[address.parse().unwrap()]).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{NAME}: no mirror had it: {address}/")), "{error}");
    assert_eq!(names(target.path()), [""; 0]);
}

/// A server that sends this and then nothing, or nothing but a byte now and then, is given up; what came stays.
#[track_caller]
fn check_given_up(
    options: Options,
    answer: fn(&mut TcpStream) -> io::Result<()>,
    expected: &str,
    left: &[&str],
) {
    let server = Server::start(move |_, stream| answer(stream));
    let (target, start) = (folder(), Instant::now());
    let fetched = download::fetch(target.path(), &[by_contents()], &[server.mirror()], &options, &mut |_| {});
    let error = fetched.unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(names(target.path()), left);
}

/// Until the client goes.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte])?;
        thread::sleep(Duration::from_secs(1));
    }
    Ok(())
}

/// Nothing more, until the client goes.
fn stall(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    io::copy(stream, &mut io::sink()).map(|_| ())
}

#[test]
fn a_server_that_stalls_is_given_up() {
    let options = Options { read_timeout: Duration::from_millis(500), retries: 1, ..patient() };
    let check = |answer: fn(&mut TcpStream) -> io::Result<()>, expected, left: &[&str]| {
        check_given_up(options.clone(), answer, expected, left);
    };
    thread::scope(|scope| {
        scope.spawn(|| check(|stream| stall(stream, b""), "operation timed out", &[]));
        scope.spawn(|| check(|stream| stall(stream, b"HTTP/1.1 200 OK\r\nCon"), "operation timed out", &[]));
        scope.spawn(|| {
            check(|stream| stall(stream, &ok(&ZIPPED)[..200]), "the connection broke after", &[PART])
        });
        scope.spawn(|| check(|stream| stall(stream, &ok(&ZIPPED)[..9000]), "operation timed out", &[PART]));
    });
}

#[test]
fn a_server_that_sends_one_byte_a_second_is_given_up() {
    let options = Options { rate_window: Duration::from_millis(500), retries: 0, ..patient() };
    let after_the_head = |stream: &mut TcpStream| {
        stream.write_all(&ok(&ZIPPED)[..9000])?;
        drip(stream, &ZIPPED)
    };
    let brief = Options { read_timeout: Duration::from_millis(2500), ..options.clone() };
    thread::scope(|scope| {
        scope.spawn(|| check_given_up(options, after_the_head, "too slow: ", &[PART]));
        scope
            .spawn(|| check_given_up(brief, |stream| drip(stream, &ok(&ZIPPED)), "operation timed out", &[]));
    });
}
