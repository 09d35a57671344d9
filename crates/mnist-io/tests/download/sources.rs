//! Where files come from when all goes well, and what is said of it.

use std::fs;
use std::io::{Cursor, Write};

use mnist_io::Error;
use mnist_io::catalog::{Checksum, File, Set};
use mnist_io::download::{self, Mirror, Options, Outcome, Progress};
use zip::write::SimpleFileOptions;

use super::server::{Server, ok, response};
use super::{
    CONTENTS, NAME, ORIGINAL, ZIPPED, as_served, by_contents, check_complete, fetch, folder, names, patient,
    sha256,
};

#[test]
fn the_bytes_are_stored_as_they_were_served() {
    let (server, target) = (Server::of(ZIPPED.clone()), folder());
    let nested = target.path().join("made/on/the/way");
    let outcomes = fetch(&nested, &[server.mirror()]).unwrap();
    let path = nested.join(NAME);
    let expected = Outcome { path, bytes: ZIPPED.len() as u64, mirror: Some(server.mirror()) };
    assert_eq!(outcomes, [expected]);
    check_complete(&nested);
}

#[cfg(unix)]
#[test]
fn a_stored_file_has_the_permissions_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let (server, target) = (Server::of(ZIPPED.clone()), folder());
    fetch(target.path(), &[server.mirror()]).unwrap();
    fs::write(target.path().join("new"), "").unwrap();
    let mode = |name: &str| fs::metadata(target.path().join(name)).unwrap().permissions().mode();
    assert_eq!(mode(NAME), mode("new"));
}

/// The MD5 of the empty file and of `abc` stand in RFC 1321; `md5sum` gave that of `digits`.
#[test]
fn a_file_is_known_by_either_sum_of_its_bytes() {
    let checks = [
        Checksum::Md5("900150983cd24fb0d6963f7d28e17f72"),
        Checksum::Sha256("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        Checksum::Contents("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ];
    for checksum in checks {
        let (good, bad, target) = (Server::of(b"abc".to_vec()), Server::of(b"abd".to_vec()), folder());
        let file = File { name: "abc.bin", bytes: 3, checksum };
        let fetch = |server: &Server| {
            download::fetch(target.path(), &[file], &[server.mirror()], &patient(), &mut |_| {})
        };
        let error = fetch(&bad).unwrap_err().to_string();
        let what = match checksum {
            Checksum::Md5(_) => "expected MD5 9001",
            Checksum::Sha256(_) => "expected SHA-256 ba78",
            Checksum::Contents(_) => "expected decompressed SHA-256 ba78",
        };
        assert!(error.contains(what), "{error}");
        assert_eq!(names(target.path()), [""; 0]);
        fetch(&good).unwrap();
        assert_eq!(names(target.path()), ["abc.bin"]);
    }
}

#[test]
fn the_next_mirror_is_tried_and_all_are_told() {
    let bad = Server::with(response("404 Not Found", b""));
    let page = Server::with(ok(b"<html>"));
    let good = Server::of(ZIPPED.clone());
    let unused = Server::of(ZIPPED.clone());
    let target = folder();
    let mirrors = [bad.mirror(), page.mirror(), good.mirror(), unused.mirror()];
    let outcomes = fetch(target.path(), &mirrors).unwrap();
    assert_eq!(outcomes[0].mirror, Some(good.mirror()));
    assert!(unused.requests().is_empty());

    let error = fetch(folder().path(), &[bad.mirror(), page.mirror()]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{NAME}: no mirror had it: {}/{NAME}: the server answered 404 Not Found; \
             {}/{NAME}: the server sent a web page, not data: <html>",
            bad.address, page.address
        )
    );
    let Error::AllMirrors { attempts, .. } = error else { panic!("{error}") };
    let rows: Vec<_> = attempts.iter().map(|attempt| (attempt.address.as_str(), attempt.answer())).collect();
    let [bad, page] = [&bad, &page].map(|server| format!("{}/{NAME}", server.address));
    assert_eq!(
        rows,
        [
            (bad.as_str(), "the server answered 404 Not Found".to_owned()),
            (page.as_str(), "the server sent a web page, not data: <html>".to_owned())
        ]
    );
}

