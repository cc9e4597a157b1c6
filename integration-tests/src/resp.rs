//! Redis' protocol, version 2, as far as a proxy has to know it: whole messages out of a stream, and bytes of them again.
//! No I/O.

/// The words of a command.
pub type Command = Vec<Vec<u8>>;

/// What ends a line.
const END: &[u8] = b"\r\n";

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+`: a line.
    Simple(Vec<u8>),
    /// `-`: a line that says what is wrong.
    Error(Vec<u8>),
    /// `:`
    Int(i64),
    /// `$`: any bytes.
    Bulk(Vec<u8>),
    /// `*`
    List(Vec<Reply>),
    /// `$-1`: nothing where bytes could be.
    Nil,
    /// `*-1`: nothing where a list could be.
    NilList,
}

impl Reply {
    /// Takes the message that a stream begins with; nothing while it is not whole.
    ///
    /// # Panics
    /// If the stream begins with no message.
    pub fn take(stream: &mut Vec<u8>) -> Option<Self> {
        let (message, length) = parse(stream)?;
        stream.drain(..length);
        Some(message)
    }

    /// Its bytes, added to a stream.
    pub fn put(&self, stream: &mut Vec<u8>) {
        let mut line = |kind: u8, text: &[u8]| {
            stream.push(kind);
            stream.extend_from_slice(text);
            stream.extend_from_slice(END);
        };
        match self {
            Self::Simple(text) => line(b'+', text),
            Self::Error(text) => line(b'-', text),
            Self::Int(number) => line(b':', number.to_string().as_bytes()),
            Self::Nil => line(b'$', b"-1"),
            Self::NilList => line(b'*', b"-1"),
            Self::Bulk(bytes) => {
                line(b'$', bytes.len().to_string().as_bytes());
                stream.extend_from_slice(bytes);
                stream.extend_from_slice(END);
            }
            Self::List(replies) => {
                line(b'*', replies.len().to_string().as_bytes());
                for reply in replies {
                    reply.put(stream);
                }
            }
        }
    }
}

/// Takes the command that a stream begins with; nothing while it is not whole.
///
/// # Panics
/// If the stream begins with no command.
pub fn take_command(stream: &mut Vec<u8>) -> Option<Command> {
    match Reply::take(stream)? {
        Reply::List(words) => Some(words.into_iter().map(word).collect()),
        other => panic!("no command: {other:?}"),
    }
}

/// A command's bytes, added to a stream.
pub fn put_command(command: &Command, stream: &mut Vec<u8>) {
    Reply::List(command.iter().cloned().map(Reply::Bulk).collect()).put(stream);
}

fn word(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Bulk(word) => word,
        other => panic!("no word of a command: {other:?}"),
    }
}

/// The first message, and how many bytes it has.
fn parse(stream: &[u8]) -> Option<(Reply, usize)> {
    let line_end = stream.windows(END.len()).position(|bytes| bytes == END)?;
    let (kind, line) = (stream[0], &stream[1..line_end]);
    let begun = line_end + END.len();
    let reply = match kind {
        b'+' => Reply::Simple(line.to_vec()),
        b'-' => Reply::Error(line.to_vec()),
        b':' => Reply::Int(number(line)),
        b'$' | b'*' if line == b"-1" => {
            if kind == b'$' {
                Reply::Nil
            } else {
                Reply::NilList
            }
        }
        b'$' => {
            let end = begun + length(line);
            let bytes = stream.get(begun..end)?.to_vec();
            assert_eq!(stream.get(end..end + END.len())?, END, "a text ends where its length says");
            return Some((Reply::Bulk(bytes), end + END.len()));
        }
        b'*' => {
            let (mut replies, mut end) = (Vec::new(), begun);
            for _ in 0..length(line) {
                let (reply, length) = parse(stream.get(end..)?)?;
                replies.push(reply);
                end += length;
            }
            return Some((Reply::List(replies), end));
        }
        other => panic!("no message begins with {:?}", char::from(other)),
    };
    Some((reply, begun))
}

fn length(line: &[u8]) -> usize {
    usize::try_from(number(line)).unwrap()
}

fn number(line: &[u8]) -> i64 {
    std::str::from_utf8(line).unwrap().parse().unwrap()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn replies() -> impl Strategy<Value = Reply> {
        let line = "[^\r\n]{0,9}".prop_map(String::into_bytes);
        let leaf = prop_oneof![
            line.clone().prop_map(Reply::Simple),
            line.prop_map(Reply::Error),
            any::<i64>().prop_map(Reply::Int),
            any::<Vec<u8>>().prop_map(Reply::Bulk),
            Just(Reply::Bulk(b"\r\n$-1\r\n".to_vec())),
            Just(Reply::Nil),
            Just(Reply::NilList),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| prop::collection::vec(inner, 0..6).prop_map(Reply::List))
    }

    proptest! {
        #[test]
        fn what_is_put_is_taken_again_whole_and_in_order(replies in prop::collection::vec(replies(), 1..4)) {
            let mut stream = Vec::new();
            for reply in &replies {
                reply.put(&mut stream);
            }
            let taken: Vec<_> = std::iter::from_fn(|| Reply::take(&mut stream)).take(replies.len()).collect();
            prop_assert_eq!(taken, replies);
            prop_assert!(stream.is_empty());
        }

        #[test]
        fn a_message_is_taken_only_when_its_last_byte_is_there(reply in replies()) {
            let mut whole = Vec::new();
            reply.put(&mut whole);
            for length in 0..whole.len() {
                let mut part = whole[..length].to_vec();
                prop_assert_eq!(Reply::take(&mut part), None);
                prop_assert_eq!(part.len(), length, "what is not whole is left");
            }
        }
    }

    #[test]
    fn commands_are_lists_of_words() {
        let mut stream = Vec::new();
        let command: Command = ["SET", "a\r\nb", ""].map(|word| word.as_bytes().to_vec()).into();
        put_command(&command, &mut stream);
        assert_eq!(stream, b"*3\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n");
        assert_eq!(take_command(&mut stream), Some(command));
        assert_eq!(take_command(&mut stream), None);
    }

    #[test]
    #[should_panic(expected = "no message begins with 'G'")]
    fn another_protocol_is_refused() {
        Reply::take(&mut b"GET / HTTP/1.1\r\n".to_vec());
    }
}
