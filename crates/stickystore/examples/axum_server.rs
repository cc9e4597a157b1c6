//! A server with axum: `GET /variation/{user}` answers the variation that is kept for this user, `GET /page/{user}` all that a
//! page needs, by one session.
//!
//! `cargo run -p stickystore --example axum_server` asks itself a few times and ends. With `-- --serve` it stays, and a URL
//! names the store, as `-- --serve 'redis://localhost?namespace=example&deadline=250ms'` with `--features redis`.

use std::error::Error;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use stickystore::{AsyncSticky, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const VARIATIONS: [&str; 2] = ["red", "blue"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (flags, urls): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word == "--serve");
    let url = urls.first().map_or("memory:?namespace=example&deadline=10s", String::as_str);
    let sticky = stickystore::open_async(url).await?;
    if flags.is_empty() {
        return ask_itself(sticky).await;
    }
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/variation/ann", listener.local_addr()?);
    Ok(axum::serve(listener, server(sticky)).await?)
}

/// The handle is a clone for each request: all share the store and its connections.
fn server(sticky: AsyncSticky) -> Router {
    let router = Router::new().route("/variation/{user}", get(variation));
    router.route("/page/{user}", get(page)).with_state(sticky)
}

async fn variation(
    State(sticky): State<AsyncSticky>,
    Path(user): Path<String>,
) -> Result<String, (StatusCode, String)> {
    let assigned = sticky.assign(&user, "button", || bucket(&user)).await.map_err(|error| {
        // What was not kept is not shown: the page decides what it does without a variation.
        let status = match error.kind() {
            ErrorKind::Invalid | ErrorKind::TooLarge => StatusCode::BAD_REQUEST,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, format!("{error}\n"))
    })?;
    Ok(format!("{}\n", assigned.text().unwrap_or_default()))
}

/// A session: one read, as many decisions as the page needs without I/O, one write; and committed before it is served.
async fn page(
    State(sticky): State<AsyncSticky>,
    Path(user): Path<String>,
) -> Result<String, (StatusCode, String)> {
    let session =
        sticky.begin(&user).await.map_err(|error| (StatusCode::BAD_REQUEST, format!("{error}\n")))?;
    let decided = session
        .decide(|view| {
            // In the place of `assign`, an SDK whose hooks are given a clone of the view.
            let variation = |key| -> stickystore::Result<String> {
                Ok(view.assign(&user, key, || bucket(&user))?.text().unwrap_or_default().into_owned())
            };
            stickystore::Result::Ok(format!("{} {}\n", variation("button")?, variation("title")?))
        })
        .await;
    // Either the user could not be read, or what was decided is not kept.
    let page = decided.map_err(|not_kept| not_kept.error).and_then(|decided| decided.value);
    page.map_err(|error| (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")))
}

/// Stands for your bucketing. It may change at any time: who has a variation keeps it.
fn bucket(user: &str) -> &'static str {
    let place = user.bytes().map(usize::from).sum::<usize>() % VARIATIONS.len();
    VARIATIONS.get(place).copied().unwrap_or("red")
}

async fn ask_itself(sticky: AsyncSticky) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(axum::serve(listener, server(sticky.clone())).into_future());

    // Somebody whom the bucketing of today would show something else.
    let other = if bucket("ann") == "red" { "blue" } else { "red" };
    sticky.put("ann", "button", other).await?;
    let too_long = "x".repeat(20_000);
    let page = format!("{other} {}", bucket("ann"));
    let asked = [
        ("variation", "ann", 200, other),
        ("variation", "bob", 200, bucket("bob")),
        ("variation", "bob", 200, bucket("bob")),
        ("page", "ann", 200, page.as_str()),
        ("variation", too_long.as_str(), 400, ""),
        ("page", too_long.as_str(), 400, ""),
    ];
    for (path, user, status, variation) in asked {
        let answer = ask(address, path, user).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("an answer has a head and a body")?;
        println!("GET /{path}/{user:.10}: {}: {}", head.lines().next().unwrap_or_default(), body.trim_end());
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(body.contains(variation), "{answer}");
    }
    serving.abort();
    Ok(())
}

async fn ask(address: SocketAddr, path: &str, user: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /{path}/{user} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn the_server_answers_what_is_kept() -> Result<(), Box<dyn std::error::Error>> {
        super::ask_itself(stickystore::open_async("memory:?namespace=example&deadline=60s").await?).await
    }
}
