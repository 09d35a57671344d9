//! Fetching from folders, from archives and from a server of the tests' own, on this machine: what is valid gets its
//! name, and nothing else does.
#![cfg(feature = "download")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests may panic and tell, too")]

mod faults;
mod processes;
mod resume;
mod server;
mod sources;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use mnist_io::Result;
use mnist_io::catalog::{Checksum, File};
use mnist_io::download::{self, Mirror, Options, Outcome};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const NAME: &str = "digits.gz";
/// The name until the file is whole.
const PART: &str = ".digits.gz.part";

/// Bytes that look random, of which gzip saves three bits each.
static ORIGINAL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mixed = (0..200_000u32)
        .map(|i| i.wrapping_mul(0x9e37_79b9))
        .map(|x| (x ^ (x >> 15)).wrapping_mul(0x85eb_ca6b));
    mixed.map(|x| (x >> 27) as u8).collect()
});
/// The same, as the servers of the tests have them.
static ZIPPED: LazyLock<Vec<u8>> = LazyLock::new(|| gzip(&ORIGINAL));
static CONTENTS: LazyLock<String> = LazyLock::new(|| sha256(&ORIGINAL));
static SERVED: LazyLock<String> = LazyLock::new(|| sha256(&ZIPPED));

/// The file, known by its decompressed bytes.
fn by_contents() -> File<'static> {
    File { name: NAME, bytes: ORIGINAL.len() as u64, checksum: Checksum::Contents(&CONTENTS) }
}

/// The file, known as it is served.
fn as_served() -> File<'static> {
    File { checksum: Checksum::Sha256(&SERVED), ..by_contents() }
}

/// No limit that a busy machine could reach, and retries without a pause.
fn patient() -> Options {
    Options { backoff: Duration::from_millis(1), retries: 2, ..Options::default() }
}

fn fetch(folder: &Path, mirrors: &[Mirror]) -> Result<Vec<Outcome>> {
    download::fetch(folder, &[by_contents()], mirrors, &patient(), &mut |_| {})
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
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

/// Asserts that the folder holds the file, valid, and nothing else.
#[track_caller]
fn check_complete(folder: &Path) {
    assert_eq!(names(folder), [NAME]);
    assert_eq!(fs::read(folder.join(NAME)).unwrap(), *ZIPPED);
}
