//! Both dialects: what is said, what is understood, and that half of it is nothing yet.

use proptest::prelude::*;

use super::*;

fn said(dialect: Dialect, command: &Command<'_>) -> Vec<u8> {
    let mut out = Parts::default();
    dialect.encode(command, 7, &mut out);
    assert_eq!(out.lengths().iter().sum::<usize>(), out.bytes().len());
    out.bytes().to_vec()
}

fn text(command: &Command<'_>) -> String {
    String::from_utf8(said(Dialect::Meta, command)).unwrap()
}

fn understood(dialect: Dialect, form: Form, text: &[u8]) -> Result<Option<Answer>, Garbled> {
    dialect.decode(&mut BytesMut::from(text), form)
}

fn meta(form: Form, text: &str) -> Answer {
    understood(Dialect::Meta, form, text.as_bytes()).unwrap().unwrap()
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
fn text_commands_are_lines_with_a_number() {
    assert_eq!(text(&Command::Get { key: "k" }), "mg k v c O7\r\n");
    let value = b"a\r\nb";
    assert_eq!(
        text(&Command::Add { key: "k", value, lasts: 61 }),
        "add k 0 61 4\r\na\r\nb\r\nmg stickystore! O7\r\n"
    );
    let swap = Command::Swap { key: "k", unique: 9, value, lasts: 0 };
    assert_eq!(text(&swap), "cas k 0 0 4 9\r\na\r\nb\r\nmg stickystore! O7\r\n");
    assert_eq!(text(&Command::Noop), "mn\r\n");
    assert_eq!(text(&Command::Stats("")), "stats\r\n");
    assert_eq!(text(&Command::Stats("settings")), "stats settings\r\n");
    let login = Command::Login { user: "bob", password: "p w" };
    assert_eq!(text(&login), "set login 0 0 7\r\nbob p w\r\n");
}

#[test]
fn a_value_ends_a_part() {
    let mut out = Parts::default();
    let value = b"value";
    for opaque in [7, 8] {
        Dialect::Meta.encode(&Command::Add { key: "k", value, lasts: 0 }, opaque, &mut out);
    }
    let (write, fence) = ("add k 0 0 5\r\nvalue\r\n".len(), "mg stickystore! O7\r\n".len());
    assert_eq!(out.lengths(), [write, fence, write, fence]);
}

#[test]
fn binary_commands_are_heads_with_their_number() {
    let swap = Command::Swap { key: "key", unique: 9, value: b"v", lasts: 61 };
    let wanted = b"\x80\x03\0\x03\x08\0\0\0\0\0\0\x0c\0\0\0\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x3dkeyv";
    assert_eq!(said(Dialect::Binary, &swap), wanted);
    let login = Command::Login { user: "bob", password: "pw" };
    let wanted = b"\x80\x21\0\x05\0\0\0\0\0\0\0\x0c\0\0\0\x07\0\0\0\0\0\0\0\0PLAIN\0bob\0pw";
    assert_eq!(said(Dialect::Binary, &login), wanted);
}

#[test]
fn text_answers_are_understood() {
    assert_eq!(meta(Form::Get, "VA 4 c9 O7\r\na\r\nb\r\n"), numbered(found(b"a\r\nb", 9)));
    assert_eq!(meta(Form::Get, "EN O7\r\n"), numbered(Reply::Missing));
    for (line, reply) in [
        ("STORED", Reply::Stored),
        ("NOT_STORED", Reply::Conflict),
        ("EXISTS", Reply::Conflict),
        ("NOT_FOUND", Reply::Missing),
        ("SERVER_ERROR object too large for cache", Reply::Refused(Refusal::TooLarge)),
        ("SERVER_ERROR out of memory storing object", Reply::Refused(Refusal::NoMemory)),
    ] {
        for fence in ["EN O7", "HD O7"] {
            assert_eq!(meta(Form::Store, &format!("{line}\r\n{fence}\r\n")), numbered(reply.clone()));
        }
    }
    let stats = vec![("a".to_owned(), "1 2".to_owned()), ("b".to_owned(), String::new())];
    assert_eq!(meta(Form::Stats, "STAT a 1 2\r\nSTAT b\r\nEND\r\n").reply, Reply::Stats(stats));
    assert_eq!(meta(Form::Login, "STORED\r\n").reply, Reply::Done);
    assert_eq!(meta(Form::Noop, "MN\r\n").reply, Reply::Done);
    for (line, refusal) in [
        ("SERVER_ERROR out of memory reading request", Refusal::Server),
        ("CLIENT_ERROR unauthenticated", Refusal::Denied),
        ("CLIENT_ERROR bad data chunk", Refusal::Unknown),
        ("ERROR", Refusal::Unknown),
    ] {
        for form in [Form::Get, Form::Store, Form::Stats, Form::Login] {
            let refused = Answer { reply: Reply::Refused(refusal), opaque: None };
            assert_eq!(meta(form, &format!("{line}\r\n")), refused);
        }
    }
}

#[test]
fn binary_answers_are_understood() {
    let binary = |packet: Vec<u8>| understood(Dialect::Binary, Form::Get, &packet).unwrap().unwrap();
    assert_eq!(binary(packet(0, 0, &[0; 4], "", b"val", 9)), numbered(found(b"val", 9)));
    assert_eq!(binary(packet(0, 1, &[], "", b"Not found", 0)), numbered(Reply::Missing));
    assert_eq!(binary(packet(3, 0, &[], "", b"", 9)), numbered(Reply::Stored));
    assert_eq!(binary(packet(3, 2, &[], "", b"Data exists", 0)), numbered(Reply::Conflict));
    assert_eq!(binary(packet(3, 3, &[], "", b"", 0)), numbered(Reply::Refused(Refusal::TooLarge)));
    assert_eq!(binary(packet(0x21, 0x20, &[], "", b"", 0)), numbered(Reply::Refused(Refusal::Denied)));
    let stats = [packet(0x10, 0, &[], "a", b"1", 0), packet(0x10, 0, &[], "", b"", 0)].concat();
    assert_eq!(binary(stats), numbered(Reply::Stats(vec![("a".to_owned(), "1".to_owned())])));
}

#[test]
fn what_is_no_answer_is_garbled() {
    for (form, text) in [
        (Form::Get, "VA 4 c9 O7\r\nabcdef\r\n"),
        (Form::Get, "VA x c9 O7\r\n"),
        (Form::Get, "VA 4 O7\r\nabcd\r\n"),
        (Form::Get, "VA 2000000000 c9 O7\r\n"),
        (Form::Get, "VA 4 c O7\r\nabcd\r\n"),
        (Form::Get, "EN Ox\r\n"),
        (Form::Get, "EN O4294967296\r\n"),
        (Form::Get, "\r\n"),
        (Form::Get, "en O7\r\n"),
        (Form::Get, "STORED\r\nEN O7\r\n"),
        (Form::Store, "EN O7\r\n"),
        (Form::Store, "STORED\r\nSTORED\r\n"),
        (Form::Store, "EXISTS\r\nEN Ox\r\n"),
        (Form::Stats, "STAT a 1\r\nEN O7\r\n"),
        (Form::Noop, "EN O7\r\n"),
    ] {
        assert_eq!(understood(Dialect::Meta, form, text.as_bytes()), Err(Garbled), "{text}");
    }
    assert_eq!(understood(Dialect::Meta, Form::Get, &[b'x'; 9 << 10]), Err(Garbled));
    assert_eq!(understood(Dialect::Binary, Form::Get, b"EN O7\r\n"), Err(Garbled));
    let mut huge = packet(0, 0, &[], "", b"", 0);
    huge[8] = 0xff;
    assert_eq!(understood(Dialect::Binary, Form::Get, &huge), Err(Garbled));
}

#[test]
fn an_answer_belongs_to_the_command_of_its_number_and_kind() {
    let answer = numbered(found(b"v", 1));
    assert!(answer.answers(7, Form::Get));
    assert!(!answer.answers(8, Form::Get) && !answer.answers(7, Form::Store));
    let without = Answer { reply: Reply::Missing, opaque: None };
    assert!(!without.answers(7, Form::Get), "it could be anybody's");
    let refused = numbered(Reply::Refused(Refusal::TooLarge));
    assert!(refused.answers(7, Form::Store) && refused.leaves_order(Form::Store));
    assert!(!refused.answers(8, Form::Store));
    let unknown = Answer { reply: Reply::Refused(Refusal::Unknown), opaque: None };
    assert!(unknown.leaves_order(Form::Stats) && !unknown.leaves_order(Form::Store));
}

#[test]
fn half_an_answer_is_nothing_yet() {
    let stats = [packet(0x10, 0, &[], "a", b"1", 0), packet(0x10, 0, &[], "", b"", 0)].concat();
    for (dialect, form, whole) in [
        (Dialect::Meta, Form::Get, b"VA 6 c9 O7\r\na\r\n\r\nb\r\n".to_vec()),
        (Dialect::Meta, Form::Stats, b"STAT a 1\r\nEND\r\n".to_vec()),
        (Dialect::Meta, Form::Store, b"EXISTS\r\nEN O7\r\n".to_vec()),
        (Dialect::Meta, Form::Store, b"SERVER_ERROR out of memory storing object\r\nHD O7\r\n".to_vec()),
        (Dialect::Binary, Form::Get, packet(0, 0, &[0; 4], "", b"val", 9)),
        (Dialect::Binary, Form::Stats, stats),
    ] {
        for end in 0..whole.len() {
            let mut arrived = BytesMut::from(&whole[..end]);
            assert_eq!(dialect.decode(&mut arrived, form), Ok(None), "{end} of {whole:?}");
            assert_eq!(arrived, whole[..end], "it stays until it is whole");
            arrived.extend_from_slice(&whole[end..]);
            arrived.extend_from_slice(b"next");
            assert!(matches!(dialect.decode(&mut arrived, form), Ok(Some(_))));
            assert_eq!(&arrived[..], b"next");
        }
    }
}

proptest! {
    #[test]
    fn rubbish_is_never_a_panic(text in proptest::collection::vec(any::<u8>(), 0..60), start in 0..4_usize) {
        let start: &[u8] = [&b""[..], b"VA 5 ", b"STORED\r\n", b"\x81\x10"][start];
        for dialect in [Dialect::Meta, Dialect::Binary] {
            for form in [Form::Get, Form::Store, Form::Noop, Form::Stats, Form::Login] {
                let _ = understood(dialect, form, &[start, &text].concat());
            }
        }
    }
}
