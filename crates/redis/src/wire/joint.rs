//! One script for the users of several callers, in one command: that costs the server less than a command for each.

use stickystore_transport::Parts;

use super::{Commands, Reply, begin, word};

/// The most users of one command, and the most words and bytes that more than one user may have: to run a script costs the server
/// a third of what it does for one user, but it answers nobody else until it has done them all.
pub(crate) const USERS: usize = 16;
pub(crate) const WORDS: usize = 512;
const BYTES: usize = 64 << 10;

/// How many words come before the keys: a script's name, how it is named, and how many users it is run for.
const BEGINNING: usize = 3;

/// A run of a script for one user, which others can be run in one with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joint {
    beginning: [&'static str; 2],
    /// How many words are this user's own, besides its key.
    words: usize,
    places: Places,
}

/// Where in a command its keys begin, where what all users have in common, and where what is each one's own.
#[derive(Debug, Clone, Copy)]
struct Places {
    keys: usize,
    common: usize,
    own: usize,
}

/// A script for some users.
#[derive(Debug)]
pub(crate) struct Runs<'a, K, O> {
    /// The command, and how it names the script.
    pub(crate) beginning: [&'a str; 2],
    pub(crate) keys: K,
    /// What all users have in common.
    pub(crate) common: &'a str,
    /// What is each user's own, and in how many words.
    pub(crate) own: O,
    pub(crate) words: usize,
}

impl Commands {
    /// Appends a run of a script for some users.
    pub(crate) fn push_runs<'a>(
        &mut self,
        runs: Runs<'a, impl ExactSizeIterator<Item = &'a str>, impl Iterator<Item = &'a str>>,
    ) {
        self.count += 1;
        say(&mut self.parts, runs);
    }

    /// Appends one for one user, which can leave as one command with those of others who ask at the same moment.
    pub(crate) fn push_joinable<'a>(
        &mut self,
        beginning: [&'static str; 2],
        key: &'a str,
        common: &'a str,
        own: impl ExactSizeIterator<Item = &'a str>,
    ) {
        let words = own.len();
        self.count += 1;
        let runs = Runs { beginning, keys: [key].into_iter(), common, own, words };
        let places = say(&mut self.parts, runs);
        self.joint = Some(Joint { beginning, words, places });
    }
}

fn say<'a>(
    parts: &mut Parts,
    runs: Runs<'a, impl ExactSizeIterator<Item = &'a str>, impl Iterator<Item = &'a str>>,
) -> Places {
    head(parts, runs.beginning, runs.keys.len(), runs.words);
    let keys = parts.bytes().len();
    runs.keys.for_each(|key| word(parts, key));
    let common = parts.bytes().len();
    word(parts, runs.common);
    let own = parts.bytes().len();
    runs.own.for_each(|own| word(parts, own));
    Places { keys, common, own }
}

fn head(parts: &mut Parts, beginning: [&str; 2], users: usize, words: usize) {
    begin(parts, BEGINNING + users + 1 + words);
    beginning.into_iter().for_each(|said| word(parts, said));
    word(parts, itoa::Buffer::new().format(users));
}

/// What is one user's own in a command for it alone.
#[derive(Default, Clone, Copy)]
struct Own<'a> {
    key: &'a [u8],
    own: &'a [u8],
}

/// One command for as many of these as may be together, from the first; and how many they are.
pub(super) fn join<'a>(mut asked: impl Iterator<Item = (&'a Joint, &'a Parts)>) -> (usize, Parts) {
    let Some((first, said)) = asked.next() else { return (0, Parts::default()) };
    let common = |joint: &Joint, said: &'a Parts| said.bytes().get(joint.places.common..joint.places.own);
    let shared = common(first, said).unwrap_or_default();
    let mut joined = [Own::default(); USERS];
    let (mut users, mut words, mut bytes) = (0, 0, 0);
    for ((joint, said), place) in std::iter::once((first, said)).chain(asked).zip(&mut joined) {
        let (more_words, more_bytes) = (words + joint.words, bytes + said.bytes().len());
        let fits = more_words <= WORDS && more_bytes <= BYTES;
        let is_alike = joint.beginning == first.beginning && common(joint, said) == Some(shared);
        if users > 0 && !(fits && is_alike) {
            break;
        }
        let Places { keys, common, own } = joint.places;
        let said = said.bytes();
        *place =
            Own { key: said.get(keys..common).unwrap_or_default(), own: said.get(own..).unwrap_or_default() };
        (users, words, bytes) = (users + 1, more_words, more_bytes);
    }
    if users < 2 {
        return (users, Parts::default());
    }
    let mut parts = Parts::with_capacity(bytes, 0);
    let joined = joined.get(..users).unwrap_or_default();
    head(&mut parts, first.beginning, users, words);
    joined.iter().for_each(|user| parts.push(user.key));
    parts.push(shared);
    joined.iter().for_each(|user| parts.push(user.own));
    (users, parts)
}

/// What each of so many users was answered: of the whole command's refusal the same.
pub(super) fn share(answers: Vec<Reply>, users: usize) -> Vec<Vec<Reply>> {
    let Some(answer) = answers.into_iter().next() else { return Vec::new() };
    if answer.refusal().is_some() {
        return vec![vec![answer]; users];
    }
    answer.items().unwrap_or_default().into_iter().map(|answer| vec![answer]).collect()
}

