//! Where files come from: a web server or a folder.

use std::cell::OnceCell;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::Client;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::RemoteFile;
use crate::{Error, Result};

/// How long a server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it may take to answer, and then to send each next piece.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A place that has the files: an `http`, `https` or `file` URL, or the path of a folder.
///
/// ```
/// use mnist_io::download::Mirror;
///
/// assert!("https://example.org/mnist/".parse::<Mirror>().is_ok());
/// assert_eq!("file:///srv/mnist".parse::<Mirror>()?, "/srv/mnist".parse()?);
/// assert!("ftp://example.org/mnist/".parse::<Mirror>().is_err());
/// # Ok::<(), mnist_io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Web(Url),
    Folder(PathBuf),
}

impl Mirror {
    /// The web's mirrors of MNIST, in the order in which to try them.
    ///
    /// The set's first home, yann.lecun.com, has refused downloads since 2024 and is not among them.
    pub fn mnist() -> Vec<Self> {
        let addresses = [
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
        ];
        addresses.iter().filter_map(|address| address.parse().ok()).collect()
    }
}

impl FromStr for Mirror {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let unusable = || Error::Mirror { found: text.to_owned() };
        if text.is_empty() {
            return Err(unusable());
        }
        if !text.contains("://") {
            return Ok(Self(Place::Folder(text.into())));
        }
        let mut url = Url::parse(text).map_err(|_| unusable())?;
        match url.scheme() {
            "file" => url.to_file_path().map(|path| Self(Place::Folder(path))).map_err(|()| unusable()),
            "http" | "https" => {
                // Without the slash at its end, the last part of the path would be replaced by a file's name.
                url.path_segments_mut().map_err(|()| unusable())?.pop_if_empty().push("");
                Ok(Self(Place::Web(url)))
            }
            _ => Err(unusable()),
        }
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.0 {
            Place::Web(url) => url.fmt(f),
            Place::Folder(path) => path.display().fmt(f),
        }
    }
}

/// A file as a mirror offers it.
pub(super) struct Body {
    pub(super) reader: Box<dyn Read>,
    /// The file's address, for messages.
    pub(super) address: String,
    /// Its length, where the mirror says.
    pub(super) total: Option<u64>,
}

/// A mirror and its connections, which are made when first used.
pub(super) struct Source<'a> {
    pub(super) mirror: &'a Mirror,
    client: OnceCell<Client>,
}

impl<'a> Source<'a> {
    pub(super) fn new(mirror: &'a Mirror) -> Self {
        Self { mirror, client: OnceCell::new() }
    }

    pub(super) fn open(&self, file: &RemoteFile<'_>) -> Result<Body> {
        match &self.mirror.0 {
            Place::Web(base) => self.get(base, file),
            Place::Folder(folder) => {
                let plain = folder.join(file.plain_name());
                let zipped = folder.join(file.name);
                let path = if !zipped.exists() && plain.exists() { plain } else { zipped };
                let io = |cause| Error::Io { path: path.clone(), cause };
                let opened = File::open(&path).map_err(io)?;
                let total = Some(opened.metadata().map_err(io)?.len());
                Ok(Body { reader: Box::new(opened), address: path.display().to_string(), total })
            }
        }
    }

    fn get(&self, base: &Url, file: &RemoteFile<'_>) -> Result<Body> {
        let failed = |url: &Url, cause: &reqwest::Error| Error::Request {
            url: url.to_string(),
            cause: reasons(cause),
        };
        let url =
            base.join(file.name).map_err(|_| Error::Mirror { found: format!("{base}{}", file.name) })?;
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let client = client(base)?;
                self.client.get_or_init(|| client)
            }
        };
        let response = client.get(url.clone()).send().map_err(|cause| failed(&url, &cause.without_url()))?;
        let (address, status) = (url.to_string(), response.status());
        if !status.is_success() {
            return Err(Error::Status { url: address, status: status.to_string() });
        }
        let total = response.content_length();
        Ok(Body { reader: Box::new(response), address, total })
    }
}

/// A client for one server. Its TLS is its own: a library does not choose for the whole process.
fn client(server: &Url) -> Result<Client> {
    let failed =
        |cause: &dyn std::error::Error| Error::Request { url: server.to_string(), cause: reasons(cause) };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|cause| failed(&cause))?;
    let tls = match Verifier::new(provider) {
        Ok(verifier) => tls.dangerous().with_custom_certificate_verifier(Arc::new(verifier)),
        // A system without certificates, as small containers are, can still use a server that needs none.
        Err(_) if server.scheme() == "http" => tls.with_root_certificates(RootCertStore::empty()),
        Err(cause) => return Err(failed(&cause)),
    };
    let mut builder = Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .user_agent(concat!("mnist-io/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(READ_TIMEOUT);
    if is_loopback(server) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|cause| failed(&cause))
}

/// This machine is not to be reached through a proxy.
fn is_loopback(server: &Url) -> bool {
    match server.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
        None => false,
    }
}

/// An error and its causes on one line: the outer ones alone say little.
pub(super) fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
