//! A server on this machine that answers as a test wants.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use mnist_io::download::Mirror;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What stands between the method and the version.
    pub path: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first byte that is wanted.
    pub fn from(&self) -> usize {
        let range = self.header("range").and_then(|range| range.strip_prefix("bytes="));
        range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap())
    }
}

pub struct Server {
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// A server that does this with each connection, each in a thread of its own, and then closes it.
    pub fn start(
        answer: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = Self { address, requests: requests.clone() };
        let answer = Arc::new(answer);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (requests, answer, mut stream) = (requests.clone(), answer.clone(), stream.unwrap());
                thread::spawn(move || {
                    // A client that has seen enough may have gone.
                    let Ok(request) = read(&stream) else { return };
                    requests.lock().unwrap().push(request.clone());
                    let _ = answer(&request, &mut stream);
                });
            }
        });
        server
    }

    /// A server that answers everything with these bytes.
    pub fn with(response: Vec<u8>) -> Self {
        Self::start(move |_, stream| stream.write_all(&response))
    }

    /// A server that has this file, or the rest of it.
    pub fn of(file: Vec<u8>) -> Self {
        Self::start(move |request, stream| stream.write_all(&part(request, &file, "")))
    }

    pub fn mirror(&self) -> Mirror {
        self.address.parse().unwrap()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read(stream: &TcpStream) -> io::Result<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    let path = first.split(' ').nth(1).unwrap_or("").to_owned();
    let mut headers = Vec::new();
    for line in lines {
        match line?.split_once(": ") {
            Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
            None => break,
        }
    }
    Ok(Request { path, headers })
}

/// A whole response with further header lines.
pub fn response_with(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

pub fn response(status: &str, body: &[u8]) -> Vec<u8> {
    response_with(status, "", body)
}

pub fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK", body)
}

/// The file, or what is wanted of it.
pub fn part(request: &Request, file: &[u8], headers: &str) -> Vec<u8> {
    let (from, total) = (request.from(), file.len());
    match request.header("range") {
        None => response_with("200 OK", headers, file),
        Some(_) if from < total => {
            let headers = format!("{headers}Content-Range: bytes {from}-{}/{total}\r\n", total - 1);
            response_with("206 Partial Content", &headers, &file[from..])
        }
        Some(_) => {
            let headers = format!("Content-Range: bytes */{total}\r\n");
            response_with("416 Range Not Satisfiable", &headers, b"")
        }
    }
}
