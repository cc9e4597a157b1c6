//! What is said, what is understood, and that half of it is nothing yet.

use proptest::prelude::*;

use super::*;

fn said(commands: &[&[&str]]) -> String {
    let mut all = Commands::default();
    for words in commands {
        all.push(words);
    }
    assert_eq!(all.len(), commands.len());
    String::from_utf8(all.ask().0.bytes().to_vec()).unwrap()
}

/// So many answers out of this, and what is left.
fn heard(count: usize, text: &[u8]) -> Result<(Heard<Vec<Reply>>, Vec<u8>), Garbled> {
    let mut commands = Commands::default();
    (0..count).for_each(|_| commands.push(&["PING"]));
    let mut arrived = BytesMut::from(text);
    let heard = commands.ask().1.hear(&mut arrived)?;
    Ok((heard, arrived.to_vec()))
}

fn reply(text: &'static str) -> Reply {
    let (heard, left) = heard(1, text.as_bytes()).unwrap();
    assert_eq!(left, b"");
    let Heard::All(mut replies) = heard else { panic!("{text:?} is not whole") };
    replies.remove(0)
}

#[test]
fn commands_are_arrays_of_texts() {
    assert_eq!(said(&[&["PING"]]), "*1\r\n$4\r\nPING\r\n");
    assert_eq!(
        said(&[&["HGETALL", "a\r\nb"], &["GET", ""]]),
        "*2\r\n$7\r\nHGETALL\r\n$4\r\na\r\nb\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
    );
}

#[test]
fn answers_are_understood() {
    assert_eq!(reply(":-7\r\n").value(), Value::Int(-7));
    assert_eq!(reply("$4\r\na\r\nb\r\n").value(), Value::Text(b"a\r\nb"));
    assert_eq!(reply("$0\r\n\r\n").value(), Value::Text(b""));
    assert_eq!(reply("$-1\r\n").value(), Value::Nil);
    assert_eq!(reply("*-1\r\n").value(), Value::Nil);
    assert_eq!(reply("+PONG\r\n").value().text(), Some("PONG"));
    let empty = reply("*0\r\n");
    let Value::Array(items) = empty.value() else { panic!("no array") };
    assert_eq!(items.count(), 0);
}

#[test]
fn an_array_has_arrays_and_refusals_in_it() {
    let nested = reply("*4\r\n*2\r\n:1\r\n*1\r\n$1\r\nx\r\n$-1\r\n-ERR no\r\n+end\r\n");
    let Value::Array(mut items) = nested.value() else { panic!("no array") };
    assert_eq!(items.len(), 4);
    let Some(Value::Array(inner)) = items.next() else { panic!("no array in it") };
    let inner: Vec<_> = inner.collect();
    assert_eq!((inner.len(), &inner[0]), (2, &Value::Int(1)));
    assert_eq!(items.next(), Some(Value::Nil));
    let Some(Value::Refusal(refusal)) = items.next() else { panic!("no refusal in it") };
    assert_eq!(refusal.details(), "no");
    assert_eq!((items.next(), items.next()), (Some(Value::Status(b"end")), None));
}

#[test]
fn a_refusal_has_a_code_and_details() {
    let refused = reply("-NOSCRIPT No matching script.\r\n");
    let refusal = refused.refusal().unwrap();
    assert_eq!((refusal.code(), refusal.details()), ("NOSCRIPT", "No matching script."));
    let bare = reply("-LOADING\r\n");
    assert_eq!(bare.refusal().map(|refusal| (refusal.code(), refusal.details())), Some(("LOADING", "")));
    assert_eq!(reply("+OK\r\n").refusal(), None);
}

#[test]
fn a_list_is_taken_apart() {
    let list = reply("*3\r\n*2\r\n:1\r\n$1\r\nx\r\n-OOM full\r\n:7\r\n");
    let items = list.items().unwrap();
    assert_eq!(items, [reply("*2\r\n:1\r\n$1\r\nx\r\n"), reply("-OOM full\r\n"), reply(":7\r\n")]);
    assert_eq!((reply(":7\r\n").items(), reply("*0\r\n").items()), (None, Some(Vec::new())));
}

