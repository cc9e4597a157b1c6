//! Pipes of one's own, over streams of this machine.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::*;
use crate::stream::Waiting;

/// How much later anything may be seen on a machine that has others to serve.
const MACHINE: Duration = Duration::from_secs(2);

/// Longer than any answer takes that comes.
const LONG: Duration = Duration::from_secs(60);

/// A pipe of one's own, and the server's end of it.
async fn own(pace: Pace) -> (Pipe<Lines>, TcpStream) {
    let (pipe, server) = shared(pace).await;
    (pipe.own().await.unwrap(), server)
}

async fn shared(pace: Pace) -> (Pipe<Lines>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    ours.set_nodelay(true).unwrap();
    (Pipe::over(Box::new(ours), pace), listener.accept().unwrap().0)
}

/// Asks this, a part for each line, and gets the answer when it is first polled.
fn asks(pipe: &Pipe<Lines>, text: &str, lines: usize, within: Duration) -> Result<Vec<String>> {
    let mut parts = Parts::default();
    for part in text.split_inclusive('\n') {
        parts.push(part.as_bytes());
        parts.end_part();
    }
    pipe.until(Instant::now() + within);
    let asked = pin!(pipe.ask(parts, Lines { lines, heard: Vec::new() }));
    match asked.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits for somebody else"),
    }
}

/// Hears so many bytes and says this, over and over.
fn says(mut server: TcpStream, hears: usize, text: &'static str) {
    thread::spawn(move || {
        let mut heard = vec![0; hears];
        while server.read_exact(&mut heard).is_ok() {
            server.write_all(text.as_bytes()).unwrap();
        }
    });
}

#[tokio::test]
async fn it_is_answered_when_it_is_first_polled() {
    for pace in [Pace::AllAtOnce, Pace::ByPart] {
        let (pipe, server) = own(pace).await;
        says(server, 4, "one\ntwo\n");
        for _ in 0..3 {
            assert!(pipe.is_ready());
            assert_eq!(asks(&pipe, "a\nb\n", 2, LONG).unwrap(), ["one", "two"]);
        }
    }
}

#[tokio::test]
async fn what_was_said_before_it_became_ones_own_is_not_lost() {
    let (pipe, mut server) = shared(Pace::AllAtOnce).await;
    let pipe = Arc::new(pipe);
    let first = ask(&pipe, "a", 1);
    let mut heard = [0];
    tokio::task::yield_now().await;
    tokio::task::spawn_blocking(move || {
        server.read_exact(&mut heard).unwrap();
        server.write_all(b"one\n").unwrap();
        says(server, 1, "two\n");
    })
    .await
    .unwrap();
    assert_eq!(first.await.unwrap().unwrap(), ["one"]);
    let pipe = Arc::into_inner(pipe).unwrap().own().await.unwrap();
    assert_eq!(asks(&pipe, "b", 1, LONG).unwrap(), ["two"]);
}

/// What is written is what is read, at once.
#[derive(Default)]
struct Echo(Vec<u8>);

