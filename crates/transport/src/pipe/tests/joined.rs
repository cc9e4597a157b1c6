//! What several callers ask in one, and what each of them is answered.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;

/// A word, which the server says louder: `2 a b` is asked in one, and answered `A B`. A word with `!` goes by itself.
struct Word(String);

/// The most words in one.
const MOST: usize = 3;

impl Question for Word {
    type Answer = String;

    fn commands(&self) -> usize {
        1
    }

    fn hear(&mut self, arrived: &mut BytesMut) -> Result<Heard<String>, Garbled> {
        let Some(end) = arrived.iter().position(|byte| *byte == b'\n') else { return Ok(Heard::Part) };
        let line = String::from_utf8(arrived.split_to(end + 1)[..end].to_vec()).unwrap();
        if line == "?" { Err(Garbled) } else { Ok(Heard::All(line)) }
    }

    fn is_joinable(&self) -> bool {
        !self.0.contains('!')
    }

    fn join<'a>(asked: impl Iterator<Item = (&'a Self, &'a Parts)>) -> (usize, Parts) {
        let words: Vec<_> = asked.take(MOST).map(|(word, _)| word.0.as_str()).collect();
        (words.len(), said(&words))
    }

    fn share(answer: String, _: usize) -> Vec<String> {
        answer.split(' ').map(str::to_owned).collect()
    }
}

fn said(words: &[&str]) -> Parts {
    let mut parts = Parts::default();
    parts.push_text(format_args!("{} {}\n", words.len(), words.join(" ")));
    parts
}

type Asked = tokio::task::JoinHandle<Result<String>>;

fn say(pipe: &Arc<Pipe<Word>>, word: &str) -> Asked {
    let (pipe, word) = (Arc::clone(pipe), word.to_owned());
    tokio::spawn(async move { pipe.ask(said(&[&word]), Word(word)).await })
}

fn pipe() -> (Arc<Pipe<Word>>, DuplexStream) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    (Arc::new(Pipe::over(Box::new(ours), Pace::AllAtOnce)), theirs)
}

