//! Identifiers that broken stores confuse, trim, cut, parse or run, by what is nasty about them.
//!
//! Each list has its own likely partners in it: the identifiers that a broken store would take them for.

use stickystore_core::MAX_ID_BYTES;

/// Around the lengths at which servers' keys end (memcached: 250 bytes) and at which layouts begin to hash.
const LENGTHS: [usize; 26] = [
    1, 2, 11, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 249, 250, 251, 252, 255, 256, 257, 1_024,
    1_025, 4_095, 4_096,
];

/// One of each length, all of the same letter: each is a prefix of the next.
pub(super) fn lengths() -> Vec<String> {
    LENGTHS.iter().map(|&bytes| "x".repeat(bytes)).collect()
}

/// Long ones that differ in one byte: the first, one in the middle, the last.
pub(super) fn long_and_alike() -> Vec<String> {
    let mut ids = Vec::new();
    for bytes in [64, 128, 250, 251, 255, 256, 1_024, MAX_ID_BYTES] {
        ids.push("x".repeat(bytes));
        for place in [0, bytes / 2, bytes - 1] {
            ids.push(format!("{}y{}", "x".repeat(place), "x".repeat(bytes - place - 1)));
        }
    }
    ids
}

/// Characters of 2, 3 and 4 bytes, alone and across the lengths at which a cut would split them.
pub(super) fn multi_byte() -> Vec<String> {
    let mut ids: Vec<_> =
        ["\u{e9}", "\u{df}\u{df}", "\u{20ac}", "\u{65e5}\u{672c}", "\u{1f600}", "\u{10ffff}", "\u{ffff}"]
            .map(String::from)
            .to_vec();
    for (character, bytes) in [("\u{e9}", 2), ("\u{20ac}", 3), ("\u{1f600}", 4)] {
        for limit in [250, 1_024, MAX_ID_BYTES] {
            let fits = character.repeat(limit / bytes);
            ids.push(format!("{}{fits}", "x".repeat(limit % bytes)));
            ids.push(format!("{}{}", character.repeat(limit / bytes - 1), "y".repeat(bytes)));
        }
    }
    // A right-to-left text, a family of joined characters, a flag.
    ids.extend(["\u{5e9}\u{5dc}", "\u{1f468}\u{200d}\u{1f469}", "\u{1f1eb}\u{1f1f7}"].map(String::from));
    ids
}

/// What is the same to whoever folds case, or normalises Unicode in one of its four forms.
pub(super) const FOLDED: [&str; 29] = [
    "a", "A", "aB", "Ab", "AB", "ab", "\u{e9}", "e\u{301}", "\u{c9}", "E\u{301}", "e", "\u{df}", "ss", "SS",
    "\u{1e9e}", "\u{fb01}", "fi", "i", "I", "\u{130}", "\u{131}", "i\u{307}", "\u{212b}", "\u{c5}",
    "A\u{30a}", "\u{212a}", "K", "\u{ff11}", "1",
];

/// White space, controls and what cannot be seen, alone and at the ends.
pub(super) const WHITE: [&str; 39] = [
    "a",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\n\r",
    "\0",
    "\0\0",
    "\u{7f}",
    "\u{1b}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "\u{200b}",
    "\u{feff}",
    " a",
    "a ",
    " a ",
    "\ta",
    "a\t",
    "\na",
    "a\n",
    "a\r\n",
    "a\r",
    "\0a",
    "a\0",
    "a\0b",
    "a\u{7f}",
    "a b",
    "a  b",
    "a\tb",
    "a\nb",
    "\u{feff}a",
    "a\u{200b}",
    "a\u{a0}",
    "a\u{1}",
    "\u{8}a",
];

/// What would run if it reached a line protocol, beside what it would reach.
pub(super) const COMMANDS: [&str; 17] = [
    "x",
    "y",
    "x\r\ndelete y",
    "x\r\ndelete y\r\n",
    "x\r\nflush_all\r\n",
    "x 0 0 1\r\n1\r\n",
    "y\r\nset x 0 0 5\r\nowned",
    "x noreply",
    "x\n",
    "x\r\n*1\r\n$8\r\nFLUSHALL\r\n",
    "*2\r\n$3\r\nDEL\r\n$1\r\nx\r\n",
    "$1\r\nx\r\n",
    "FLUSHALL",
    "; FLUSHALL",
    "x\0delete y",
    "$(reboot)",
    "`reboot`",
];