#[cfg(test)]
mod tests {
    use stickystore_transport::Question as _;

    use super::super::Asked;
    use super::*;

    const SCRIPT: [&str; 2] = ["EVALSHA", "abc"];

    fn run(beginning: [&'static str; 2], key: &str, common: &str, own: &[&str]) -> (Parts, Asked) {
        let mut commands = Commands::default();
        commands.push_joinable(beginning, key, common, own.iter().copied());
        commands.ask()
    }

    fn joined(asked: &[(Parts, Asked)]) -> (usize, String) {
        let (users, parts) = Asked::join(asked.iter().map(|(parts, asked)| (asked, parts)));
        (users, String::from_utf8(parts.bytes().to_vec()).unwrap())
    }

    /// The same users in a command that was made for all of them.
    fn together(common: &str, users: &[(&str, &[&str])]) -> String {
        let mut commands = Commands::default();
        commands.push_runs(Runs {
            beginning: SCRIPT,
            keys: users.iter().map(|(key, _)| *key),
            common,
            own: users.iter().flat_map(|(_, own)| own.iter().copied()),
            words: users.iter().map(|(_, own)| own.len()).sum(),
        });
        String::from_utf8(commands.ask().0.bytes().to_vec()).unwrap()
    }

    #[test]
    fn runs_of_one_script_are_one_command_with_all_their_keys_and_words() {
        let users: [(&str, &[&str]); 3] =
            [("ann", &["1", "", "I"]), ("bob\r\n", &["2", "*"]), ("", &["3", "x\r\n$1\r\n", "D", "k"])];
        let asked = users.map(|(key, own)| run(SCRIPT, key, "60000", own));
        assert!(asked.iter().all(|(_, asked)| asked.is_joinable()));
        assert_eq!(joined(&asked), (3, together("60000", &users)));
        let said = "*11\r\n$7\r\nEVALSHA\r\n$3\r\nabc\r\n$1\r\n2\r\n$3\r\nann\r\n$5\r\nbob\r\n\r\n$5\r\n60000\r\n\
                    $1\r\n1\r\n$0\r\n\r\n$1\r\nI\r\n$1\r\n2\r\n$1\r\n*\r\n";
        assert_eq!(joined(&asked[..2]), (2, said.to_owned()));
    }

    #[test]
    fn another_script_or_another_grace_is_another_command() {
        let other = ["EVALSHA", "other"];
        for (second, third) in [
            ((SCRIPT, "7"), (SCRIPT, "7")),
            ((other, "60000"), (other, "60000")),
            ((other, "60000"), (SCRIPT, "60000")),
        ] {
            let asked =
                [(SCRIPT, "60000"), second, third].map(|(script, common)| run(script, "ann", common, &["1"]));
            assert_eq!(joined(&asked).0, 1);
        }
        let asked = ["60000", "60000", "7"].map(|common| run(SCRIPT, "ann", common, &["1"]));
        assert_eq!(joined(&asked).0, 2);
    }

    #[test]
    fn neither_too_many_nor_too_much() {
        let many: Vec<_> = (0..40).map(|_| run(SCRIPT, "ann", "7", &["1"])).collect();
        assert_eq!(joined(&many).0, USERS);
        let words = vec!["1"; WORDS / 3];
        let wordy: Vec<_> = (0..5).map(|_| run(SCRIPT, "ann", "7", &words)).collect();
        assert_eq!(joined(&wordy).0, 3);
        let text = "x".repeat(BYTES / 3);
        let large: Vec<_> = (0..5).map(|_| run(SCRIPT, "ann", "7", &[&text])).collect();
        assert_eq!(joined(&large).0, 2);
        let huge = "x".repeat(BYTES + 1);
        assert_eq!(joined(&[run(SCRIPT, "ann", "7", &[&huge]), run(SCRIPT, "bob", "7", &["1"])]).0, 1);
    }

    #[test]
    fn several_commands_of_one_caller_stay_its_own() {
        let mut commands = Commands::default();
        commands.push_joinable(SCRIPT, "ann", "7", ["1"].into_iter());
        commands.push(&["WAIT", "1", "100"]);
        assert!(!commands.ask().1.is_joinable());
        let mut commands = Commands::default();
        commands.push(&["HGETALL", "ann"]);
        assert!(!commands.ask().1.is_joinable());
    }

    #[test]
    fn each_user_has_its_own_answer_and_all_have_the_refusal_of_the_command() {
        let reply = |text: &'static str| Reply(bytes::Bytes::from_static(text.as_bytes()));
        let shared = Asked::share(vec![reply("*3\r\n*1\r\n:1\r\n-OOM full\r\n:7\r\n")], 3);
        assert_eq!(
            shared,
            [["*1\r\n:1\r\n"], ["-OOM full\r\n"], [":7\r\n"]].map(|texts| texts.map(reply).to_vec())
        );
        let refused = "-NOSCRIPT No matching script.\r\n";
        assert_eq!(Asked::share(vec![reply(refused)], 3), vec![vec![reply(refused)]; 3]);
        // As many as there are: the pipe sees that it is another number.
        for (text, answers) in [(":1\r\n", 0), ("*0\r\n", 0), ("*2\r\n:1\r\n:2\r\n", 2)] {
            assert_eq!(Asked::share(vec![reply(text)], 3).len(), answers);
        }
        assert!(Asked::share(Vec::new(), 3).is_empty());
    }
}
