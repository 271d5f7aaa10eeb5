//! HTTP as a client: one connection a request.
//!
//! A request that is dropped, at a timeout say, closes its connection.

use std::io;
use std::net::SocketAddr;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The header that makes a request safe to repeat.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// An answer whose body may still be coming.
pub(crate) struct Opened {
    response: Response<Incoming>,
    /// Drives the connection; ends when this is dropped.
    _connection: JoinSet<()>,
}

/// Posts `body` as JSON.
pub(crate) async fn post(
    to: SocketAddr,
    path: &str,
    key: Option<&str>,
    body: &impl Serialize,
) -> io::Result<(StatusCode, Vec<u8>)> {
    let mut request = Request::builder().method(Method::POST).header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = key {
        request = request.header(IDEMPOTENCY_KEY, key);
    }
    send(to, path, request, serde_json::to_vec(body)?).await?.whole().await
}

/// Asks for a path and waits for all of it.
pub(crate) async fn get(to: SocketAddr, path: &str) -> io::Result<(StatusCode, Vec<u8>)> {
    send(to, path, Request::builder(), Vec::new()).await?.whole().await
}

/// Asks for a path whose body comes bit by bit.
pub(crate) async fn open(to: SocketAddr, path: &str) -> io::Result<(StatusCode, Opened)> {
    let opened = send(to, path, Request::builder(), Vec::new()).await?;
    Ok((opened.response.status(), opened))
}

async fn send(to: SocketAddr, path: &str, request: hyper::http::request::Builder, body: Vec<u8>) -> io::Result<Opened> {
    let request = request.uri(path).header(header::HOST, to.to_string());
    let request = request.body(Full::new(Bytes::from(body))).map_err(io::Error::other)?;
    let stream = TokioIo::new(TcpStream::connect(to).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.map_err(io::Error::other)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What breaks it is told to whoever reads the answer.
        let _ = connection.await;
    });
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    Ok(Opened { response, _connection: driver })
}

impl Opened {
    async fn whole(self) -> io::Result<(StatusCode, Vec<u8>)> {
        let status = self.response.status();
        let body = self.response.into_body().collect().await.map_err(io::Error::other)?;
        Ok((status, body.to_bytes().to_vec()))
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn more(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(frame) = self.response.body_mut().frame().await {
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }
}
