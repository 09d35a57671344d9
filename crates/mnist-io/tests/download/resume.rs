//! A file that comes in pieces.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};

use mnist_io::download::{self, Progress};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::server::{Server, ok, part, response, response_with};
use super::{
    ORIGINAL, PART, ZIPPED, as_served, by_contents, check_complete, fetch, folder, gzip, names, patient,
};

/// A generator with a seed that a failing test prints.
fn random(seed: u8) -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32])
}

/// Each connection but the last is cut at a random byte, of the head or of the body.
#[test]
fn what_is_cut_at_random_bytes_is_resumed() {
    for seed in 0..50 {
        let mut random = random(seed);
        let whole = ok(&ZIPPED).len() as u64;
        let cuts = [0, 1].map(|_| (random.next_u64() % whole) as usize);
        let connections = AtomicUsize::new(0);
        let server = Server::start(move |request, stream| {
            let response = part(request, &ZIPPED, "");
            let cut = cuts.get(connections.fetch_add(1, Ordering::SeqCst)).copied();
            stream.write_all(&response[..cut.unwrap_or(response.len()).min(response.len())])?;
            stream.shutdown(Shutdown::Write)
        });
        let target = folder();
        fetch(target.path(), &[server.mirror()]).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        check_complete(target.path());
        let starts: Vec<_> = server.requests().iter().map(|request| request.from()).collect();
        assert!(starts.is_sorted(), "seed {seed}: {starts:?}");
        let head = whole as usize - ZIPPED.len();
        assert!(cuts[0] <= head || starts[1] > 0, "seed {seed}: {cuts:?}, {starts:?}");
    }
}

/// A fetch that ends leaves what has arrived to the next one.
#[test]
fn the_next_fetch_resumes() {
    let mut random = random(0);
    for _ in 0..10 {
        let cut = 1 + (random.next_u64() % (ZIPPED.len() as u64 - 1)) as usize;
        let target = folder();
        fs::write(target.path().join(PART), &ZIPPED[..cut]).unwrap();
        let (server, mut first) = (Server::of(ZIPPED.clone()), None);
        download::fetch(target.path(), &[by_contents()], &[server.mirror()], &patient(), &mut |progress| {
            if let Progress::Received { bytes, total, .. } = progress {
                first.get_or_insert(bytes);
                assert_eq!(total, Some(ZIPPED.len() as u64));
            }
        })
        .unwrap();
        check_complete(target.path());
        assert_eq!(server.requests().iter().map(|request| request.from()).collect::<Vec<_>>(), [cut]);
        assert!(first.unwrap() > cut as u64, "what was there counts");
    }
}

/// A fetch that was killed between the last byte and the new name has nothing more to ask for.
#[test]
fn a_part_that_is_whole_is_only_named() {
    let (server, target) = (Server::of(ZIPPED.clone()), folder());
    fs::write(target.path().join(PART), &*ZIPPED).unwrap();
    fetch(target.path(), &[server.mirror()]).unwrap();
    check_complete(target.path());
    assert_eq!(server.requests().len(), 1);
}

/// What is left of a file that nobody can complete does not stand in the way.
#[test]
fn a_part_of_something_else_is_thrown_away() {
    let long = vec![7; 2 * ZIPPED.len()];
    for left in [&b"something else"[..], &long, &ORIGINAL[..5000]] {
        for file in [by_contents(), as_served()] {
            let (server, target) = (Server::of(ZIPPED.clone()), folder());
            fs::write(target.path().join(PART), left).unwrap();
            download::fetch(target.path(), &[file], &[server.mirror()], &patient(), &mut |_| {}).unwrap();
            check_complete(target.path());
        }
    }
}

/// The bytes that came first belong to one version of the file, and the rest must, too.
#[test]
fn the_version_is_named_where_the_server_names_it() {
    let check = |headers: &'static str, expected: Option<&str>| {
        let connections = AtomicUsize::new(0);
        let server = Server::start(move |request, stream| {
            let response = part(request, &ZIPPED, headers);
            let cut = if connections.fetch_add(1, Ordering::SeqCst) == 0 { 20_000 } else { response.len() };
            stream.write_all(&response[..cut])?;
            stream.shutdown(Shutdown::Write)
        });
        let target = folder();
        fetch(target.path(), &[server.mirror()]).unwrap();
        check_complete(target.path());
        assert_eq!(server.requests()[1].header("if-range"), expected, "{headers}");
    };
    check("", None);
    check("ETag: \"v1\"\r\n", Some("\"v1\""));
    check("ETag: W/\"v1\"\r\n", None);
    let date = "Last-Modified: Thu, 31 Aug 2017 10:50:27 GMT\r\n";
    check(date, Some("Thu, 31 Aug 2017 10:50:27 GMT"));
    check(
        "ETag: W/\"v1\"\r\nLast-Modified: Thu, 31 Aug 2017 10:50:27 GMT\r\n",
        Some("Thu, 31 Aug 2017 10:50:27 GMT"),
    );
}

/// Where the rest alone cannot be had, the whole is fetched.
#[test]
fn a_range_that_is_refused_is_done_without() {
    let refusals: [fn() -> Vec<u8>; 6] = [
        || ok(&ZIPPED),
        || response("416 Range Not Satisfiable", b"no"),
        || response_with("416 Range Not Satisfiable", "Content-Range: bytes */5\r\n", b""),
        || response_with("206 Partial Content", "Content-Range: bytes 7-9/10\r\n", b"abc"),
        || response("206 Partial Content", b"abc"),
        // The rest of another version.
        || {
            let other = gzip(&[1; 200_000]);
            let rest = &other[other.len() / 2..];
            response_with("206 Partial Content", "Content-Range: bytes 1000-90000/90001\r\n", rest)
        },
    ];
    for (row, refusal) in refusals.into_iter().enumerate() {
        let server = Server::start(move |request, stream| match request.header("range") {
            Some(_) => stream.write_all(&refusal()),
            None => stream.write_all(&ok(&ZIPPED)),
        });
        let target = folder();
        fs::write(target.path().join(PART), &ZIPPED[..1000]).unwrap();
        fetch(target.path(), &[server.mirror()]).unwrap_or_else(|error| panic!("row {row}: {error}"));
        check_complete(target.path());
        assert_eq!(server.requests()[0].from(), 1000);
    }
}

/// A page or an error in the middle costs nothing of what has arrived.
#[test]
fn what_has_arrived_outlasts_a_bad_answer() {
    for answer in
        [ok(b"<html>"), response("404 Not Found", b""), response("503 Busy", b""), ok(b"")[..20].to_vec()]
    {
        let (bad, target) = (Server::with(answer), folder());
        fs::write(target.path().join(PART), &ZIPPED[..1000]).unwrap();
        fetch(target.path(), &[bad.mirror()]).unwrap_err();
        assert_eq!(names(target.path()), [PART]);
        assert_eq!(fs::read(target.path().join(PART)).unwrap(), &ZIPPED[..1000]);

        let good = Server::of(ZIPPED.clone());
        fetch(target.path(), &[bad.mirror(), good.mirror()]).unwrap();
        check_complete(target.path());
        assert_eq!(good.requests()[0].from(), 1000);
    }
}