async fn answers(server: &mut DuplexStream, lines: &str) {
    server.write_all(lines.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn what_is_asked_at_the_same_moment_is_asked_in_one_and_each_has_its_own_answer() {
    let (pipe, mut server) = pipe();
    let asked = ["a", "b", "c", "d"].map(|word| say(&pipe, word));
    // In two halves, so that the server has one while callers have the answers of the other.
    hears(&mut server, "2 a b\n2 c d\n").await;
    answers(&mut server, "A B\nC D\n").await;
    for (asked, word) in asked.into_iter().zip(["A", "B", "C", "D"]) {
        assert_eq!(asked.await.unwrap().unwrap(), word);
    }
}

#[tokio::test]
async fn who_asks_alone_is_asked_as_it_is() {
    let (pipe, mut server) = pipe();
    for _ in 0..2 {
        let asked = say(&pipe, "a");
        hears(&mut server, "1 a\n").await;
        answers(&mut server, "A B\n").await;
        assert_eq!(asked.await.unwrap().unwrap(), "A B", "nothing is shared");
    }
}

#[tokio::test]
async fn as_many_as_the_protocol_takes() {
    let (pipe, mut server) = pipe();
    let asked = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|word| say(&pipe, word));
    hears(&mut server, "3 a b c\n3 d e f\n2 g h\n").await;
    answers(&mut server, "1 2 3\n4 5 6\n7 8\n").await;
    for (asked, place) in asked.into_iter().zip(1..) {
        assert_eq!(asked.await.unwrap().unwrap(), place.to_string());
    }
}

#[tokio::test]
async fn what_cannot_be_leaves_by_itself_and_nothing_leaves_before_what_came_before_it() {
    let (pipe, mut server) = pipe();
    let asked = ["a", "b", "c", "!", "d", "e"].map(|word| say(&pipe, word));
    hears(&mut server, "2 a b\n1 c\n1 !\n").await;
    hears(&mut server, "2 d e\n").await;
    answers(&mut server, "1 2\n3\n4 \n5 6\n").await;
    for (asked, answer) in asked.into_iter().zip(["1", "2", "3", "4 ", "5", "6"]) {
        assert_eq!(asked.await.unwrap().unwrap(), answer);
    }
}

#[tokio::test]
async fn who_gave_up_before_is_not_asked_for_and_who_gave_up_after_disturbs_nobody() {
    let (pipe, mut server) = pipe();
    {
        // In the line, and gone before the pipe looks.
        let mut dropped = pin!(pipe.ask(said(&["gone"]), Word("gone".to_owned())));
        assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    let asked = ["a", "b", "c", "d", "e", "f"].map(|word| say(&pipe, word));
    hears(&mut server, "3 a b c\n3 d e f\n").await;
    // The first of its group, one in the middle, and all of a group.
    let given_up = [true, false, true, true, true, true];
    for (asked, _) in asked.iter().zip(given_up).filter(|(_, given_up)| *given_up) {
        asked.abort();
    }
    answers(&mut server, "1 2 3\n4 5 6\n").await;
    let [_, second, ..] = asked;
    assert_eq!(second.await.unwrap().unwrap(), "2");
    let later = say(&pipe, "g");
    hears(&mut server, "1 g\n").await;
    answers(&mut server, "7\n").await;
    assert_eq!(later.await.unwrap().unwrap(), "7");
}

#[tokio::test]
async fn another_number_of_answers_is_an_answer_to_none() {
    for line in ["A\n", "A B C\n"] {
        let (pipe, mut server) = pipe();
        let asked = ["a", "b", "c", "d"].map(|word| say(&pipe, word));
        hears(&mut server, "2 a b\n2 c d\n").await;
        answers(&mut server, &format!("{line}C D\n")).await;
        let kinds =
            [ErrorKind::Unexpected, ErrorKind::Unexpected, ErrorKind::Unavailable, ErrorKind::Unavailable];
        for (asked, kind) in asked.into_iter().zip(kinds) {
            let error = asked.await.unwrap().unwrap_err();
            assert_eq!((error.kind(), error.effect()), (kind, Effect::Unknown));
        }
        assert!(!pipe.is_alive(), "nothing that follows can be trusted");
    }
}

#[tokio::test]
async fn the_end_is_told_to_each() {
    for (last, kind) in [("", ErrorKind::Unavailable), ("?\n", ErrorKind::Unexpected)] {
        let (pipe, mut server) = pipe();
        let asked = ["a", "b", "c", "d"].map(|word| say(&pipe, word));
        hears(&mut server, "2 a b\n2 c d\n").await;
        answers(&mut server, last).await;
        drop(server);
        let kinds = [kind, kind, ErrorKind::Unavailable, ErrorKind::Unavailable];
        for (asked, kind) in asked.into_iter().zip(kinds) {
            let error = asked.await.unwrap().unwrap_err();
            assert_eq!((error.kind(), error.effect()), (kind, Effect::Unknown));
        }
    }
}

/// A server that answers each line louder, in pieces of this size.
async fn loud(mut server: DuplexStream, piece: usize) {
    let (mut heard, mut room) = (Vec::new(), [0; 64]);
    while let Ok(read @ 1..) = server.read(&mut room).await {
        heard.extend_from_slice(&room[..read]);
        while let Some(end) = heard.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8(heard.drain(..=end).collect()).unwrap();
            let (_, words) = line.split_once(' ').unwrap();
            for piece in words.to_uppercase().as_bytes().chunks(piece) {
                server.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_has_its_own_answers_whoever_asks_when() {
    for piece in [1, 7, 64] {
        let (pipe, server) = pipe();
        let serving = tokio::spawn(loud(server, piece));
        let callers = (0..50).map(|caller| {
            let pipe = Arc::clone(&pipe);
            tokio::spawn(async move {
                for call in 0..40 {
                    let alone = if (caller + call) % 7 == 0 { "!" } else { "" };
                    let word = format!("w{caller}-{call}{alone}");
                    let answer = pipe.ask(said(&[&word]), Word(word.clone())).await.unwrap();
                    assert_eq!(answer, word.to_uppercase());
                    if call % 5 == caller % 5 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
        assert!(pipe.is_alive());
        drop(pipe);
        serving.await.unwrap();
    }
}
