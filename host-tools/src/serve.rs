//! A store, its reports and its receipts over HTTP, for a bench, a factory or a first fleet.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /latest`, `GET /latest/<channel>` | the digest of the newest image, 64 hexadecimal digits |
//! | `GET /images/<digest>` | the image, or a range of its bytes (RFC 9110 §14) |
//! | `POST /reports` | 204 once the report, at most 4 KiB, is on the disk |
//! | `POST /receipts` | 204 once all receipts, at most 16 KiB, are verified and on the disk; sent again, they do no harm |
//! | | 409 and a challenge, 64 digits, if a unit's chain does not go on: only a receipt that answers it begins anew |
//! | | 400 and the number of the refusal, `B201` and up, if one is not believed |
//! | `GET /challenge` | 64 hexadecimal digits, which can be answered for five minutes |
//!
//! Nothing here is trusted by a device, so there is no TLS and nobody is asked who they are: put it
//! behind a server that does, where reports must not come from strangers.

pub mod receipts;

use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bistable_core::digest::Digest;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tower_http::services::ServeFile;

use crate::hex;
use crate::reports::{MAX_REPORT_LEN, Reports};
use crate::store::{Channel, Store};
use receipts::{Desk, MAX_BODY_LEN};

/// How long connections may go on when the server is asked to stop.
const GRACE: Duration = Duration::from_secs(3);

#[derive(Clone)]
struct Shared {
    store: Store,
    reports: Arc<Mutex<Reports>>,
    desk: Option<Desk>,
}

/// Serves, and takes receipts if there is a `desk`, until `stop` is over and those who are being served have been, or have had three seconds.
///
/// # Errors
/// The listening socket failed.
pub async fn serve(
    listener: TcpListener,
    store: Store,
    reports: Reports,
    desk: Option<Desk>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let reports = Arc::new(Mutex::new(reports));
    let router = router(Shared {
        store,
        reports,
        desk,
    });
    let (stopping, stopped) = oneshot::channel::<()>();
    let stop = async move {
        stop.await;
        drop(stopping);
    };
    let too_long = async {
        let _ = stopped.await; // Nothing is sent: it ends when the sender is dropped.
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = axum::serve(listener, router).with_graceful_shutdown(stop) => result,
        () = too_long => Ok(()),
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/latest", get(latest))
        .route("/latest/{channel}", get(latest_of_channel))
        .route("/images/{digest}", get(image))
        .route("/reports", post(report))
        .layer(DefaultBodyLimit::max(MAX_REPORT_LEN))
        .route(
            "/receipts",
            post(receipts::post).layer(DefaultBodyLimit::max(MAX_BODY_LEN)),
        )
        .route("/challenge", get(receipts::challenge))
        .layer(middleware::from_fn(log))
        .with_state(shared)
}

async fn latest(State(shared): State<Shared>) -> Response {
    newest(shared, Channel::stable()).await
}

async fn latest_of_channel(State(shared): State<Shared>, Path(channel): Path<String>) -> Response {
    match channel.parse() {
        Ok(channel) => newest(shared, channel).await,
        Err(rule) => refuse(StatusCode::NOT_FOUND, &rule),
    }
}

async fn newest(shared: Shared, channel: Channel) -> Response {
    let about = channel.clone();
    match blocking(move || shared.store.latest(&channel)).await {
        Some(Ok(Some(digest))) => digest.to_string().into_response(),
        Some(Ok(None)) => {
            let about = format!("nothing was published on the channel `{about}`");
            refuse(StatusCode::NOT_FOUND, &about)
        }
        Some(Err(error)) => fail(&error.to_string()),
        None => fail("the store could not be asked"),
    }
}

async fn image(
    State(shared): State<Shared>,
    Path(digest): Path<String>,
    request: Request,
) -> Response {
    let Some(digest) = hex::decode(&digest).map(Digest) else {
        let about = "an image is named by the 64 hexadecimal digits of its digest";
        return refuse(StatusCode::NOT_FOUND, about);
    };
    let mut file = ServeFile::new(shared.store.image_path(&digest));
    match file.try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) if error.kind() == io::ErrorKind::NotFound => refuse(
            StatusCode::NOT_FOUND,
            "no image of this digest is in the store",
        ),
        Err(error) => fail(&format!("image {digest}: {error}")),
    }
}

async fn report(State(shared): State<Shared>, body: Bytes) -> Response {
    if body.is_empty() {
        return refuse(StatusCode::BAD_REQUEST, "an empty report");
    }
    let append = move || {
        // A panic of another request is no reason to lose this report.
        let reports = shared.reports.lock();
        let mut reports = reports.unwrap_or_else(PoisonError::into_inner);
        reports.append(&body)
    };
    match blocking(append).await {
        Some(Ok(())) => StatusCode::NO_CONTENT.into_response(),
        Some(Err(error)) => fail(&format!("the report could not be written: {error}")),
        None => fail("the report could not be written"),
    }
}

/// Files are read and synced where waiting for them holds nobody else up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

fn refuse(status: StatusCode, about: &str) -> Response {
    (status, format!("{about}\n")).into_response()
}

/// What went wrong here is for whoever runs the server, not for who asked.
fn fail(about: &str) -> Response {
    say(about);
    refuse(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the server failed; its log says why",
    )
}

/// One line for each request: method, path, range, status.
async fn log(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let range = request.headers().get(header::RANGE).cloned();
    let response = next.run(request).await;
    let range = range
        .as_ref()
        .map_or("-", |range| range.to_str().unwrap_or("?"));
    say(&format!(
        "{method} {path} {range} {}",
        response.status().as_u16()
    ));
    response
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}"); // A server goes on when nobody listens to it.
}
