//! Both dialects: what is said, what is understood, and that half of it is nothing yet.

use proptest::prelude::*;

use super::*;

fn said(dialect: Dialect, command: &Command<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    dialect.encode(command, 7, &mut out);
    out
}

fn text(command: &Command<'_>) -> String {
    String::from_utf8(said(Dialect::Meta, command)).unwrap()
}

fn understood(dialect: Dialect, text: &[u8]) -> Result<Option<Answer>, Garbled> {
    dialect.decode(&mut BytesMut::from(text))
}

fn meta(text: &str) -> Answer {
    understood(Dialect::Meta, text.as_bytes()).unwrap().unwrap()
}

fn numbered(reply: Reply) -> Answer {
    Answer { reply, opaque: Some(7) }
}

fn found(value: &'static [u8], unique: u64) -> Reply {
    Reply::Found { value: Bytes::from_static(value), unique }
}

/// A packet of the binary protocol from a server.
fn packet(op: u8, status: u16, extras: &[u8], key: &str, value: &[u8], unique: u64) -> Vec<u8> {
    let body = u32::try_from(extras.len() + key.len() + value.len()).unwrap();
    let mut packet = vec![0x81, op];
    packet.extend_from_slice(&u16::try_from(key.len()).unwrap().to_be_bytes());
    packet.extend_from_slice(&[u8::try_from(extras.len()).unwrap(), 0]);
    packet.extend_from_slice(&status.to_be_bytes());
    packet.extend_from_slice(&body.to_be_bytes());
    packet.extend_from_slice(&7_u32.to_be_bytes());
    packet.extend_from_slice(&unique.to_be_bytes());
    [packet, extras.to_vec(), key.as_bytes().to_vec(), value.to_vec()].concat()
}

#[test]
fn meta_commands_are_lines_with_their_number() {
    assert_eq!(text(&Command::Get { key: "k" }), "mg k v c O7\r\n");
    let value = b"a\r\nb";
    assert_eq!(text(&Command::Add { key: "k", value, lasts: 61 }), "ms k 4 ME T61 O7\r\na\r\nb\r\n");
    let swap = Command::Swap { key: "k", unique: 9, value, lasts: 0 };
    assert_eq!(text(&swap), "ms k 4 C9 T0 O7\r\na\r\nb\r\n");
    assert_eq!(text(&Command::Noop), "mn\r\n");
    assert_eq!(text(&Command::Stats("")), "stats\r\n");
    assert_eq!(text(&Command::Stats("settings")), "stats settings\r\n");
    let login = Command::Login { user: "bob", password: "p w" };
    assert_eq!(text(&login), "set login 0 0 7\r\nbob p w\r\n");
}

#[test]
fn binary_commands_are_heads_with_their_number() {
    let swap = Command::Swap { key: "key", unique: 9, value: b"v", lasts: 61 };
    let wanted = b"\x80\x01\0\x03\x08\0\0\0\0\0\0\x0c\0\0\0\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x3dkeyv";
    assert_eq!(said(Dialect::Binary, &swap), wanted);
    let login = Command::Login { user: "bob", password: "pw" };
    let wanted = b"\x80\x21\0\x05\0\0\0\0\0\0\0\x0c\0\0\0\x07\0\0\0\0\0\0\0\0PLAIN\0bob\0pw";
    assert_eq!(said(Dialect::Binary, &login), wanted);
}

#[test]
fn meta_answers_are_understood() {
    assert_eq!(meta("VA 4 c9 O7\r\na\r\nb\r\n"), numbered(found(b"a\r\nb", 9)));
    assert_eq!(meta("EN O7\r\n"), numbered(Reply::Missing));
    assert_eq!(meta("NF O7\r\n"), numbered(Reply::Missing));
    assert_eq!(meta("HD O7\r\n"), numbered(Reply::Stored));
    assert_eq!(meta("NS O7\r\n"), numbered(Reply::Conflict));
    assert_eq!(meta("EX O7\r\n"), numbered(Reply::Conflict));
    let stats = vec![("a".to_owned(), "1 2".to_owned()), ("b".to_owned(), String::new())];
    assert_eq!(meta("STAT a 1 2\r\nSTAT b\r\nEND\r\n").reply, Reply::Stats(stats));
    for (line, refusal) in [
        ("SERVER_ERROR object too large for cache", Refusal::TooLarge),
        ("SERVER_ERROR out of memory storing object", Refusal::NoMemory),
        ("SERVER_ERROR out of memory reading request", Refusal::Server),
        ("CLIENT_ERROR unauthenticated", Refusal::Denied),
        ("CLIENT_ERROR bad data chunk", Refusal::Unknown),
        ("ERROR", Refusal::Unknown),
    ] {
        assert_eq!(meta(&format!("{line}\r\n")), Answer { reply: Reply::Refused(refusal), opaque: None });
    }
}

