//! Servers that are none: each says something else than a Memcached would.
#![expect(clippy::indexing_slicing, reason = "a test's server stops where it is wrong")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A port that answers so many writes with a conflict, and then no more reads; how many it was asked for.
pub(crate) async fn faster_so_often(conflicts: usize) -> (u16, Arc<AtomicUsize>) {
    let (listener, port) = listen().await;
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let writes = Arc::clone(&counted);
            tokio::spawn(answer(stream, move |line| {
                let number = line.split_whitespace().find(|flag| flag.starts_with('O')).unwrap_or_default();
                match line.split_whitespace().next() {
                    Some("add") => {
                        writes.fetch_add(1, Ordering::SeqCst);
                        "NOT_STORED\r\n".to_owned()
                    }
                    Some("mg") if line.contains(" v ") && writes.load(Ordering::SeqCst) == conflicts => {
                        String::new()
                    }
                    Some("mg") => format!("EN {number}\r\n"),
                    Some("stats") => "END\r\n".to_owned(),
                    // The lines of the value.
                    _ => String::new(),
                }
            }));
        }
    });
    (port, writes)
}

/// A port that knows no stats, and answers every read under the number of another.
pub(crate) async fn answers_another(accepted: impl Fn() + Send + 'static) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            accepted();
            let wrong = |line: &str| if line.starts_with("mg ") { "EN O4000000000\r\n" } else { "ERROR\r\n" };
            tokio::spawn(answer(stream, move |line| wrong(line).to_owned()));
        }
    });
    port
}

/// A port to this server, over which it does not say what its largest item is.
pub(crate) async fn forgets_its_limit(server: u16) -> u16 {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
                    (client.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
                let mut bytes = vec![0; 64 << 10];
                while let Ok(read @ 1..) = from_server.read(&mut bytes).await {
                    // Of the same length, so that nothing else changes.
                    let name = b"STAT item_size_max ";
                    if let Some(at) = bytes[..read].windows(name.len()).position(|some| some == name) {
                        bytes[at..at + name.len()].copy_from_slice(b"STAT item_size_xxx ");
                    }
                    if to_client.write_all(&bytes[..read]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Answers line by line.
async fn answer(stream: TcpStream, mut say: impl FnMut(&str) -> String) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        if stream.write_all(say(&line).as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}
