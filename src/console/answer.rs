//! Answers, and the headers that stand on every one of them.
//!
//! # Invariants
//! * No page may run or load anything that is not this console's own, be framed, be kept, or tell where it came from.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;

use crate::error::{Error, ErrorKind};

/// What a browser may do with a page.
pub(super) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// `same-origin`, not `no-referrer`: with that one browsers send `Origin: null` with our own forms.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    kind: &'static str,
    body: Bytes,
    headers: HeaderMap,
}

impl Answer {
    pub(super) fn html(status: StatusCode, page: String) -> Self {
        Self { status, kind: "text/html; charset=utf-8", body: page.into(), headers: HeaderMap::new() }
    }

    pub(super) fn file(kind: &'static str, body: &'static str) -> Self {
        Self { status: StatusCode::OK, kind, body: Bytes::from_static(body.as_bytes()), headers: HeaderMap::new() }
    }

    pub(super) fn text(status: StatusCode, text: &str) -> Self {
        let body = format!("{text}\n").into();
        Self { status, kind: "text/plain; charset=utf-8", body, headers: HeaderMap::new() }
    }

    /// Look there.
    pub(super) fn see_other(to: &str) -> Self {
        Self::text(StatusCode::SEE_OTHER, "").with(header::LOCATION, to)
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        // Ours are all plain; one that is not is left out.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        for (name, value) in HEADERS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Why there is no page.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) text: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    pub(super) fn not_found(text: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }
}

impl From<Error> for Refusal {
    fn from(e: Error) -> Self {
        let status = match e.kind() {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::Closed | ErrorKind::InUse | ErrorKind::Poisoned => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Full => StatusCode::INSUFFICIENT_STORAGE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, e.to_string())
    }
}

impl From<askama::Error> for Refusal {
    fn from(e: askama::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, format!("a page cannot be written: {e}"))
    }
}