impl AsyncRead for Echo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.0.is_empty() {
            // Whoever writes is the one who reads.
            return Poll::Pending;
        }
        buffer.put_slice(&std::mem::take(&mut self.0));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Echo {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Duplex for Echo {
    fn into_waiting(self: Box<Self>) -> io::Result<Box<dyn Waiting>> {
        Err(io::ErrorKind::AddrInUse.into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_answered_can_have_it_at_once() {
    // Whether it is known first that the question has left or that the answer has come is by chance.
    for _ in 0..5_000 {
        let pipe = Pipe::over(Box::new(Echo::default()), Pace::AllAtOnce);
        let mut parts = Parts::default();
        parts.push(b"one\n");
        assert_eq!(pipe.ask(parts, Lines { lines: 1, heard: Vec::new() }).await.unwrap(), ["one"]);
        let error = pipe.own().await.map(drop).unwrap_err();
        assert!(
            format!("{error:?}").contains("the server cannot be reached"),
            "it came to the stream: {error:?}"
        );
    }
}

#[tokio::test]
async fn while_an_answer_is_on_its_way_nobody_can_have_it() {
    let (pipe, _server) = shared(Pace::AllAtOnce).await;
    let pipe = Arc::new(pipe);
    let asked = ask(&pipe, "a", 1);
    tokio::task::yield_now().await;
    asked.abort();
    assert!(asked.await.is_err());
    let error = Arc::into_inner(pipe).unwrap().own().await.map(drop).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
}

#[tokio::test]
async fn a_server_that_answers_byte_by_byte_keeps_nobody_beyond_the_deadline() {
    const TIME: Duration = Duration::from_millis(150);
    let (pipe, mut server) = own(Pace::AllAtOnce).await;
    thread::spawn(move || {
        while server.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let began = Instant::now();
    let error = asks(&pipe, "a", 1, TIME).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    assert!(began.elapsed() >= TIME && began.elapsed() < TIME + MACHINE, "{:?}", began.elapsed());
    assert!(!pipe.is_alive());
}

#[tokio::test]
async fn a_server_that_takes_nothing_keeps_nobody_beyond_the_deadline() {
    const TIME: Duration = Duration::from_millis(150);
    let (pipe, _server) = own(Pace::AllAtOnce).await;
    let began = Instant::now();
    let error = asks(&pipe, &"x".repeat(64 << 20), 1, TIME).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::Unknown));
    assert!(began.elapsed() >= TIME && began.elapsed() < TIME + MACHINE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_short_time_is_not_that_of_the_next_question() {
    let (pipe, mut late) = own(Pace::AllAtOnce).await;
    thread::spawn(move || {
        let mut heard = [0];
        late.read_exact(&mut heard).unwrap();
        late.write_all(b"one\n").unwrap();
        late.read_exact(&mut heard).unwrap();
        thread::sleep(Duration::from_millis(1_200));
        late.write_all(b"two\n").unwrap();
        late
    });
    assert_eq!(asks(&pipe, "a", 1, Duration::from_secs(1)).unwrap(), ["one"]);
    assert_eq!(asks(&pipe, "b", 1, LONG).unwrap(), ["two"]);
}

#[tokio::test]
async fn a_time_that_has_passed_sends_nothing() {
    let (pipe, server) = own(Pace::AllAtOnce).await;
    let error = asks(&pipe, "a", 1, Duration::ZERO).unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Timeout, Effect::NotApplied));
    server.set_nonblocking(true).unwrap();
    assert!((&server).read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn whatever_is_no_answer_is_the_end_of_it() {
    for (said, kind) in [("?\n", ErrorKind::Unexpected), ("", ErrorKind::Unavailable)] {
        let (pipe, mut server) = own(Pace::AllAtOnce).await;
        server.write_all(said.as_bytes()).unwrap();
        server.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(asks(&pipe, "a", 1, LONG).unwrap_err().kind(), kind);
        assert!(!pipe.is_alive());
        let error = asks(&pipe, "a", 1, LONG).unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::NotApplied));
    }
}

#[tokio::test]
async fn after_an_answer_that_is_the_last_or_longer_than_was_asked_nothing_is_asked() {
    for said in ["bye\n", "one\ntwo\n"] {
        let (pipe, mut server) = own(Pace::AllAtOnce).await;
        server.write_all(said.as_bytes()).unwrap();
        assert_eq!(asks(&pipe, "a", 1, LONG).unwrap().len(), 1);
        assert!(!pipe.is_alive() && !pipe.is_ready());
    }
}

#[tokio::test]
async fn what_came_between_two_questions_is_seen() {
    for said in ["", "unasked\n"] {
        let (pipe, mut server) = own(Pace::AllAtOnce).await;
        assert!(pipe.is_ready());
        server.write_all(said.as_bytes()).unwrap();
        if said.is_empty() {
            drop(server);
        }
        let until = Instant::now() + LONG;
        while pipe.is_ready() && Instant::now() < until {
            thread::yield_now();
        }
        assert!(!pipe.is_ready());
    }
}