#[test]
fn a_valid_file_is_left_alone() {
    for (name, contents) in [(NAME, &*ZIPPED), ("digits", &*ORIGINAL)] {
        let (server, target) = (Server::of(ZIPPED.clone()), folder());
        let path = target.path().join(name);
        fs::write(&path, contents).unwrap();
        let before = fs::metadata(&path).unwrap().modified().unwrap();
        let outcomes = fetch(target.path(), &[server.mirror()]).unwrap();
        assert_eq!(outcomes, [Outcome { path: path.clone(), bytes: contents.len() as u64, mirror: None }]);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
        assert!(server.requests().is_empty(), "nothing may be asked for");
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
    assert_eq!(names(target.path()), [NAME]);

    let good = Server::of(ZIPPED.clone());
    let outcomes = fetch(target.path(), &[good.mirror()]).unwrap();
    assert_eq!(outcomes[0].mirror, Some(good.mirror()));
    check_complete(target.path());
}

#[test]
fn folders_and_files_are_mirrors_by_path_and_by_url() {
    let source = folder();
    fs::write(source.path().join(NAME), &*ZIPPED).unwrap();
    let path = source.path().to_str().unwrap();
    for mirror in
        [path.to_owned(), format!("file://{path}"), format!("file://{path}/"), format!("{path}/{NAME}")]
    {
        let target = folder();
        fetch(target.path(), &[mirror.parse().unwrap()]).unwrap();
        check_complete(target.path());
    }
}

/// A zip archive in memory.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn archives_are_mirrors() {
    let source = folder();
    let path = source.path().join("archive.zip");
    let mirror: Mirror = path.to_str().unwrap().parse().unwrap();
    for (inside, stored) in [(NAME, NAME), ("deep/inside/digits.gz", NAME), ("digits", "digits")] {
        let bytes = if stored == NAME { &*ZIPPED } else { &*ORIGINAL };
        fs::write(
            &path,
            archive(&[("digits.gz.txt", b"?"), (inside, bytes), ("__MACOSX/._digits.gz", b"?")]),
        )
        .unwrap();
        let target = folder();
        fetch(target.path(), std::slice::from_ref(&mirror)).unwrap();
        assert_eq!(names(target.path()), [stored]);
        assert_eq!(fs::read(target.path().join(stored)).unwrap(), *bytes);
    }
    let check = |bytes: &[u8], expected: &str| {
        fs::write(&path, bytes).unwrap();
        let target = folder();
        let error = fetch(target.path(), std::slice::from_ref(&mirror)).unwrap_err().to_string();
        let expected = expected.replace("{}", path.to_str().unwrap());
        assert!(error.starts_with(&format!("{NAME}: no mirror had it: {expected}")), "{error}");
        assert_eq!(names(target.path()), [""; 0]);
    };
    check(&archive(&[("other.gz", &ZIPPED)]), "{}: expected one of digits.gz, digits, found none");
    check(b"no archive", "{}: expected a zip archive: ");
    let mut broken = archive(&[(NAME, &ZIPPED)]);
    broken[1000] ^= 1;
    check(&broken, "{}");
}

/// A set that comes as an archive is fetched as one.
#[test]
fn an_archive_is_a_file_too() {
    let (source, bytes) = (folder(), archive(&[(NAME, &ZIPPED)]));
    let sum = sha256(&bytes);
    let file = File { name: "all.zip", bytes: bytes.len() as u64, checksum: Checksum::Sha256(&sum) };
    let saved = source.path().join("all (1).zip");
    fs::write(&saved, &bytes).unwrap();
    let server = Server::of(bytes.clone());
    for mirror in [saved.to_str().unwrap().parse().unwrap(), server.mirror()] {
        let target = folder();
        download::fetch(target.path(), &[file], &[mirror], &patient(), &mut |_| {}).unwrap();
        assert_eq!(fs::read(target.path().join("all.zip")).unwrap(), bytes);
    }
}

#[test]
fn what_is_served_plain_is_named_plain() {
    let source = folder();
    fs::write(source.path().join("digits"), &*ORIGINAL).unwrap();
    let from_folder = source.path().to_str().unwrap().parse().unwrap();
    let server = Server::of(ORIGINAL.clone());
    for mirror in [from_folder, server.mirror()] {
        let target = folder();
        let outcomes = fetch(target.path(), &[mirror]).unwrap();
        assert_eq!(names(target.path()), ["digits"]);
        assert_eq!(fs::read(&outcomes[0].path).unwrap(), *ORIGINAL);
    }
}

#[test]
fn a_mirrors_address_may_have_a_path_and_need_no_slash() {
    for ending in ["", "/"] {
        let server = Server::of(ZIPPED.clone());
        let mirror = format!("{}/sets/mnist{ending}", server.address).parse().unwrap();
        fetch(folder().path(), &[mirror]).unwrap();
        assert_eq!(server.requests()[0].path, "/sets/mnist/digits.gz");
    }
}