#[test]
fn binary_answers_are_understood() {
    let binary = |packet: Vec<u8>| understood(Dialect::Binary, &packet).unwrap().unwrap();
    assert_eq!(binary(packet(0, 0, &[0; 4], "", b"val", 9)), numbered(found(b"val", 9)));
    assert_eq!(binary(packet(0, 1, &[], "", b"Not found", 0)), numbered(Reply::Missing));
    assert_eq!(binary(packet(1, 0, &[], "", b"", 9)), numbered(Reply::Stored));
    assert_eq!(binary(packet(1, 2, &[], "", b"Data exists", 0)), numbered(Reply::Conflict));
    assert_eq!(binary(packet(1, 3, &[], "", b"", 0)), numbered(Reply::Refused(Refusal::TooLarge)));
    assert_eq!(binary(packet(0x21, 0x20, &[], "", b"", 0)), numbered(Reply::Refused(Refusal::Denied)));
    let stats = [packet(0x10, 0, &[], "a", b"1", 0), packet(0x10, 0, &[], "", b"", 0)].concat();
    assert_eq!(binary(stats), numbered(Reply::Stats(vec![("a".to_owned(), "1".to_owned())])));
}

#[test]
fn what_is_no_answer_is_garbled() {
    for text in [
        "VA 4 c9 O7\r\nabcdef\r\n",
        "VA x c9 O7\r\n",
        "VA 4 O7\r\nabcd\r\n",
        "VA 2000000000 c9 O7\r\n",
        "VA 4 c O7\r\nabcd\r\n",
        "HD Ox\r\n",
        "HD O4294967296\r\n",
        "\r\n",
        "hd O7\r\n",
        "STAT a 1\r\nHD\r\n",
    ] {
        assert_eq!(understood(Dialect::Meta, text.as_bytes()), Err(Garbled), "{text}");
    }
    assert_eq!(understood(Dialect::Meta, &[b'x'; 9 << 10]), Err(Garbled));
    assert_eq!(understood(Dialect::Binary, b"HD O7\r\n"), Err(Garbled));
    let mut huge = packet(0, 0, &[], "", b"", 0);
    huge[8] = 0xff;
    assert_eq!(understood(Dialect::Binary, &huge), Err(Garbled));
}

#[test]
fn an_answer_belongs_to_the_command_of_its_number_and_kind() {
    let answer = numbered(found(b"v", 1));
    assert!(answer.answers(7, Form::Get));
    assert!(!answer.answers(8, Form::Get) && !answer.answers(7, Form::Store));
    let without = Answer { reply: Reply::Missing, opaque: None };
    assert!(!without.answers(7, Form::Get), "it could be anybody's");
    let refused = Answer { reply: Reply::Refused(Refusal::TooLarge), opaque: None };
    assert!(refused.answers(7, Form::Store) && refused.leaves_order(Form::Store));
    let unknown = Answer { reply: Reply::Refused(Refusal::Unknown), opaque: None };
    assert!(unknown.leaves_order(Form::Stats) && !unknown.leaves_order(Form::Store));
}

#[test]
fn half_an_answer_is_nothing_yet() {
    let stats = [packet(0x10, 0, &[], "a", b"1", 0), packet(0x10, 0, &[], "", b"", 0)].concat();
    for (dialect, whole) in [
        (Dialect::Meta, b"VA 6 c9 O7\r\na\r\n\r\nb\r\n".to_vec()),
        (Dialect::Meta, b"STAT a 1\r\nEND\r\n".to_vec()),
        (Dialect::Meta, b"HD O7\r\n".to_vec()),
        (Dialect::Binary, packet(0, 0, &[0; 4], "", b"val", 9)),
        (Dialect::Binary, stats),
    ] {
        for end in 0..whole.len() {
            let mut arrived = BytesMut::from(&whole[..end]);
            assert_eq!(dialect.decode(&mut arrived), Ok(None), "{end} of {whole:?}");
            assert_eq!(arrived, whole[..end], "it stays until it is whole");
            arrived.extend_from_slice(&whole[end..]);
            arrived.extend_from_slice(b"next");
            assert!(matches!(dialect.decode(&mut arrived), Ok(Some(_))));
            assert_eq!(&arrived[..], b"next");
        }
    }
}

proptest! {
    #[test]
    fn rubbish_is_never_a_panic(text in proptest::collection::vec(any::<u8>(), 0..60), start in 0..4_usize) {
        let start: &[u8] = [&b""[..], b"VA 5 ", b"STAT ", b"\x81\x10"][start];
        for dialect in [Dialect::Meta, Dialect::Binary] {
            let _ = understood(dialect, &[start, &text].concat());
        }
    }
}