/// What begins, ends or consists of what could separate parts of a storage key.
pub(super) fn separated() -> Vec<String> {
    let mut ids = vec!["a".to_owned(), "b".to_owned(), "ab".to_owned()];
    for by in [":", "|", "/", "\\", "\0", ".", ",", ";", "-", "_", "#", "=", "&", "\u{1f}", "::"] {
        let shapes = ["-", "a-", "-a", "a-b", "a-b-", "a--b"];
        ids.extend(shapes.map(|shape| shape.replace('-', by)));
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Names that mean something to a database, a language, a file system, or to a layout of ours.
pub(super) const MEANINGFUL: [&str; 57] = [
    ".",
    "..",
    ".a",
    "a.",
    "a.b",
    "a..b",
    "$",
    "$a",
    "a$",
    "a.$",
    "a.$[]",
    "$set",
    "$unset",
    "$literal",
    "$$ROOT",
    "$$REMOVE",
    "_id",
    "_",
    "__",
    "__proto__",
    "constructor",
    "toString",
    "prototype",
    "length",
    "system",
    "admin",
    "local",
    "/",
    "//",
    "./a",
    "../a",
    "a/..",
    "~",
    "con",
    "nul",
    "default",
    "key",
    "user",
    "namespace",
    "entry",
    "entries",
    "mark",
    "epoch",
    "epoch_until",
    "until",
    "erased",
    "expiry",
    "exp",
    "rev",
    "revision",
    "value",
    "val",
    "was",
    "v",
    "stickystore",
    "meta",
    "damaged",
];

/// What a cluster would hash instead of the whole key, and pieces of it.
pub(super) const TAGS: [&str; 14] =
    ["a", "{a}", "{a}b", "{a}c", "b{a}", "{}", "{}a", "{{a}}", "{a", "a}", "}a{", "{b}{a}", "{", "}"];

/// Patterns beside what they match.
pub(super) const GLOBS: [&str; 21] = [
    "*", "**", "?", "??", "a", "b", "ab", "a*", "*a", "a?", "[a]", "[ab]", "[a-z]", "[^a]", "[", "]", "\\*",
    "\\", "%", "_%", "a_",
];

/// Escapes beside what they stand for.
pub(super) const ESCAPED: [&str; 26] = [
    "%", "%%", "%25", "%2", "%2F", "%2f", "/", "%20", " ", "+", "a+b", "a b", "a%20b", "%00", "\0", "%0D%0A",
    "\r\n", "\\0", "\\u0000", "\\x00", "\\n", "\n", "&amp;", "&", "=3D", "%s%n",
];

/// What looks like a number, a truth or nothing.
pub(super) const TYPED: [&str; 38] = [
    "0",
    "00",
    "-0",
    "+0",
    "0.0",
    ".0",
    "1",
    "01",
    "+1",
    "1.0",
    "1e0",
    "1E0",
    "0x1",
    "0b1",
    "1_",
    "-1",
    "10",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e400",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "true",
    "TRUE",
    "True",
    "false",
    "null",
    "NULL",
    "nil",
    "None",
    "undefined",
    "yes",
    "on",
    "507f1f77bcf86cd799439011",
    "00000000-0000-0000-0000-000000000000",
];

/// Queries, scripts and documents.
pub(super) const CODE: [&str; 27] = [
    "'",
    "''",
    "\"",
    "\"\"",
    "a'b",
    "a''b",
    "a\"b",
    "' OR ''='",
    "'; DROP TABLE entries; --",
    "--",
    "/*",
    "$$",
    "{}",
    "[]",
    "{\"a\":1}",
    "{\"a\": 1}",
    "[1]",
    "\"a\"",
    "a",
    "{\"$gt\":\"\"}",
    "{\"$set\":{\"a\":1}}",
    "]]",
    "return 1",
    "redis.call('DEL', KEYS[1])",
    "#{a}",
    "${a}",
    "{{a}}",
];