#[test]
fn what_names_no_place_is_no_mirror() {
    for text in ["", "ftp://example.org/", "http://", "file://elsewhere/mnist"] {
        let error = text.parse::<Mirror>().unwrap_err().to_string();
        let expected = "expected an http, https or file URL, a folder or an archive, found";
        assert_eq!(error, format!("{expected} {text:?}"));
    }
}

#[test]
fn every_mirror_of_the_catalog_is_one() {
    for set in Set::ALL {
        let source = set.entry().source;
        let mirrors: Vec<_> = Mirror::of(source).iter().map(Mirror::to_string).collect();
        assert_eq!(mirrors, source.mirrors);
    }
}

#[test]
fn progress_tells_what_happens() {
    let (bad, good) = (Server::with(response("503 Busy", b"")), Server::of(ZIPPED.clone()));
    let target = folder();
    fs::write(target.path().join(NAME), b"?").unwrap();
    let (mut told, mut last) = (Vec::new(), None);
    let mirrors = [bad.mirror(), good.mirror()];
    download::fetch(target.path(), &[by_contents()], &mirrors, &patient(), &mut |progress| match progress {
        Progress::Invalid(_) => told.push("invalid"),
        Progress::Retry { .. } => told.push("retry"),
        Progress::Failed(_) => told.push("failed"),
        Progress::Received { bytes, total, .. } => last = Some((bytes, total)),
        Progress::Done(_) => told.push("done"),
        _ => told.push("?"),
    })
    .unwrap();
    assert_eq!(told, ["invalid", "retry", "retry", "failed", "done"]);
    let length = ZIPPED.len() as u64;
    assert_eq!(last, Some((length, Some(length))));
}

#[test]
fn offline_only_what_is_local_is_used() {
    let (server, source, target) = (Server::of(ZIPPED.clone()), folder(), folder());
    fs::write(source.path().join(NAME), &*ZIPPED).unwrap();
    let options = Options { offline: true, ..patient() };
    let fetch =
        |mirrors: &[Mirror]| download::fetch(target.path(), &[by_contents()], mirrors, &options, &mut |_| {});
    let error = fetch(&[server.mirror()]).unwrap_err().to_string();
    let expected = format!("{NAME}: no mirror had it: {}/{NAME}: not asked for it: offline", server.address);
    assert_eq!(error, expected);
    let local: Mirror = source.path().to_str().unwrap().parse().unwrap();
    assert_eq!(fetch(&[server.mirror(), local.clone()]).unwrap()[0].mirror, Some(local));
    assert!(server.requests().is_empty());
}

#[test]
fn what_is_there_is_verified_without_a_fetch() {
    let target = folder();
    let verify = |file| download::verify(target.path(), &file).map_err(|error| error.to_string());
    let there = target.path().join(NAME);
    let missing = format!("{}: expected one of digits.gz, digits, found none", target.path().display());
    assert_eq!(verify(by_contents()), Err(missing));
    fs::write(&there, &*ZIPPED).unwrap();
    let outcome = Outcome { path: there.clone(), bytes: ZIPPED.len() as u64, mirror: None };
    assert_eq!(verify(by_contents()), Ok(outcome.clone()));
    assert_eq!(verify(as_served()), Ok(outcome));
    fs::write(&there, super::gzip(&[0; 200_000])).unwrap();
    let sum = sha256(&[0; 200_000]);
    let broken = format!("{}: expected decompressed SHA-256 {}, found {sum}", there.display(), *CONTENTS);
    assert_eq!(verify(by_contents()), Err(broken));
    // Decompressed, a file whose sum is that of the compressed one cannot be known.
    fs::remove_file(&there).unwrap();
    fs::write(target.path().join("digits"), &*ORIGINAL).unwrap();
    assert!(verify(by_contents()).is_ok());
    let missing = format!("{}: expected one of digits.gz, found none", target.path().display());
    assert_eq!(verify(as_served()), Err(missing));
    assert_eq!(names(target.path()), ["digits"]);
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
    let full = std::path::PathBuf::from(full);
    let served = full.clone();
    let server = Server::start(move |request, stream| {
        stream.write_all(&ok(&fs::read(served.join(&request.path[1..]))?))
    });
    let files = Set::Mnist.entry().source.files;
    for mirror in [full.to_str().unwrap().parse().unwrap(), server.mirror()] {
        let target = folder();
        let fetch = |mirrors: &[Mirror]| {
            download::fetch(target.path(), files, mirrors, &patient(), &mut |_| {}).unwrap()
        };
        assert!(fetch(&[mirror]).iter().all(|outcome| outcome.mirror.is_some()));
        assert!(fetch(&[]).iter().all(|outcome| outcome.mirror.is_none()));
        assert_eq!(names(target.path()).len(), 4);
    }
}
