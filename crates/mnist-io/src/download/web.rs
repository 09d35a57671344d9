//! Asking a web server for a file, or for the rest of one.

use std::cell::OnceCell;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use reqwest::blocking::{self, Response};
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE,
    LAST_MODIFIED, RANGE, TRANSFER_ENCODING,
};
use reqwest::{StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use super::Options;
use super::mirror::Body;
use crate::catalog::File;
use crate::{Error, Result};

/// What tells one version of a file from another: an entity tag, or a date.
pub(super) struct Validator(HeaderValue);

/// A client for one server, which is made when first used.
pub(super) struct Client {
    client: OnceCell<blocking::Client>,
    offline: bool,
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl Client {
    pub(super) fn new(options: &Options) -> Self {
        let &Options { offline, connect_timeout, read_timeout, .. } = options;
        Self { client: OnceCell::new(), offline, connect_timeout, read_timeout }
    }

    /// Asks for what follows the first `from` bytes, of the version that the validator tells where there is one, and
    /// sets the validator to that of the answer.
    pub(super) fn get(
        &self,
        base: &Url,
        file: &File<'_>,
        from: u64,
        validator: &mut Option<Validator>,
    ) -> Result<Body<'static>> {
        let url =
            base.join(file.name).map_err(|_| Error::Mirror { found: format!("{base}{}", file.name) })?;
        if self.offline {
            return Err(Error::Offline { url: url.to_string() });
        }
        let mut response = self.send(&url, from, validator.as_ref())?;
        let mut start = 0;
        match response.status() {
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
                match content_range(response.headers()) {
                    Range { first: Some(first), .. } if first == from => start = from,
                    // There is no more: what has arrived may be the whole.
                    Range { first: None, total: Some(total) } if total == from => {
                        return Ok(Body {
                            reader: Box::new(io::empty()),
                            start: from,
                            total: Some(total),
                            coded: false,
                        });
                    }
                    _ => response = self.send(&url, 0, None)?,
                }
            }
            _ => {}
        }
        let status = response.status();
        if !status.is_success() {
            return Err(Error::Status {
                url: url.to_string(),
                code: status.as_u16(),
                status: status.to_string(),
            });
        }
        *validator = version(response.headers());
        let total = response.content_length().map(|length| length + start);
        let coded =
            [CONTENT_ENCODING, TRANSFER_ENCODING].iter().any(|name| is_gzip(response.headers(), name));
        Ok(Body { reader: Box::new(response), start, total, coded })
    }

    fn send(&self, url: &Url, from: u64, validator: Option<&Validator>) -> Result<Response> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let client = self.connect(url)?;
                self.client.get_or_init(|| client)
            }
        };
        // A checksum is of a file's own bytes.
        let mut request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
            if let Some(Validator(value)) = validator {
                request = request.header(IF_RANGE, value.clone());
            }
        }
        request.send().map_err(|cause| Error::Request {
            url: url.to_string(),
            may_pass: !(cause.is_redirect() || cause.is_builder()),
            cause: reasons(&cause.without_url()),
        })
    }

    /// A client with a TLS of its own: a library does not choose for the whole process.
    fn connect(&self, server: &Url) -> Result<blocking::Client> {
        let failed = |cause: &dyn std::error::Error| Error::Request {
            url: server.to_string(),
            may_pass: false,
            cause: reasons(cause),
        };
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
        let mut builder = blocking::Client::builder()
            .tls_backend_preconfigured(tls.with_no_client_auth())
            .user_agent(concat!("mnist-io/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            // For the answer to begin, and then for each next piece of it.
            .timeout(self.read_timeout);
        if is_loopback(server) {
            builder = builder.no_proxy();
        }
        builder.build().map_err(|cause| failed(&cause))
    }
}

/// What `Content-Range` says: `bytes FIRST-LAST/TOTAL`, or `bytes */TOTAL`.
struct Range {
    first: Option<u64>,
    total: Option<u64>,
}

fn content_range(headers: &HeaderMap) -> Range {
    let value = headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (place, total) =
        value.strip_prefix("bytes ").and_then(|rest| rest.split_once('/')).unwrap_or_default();
    let first = place.split_once('-').and_then(|(first, _)| first.trim().parse().ok());
    Range { first, total: total.trim().parse().ok() }
}

/// The entity tag if it is a strong one, else the date: what `If-Range` may hold.
fn version(headers: &HeaderMap) -> Option<Validator> {
    let tag = headers.get(ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/"));
    tag.or_else(|| headers.get(LAST_MODIFIED)).cloned().map(Validator)
}

fn is_gzip(headers: &HeaderMap, name: &HeaderName) -> bool {
    let mut codings = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    codings.any(|codings| codings.to_ascii_lowercase().contains("gzip"))
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
