//! Pipes over streams without a network: a server of lines that the tests speak for.

use stickystore_core::{Effect, ErrorKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::stream::Duplex;

impl Duplex for DuplexStream {}
impl Duplex for Noting {}

/// So many lines, of which `bye` is the last that can be trusted and `?` is none.
struct Lines {
    lines: usize,
    heard: Vec<String>,
}

impl Question for Lines {
    type Answer = Vec<String>;

    fn commands(&self) -> usize {
        self.lines
    }

    fn hear(&mut self, arrived: &mut BytesMut) -> Result<Heard<Vec<String>>, Garbled> {
        while self.heard.len() < self.lines {
            let Some(end) = arrived.iter().position(|byte| *byte == b'\n') else { return Ok(Heard::Part) };
            let line = arrived.split_to(end + 1);
            self.heard.push(String::from_utf8(line[..end].to_vec()).unwrap());
            match self.heard.last().unwrap().as_str() {
                "?" => return Err(Garbled),
                "bye" => return Ok(Heard::Last(std::mem::take(&mut self.heard))),
                _ => {}
            }
        }
        Ok(Heard::All(std::mem::take(&mut self.heard)))
    }
}

/// A pipe of lines, and the server's end of it.
fn pipe(pace: Pace) -> (Arc<Pipe<Lines>>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    (Arc::new(Pipe::over(Box::new(ours), pace)), theirs)
}

/// Asks this as one part, for so many lines.
fn ask(pipe: &Arc<Pipe<Lines>>, text: &str, lines: usize) -> tokio::task::JoinHandle<Result<Vec<String>>> {
    let (pipe, mut parts) = (Arc::clone(pipe), Parts::default());
    parts.push(text.as_bytes());
    parts.end_part();
    tokio::spawn(async move { pipe.ask(parts, Lines { lines, heard: Vec::new() }).await })
}

/// What the server hears next, as long as this.
async fn hears(server: &mut DuplexStream, text: &str) {
    let mut heard = vec![0; text.len()];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(String::from_utf8(heard).unwrap(), text);
}

#[tokio::test]
async fn answers_go_to_those_who_asked_in_their_order() {
    let (pipe, mut server) = pipe(Pace::AllAtOnce);
    let first = ask(&pipe, "first", 2);
    hears(&mut server, "first").await;
    let second = ask(&pipe, "second", 1);
    hears(&mut server, "second").await;
    // In pieces that end where nothing ends.
    for piece in ["on", "e\ntw", "o\nth", "ree\n"] {
        server.write_all(piece.as_bytes()).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(first.await.unwrap().unwrap(), ["one", "two"]);
    assert_eq!(second.await.unwrap().unwrap(), ["three"]);
    assert!(pipe.is_alive());
}

#[tokio::test]
async fn who_gave_up_after_it_was_sent_leaves_the_answers_in_order() {
    let (pipe, mut server) = pipe(Pace::AllAtOnce);
    let first = ask(&pipe, "first", 1);
    hears(&mut server, "first").await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    let second = ask(&pipe, "second", 1);
    hears(&mut server, "second").await;
    server.write_all(b"one\ntwo\n").await.unwrap();
    assert_eq!(second.await.unwrap().unwrap(), ["two"]);
}

#[tokio::test]
async fn the_end_of_the_stream_is_unknown_to_those_who_wait_and_not_sent_for_those_who_come() {
    let (pipe, mut server) = pipe(Pace::AllAtOnce);
    let waits = ask(&pipe, "asked", 1);
    hears(&mut server, "asked").await;
    drop(server);
    let error = waits.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert!(!pipe.is_alive());
    let error = ask(&pipe, "late", 1).await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
}

#[tokio::test]
async fn what_is_no_answer_ends_the_pipe_for_all() {
    let (pipe, mut server) = pipe(Pace::AllAtOnce);
    let (first, second) = (ask(&pipe, "1", 2), ask(&pipe, "2", 1));
    hears(&mut server, "12").await;
    server.write_all(b"one\n?\nthree\n").await.unwrap();
    let error = first.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unexpected, Effect::Unknown));
    let error = second.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert!(!pipe.is_alive());
}

#[tokio::test]
async fn the_last_answer_that_can_be_trusted_is_given() {
    let (pipe, mut server) = pipe(Pace::AllAtOnce);
    let (first, second) = (ask(&pipe, "1", 1), ask(&pipe, "2", 1));
    hears(&mut server, "12").await;
    server.write_all(b"bye\nmine\n").await.unwrap();
    assert_eq!(first.await.unwrap().unwrap(), ["bye"]);
    assert_eq!(second.await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn what_nobody_asked_ends_it() {
    let (pipe, mut server) = pipe(Pace::AllAtOnce);
    server.write_all(b"hello\n").await.unwrap();
    let late = ask(&pipe, "late", 1).await.unwrap().unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Unavailable);
    assert!(!pipe.is_alive());
}

#[tokio::test]
async fn a_retired_pipe_answers_what_is_under_way() {
    let (pipe, mut server) = pipe(Pace::AllAtOnce);
    let waits = ask(&pipe, "asked", 1);
    hears(&mut server, "asked").await;
    pipe.retire();
    assert!(!pipe.is_alive());
    server.write_all(b"answer\n").await.unwrap();
    assert_eq!(waits.await.unwrap().unwrap(), ["answer"]);
}

/// A stream that notes what is written at once, and has nothing to read.
struct Noting(Arc<Mutex<Vec<Vec<u8>>>>);

impl tokio::io::AsyncRead for Noting {
    fn poll_read(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        _: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Pending
    }
}

impl tokio::io::AsyncWrite for Noting {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.0.lock().unwrap().push(bytes.to_vec());
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn what_stands_in_line_leaves_at_once_or_part_by_part() {
    for (pace, writes) in [(Pace::AllAtOnce, vec!["abc"]), (Pace::ByPart, vec!["a", "b", "c"])] {
        let noted = Arc::default();
        let pipe = Arc::new(Pipe::over(Box::new(Noting(Arc::clone(&noted))), pace));
        let asked: Vec<_> = ["a", "b", "c"].map(|text| ask(&pipe, text, 1)).into();
        let is_written = || noted.lock().unwrap().concat().len() == 3;
        while !is_written() {
            tokio::task::yield_now().await;
        }
        assert_eq!(*noted.lock().unwrap(), writes.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
        asked.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

mod joined;
mod own;