#[test]
fn the_first_refusal_is_that_of_all() {
    let code = |text| reply(text).first_refusal().map(|refusal| refusal.code().to_owned());
    assert_eq!(code("*2\r\n-READONLY no\r\n-READONLY no\r\n").as_deref(), Some("READONLY"));
    assert_eq!(code("-READONLY no\r\n").as_deref(), Some("READONLY"));
    assert_eq!((code("*1\r\n:1\r\n"), code(":1\r\n")), (None, None));
}

#[test]
fn answers_are_as_many_as_were_asked_for_and_the_next_stays() {
    let (heard, left) = heard(2, b":1\r\n$1\r\nx\r\n:3\r\n").unwrap();
    let Heard::All(replies) = heard else { panic!("not whole") };
    assert_eq!(replies.iter().map(Reply::value).collect::<Vec<_>>(), [Value::Int(1), Value::Text(b"x")]);
    assert_eq!(left, b":3\r\n");
}

#[test]
fn what_is_no_answer_is_garbled() {
    for text in [
        "x",
        "PONG\r\n",
        "\r\n",
        "\n",
        ":\r\n",
        ":1x\r\n",
        ":1\n",
        ":99999999999999999999\r\n",
        "$-2\r\n",
        "$x\r\n",
        "$1\r\nxyz",
        "$1\r\nx\r\r\n",
        "$9999999999\r\n",
        "*-2\r\n",
        "*1\r\n*x\r\n",
        "%1\r\n+a\r\n+b\r\n",
    ] {
        assert_eq!(heard(1, text.as_bytes()).unwrap_err(), Garbled, "{text:?}");
    }
    assert_eq!(heard(1, &[b'+'; LONGEST_LINE]).unwrap_err(), Garbled);
}

#[test]
fn arrays_that_never_end_take_neither_memory_nor_the_stack() {
    let deep = b"*1\r\n".repeat(100_000);
    assert_eq!(heard(1, &deep).unwrap().0, Heard::Part);
    assert_eq!(heard(1, b"*9223372036854775807\r\n:1\r\n").unwrap().0, Heard::Part);
}

/// Any answer, as text.
fn any_answer() -> impl Strategy<Value = Vec<u8>> {
    let line = "[ -~]{0,12}";
    let text = proptest::collection::vec(any::<u8>(), 0..40);
    let leaf = prop_oneof![
        line.prop_map(|line| format!("+{line}\r\n").into_bytes()),
        line.prop_map(|line| format!("-{line}\r\n").into_bytes()),
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        text.prop_map(|text| [format!("${}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat()),
        Just(b"$-1\r\n".to_vec()),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        proptest::collection::vec(inner, 0..5)
            .prop_map(|items| [format!("*{}\r\n", items.len()).into_bytes(), items.concat()].concat())
    })
}

/// Sees that nothing in it is odd.
fn walk(value: Value<'_>) {
    match value {
        Value::Array(items) => items.for_each(walk),
        value => assert_ne!(value, Value::Odd),
    }
}

proptest! {
    #[test]
    fn half_an_answer_is_nothing_yet_and_the_whole_is_it(answer in any_answer(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(answer.len());
        let mut asked = { let mut one = Commands::default(); one.push(&["PING"]); one.ask().1 };
        let mut arrived = BytesMut::from(&answer[..cut]);
        prop_assert_eq!(asked.hear(&mut arrived), Ok(Heard::Part));
        arrived.extend_from_slice(&answer[cut..]);
        arrived.extend_from_slice(b":1\r\n");
        let Ok(Heard::All(replies)) = asked.hear(&mut arrived) else { panic!("not whole") };
        prop_assert_eq!(&replies[0].0[..], &answer[..]);
        prop_assert_eq!(&arrived[..], b":1\r\n");
        walk(replies[0].value());
    }

    #[test]
    fn rubbish_is_never_a_panic(text in proptest::collection::vec(any::<u8>(), 0..60), start in 0..5_usize) {
        let start: &[u8] = [&b""[..], b"*3\r\n", b"$5\r\n", b"*1\r\n*2\r\n:1\r\n", b"-"][start];
        if let Ok((Heard::All(replies), _)) = heard(1, &[start, &text].concat()) {
            walk(replies[0].value());
        }
    }
}
