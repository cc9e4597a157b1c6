//! URLs that are read, and those that are not.

use super::*;

fn config(url: &str) -> Config {
    Config::from_url(url).unwrap()
}

fn names_of(url: &str) -> Vec<String> {
    config(url).servers.into_iter().map(|server| server.name).collect()
}

#[test]
fn every_part_of_a_url_is_read() {
    let url = "memcache://a%40b:p%3Aw@Cache1,[::1]:7000,10.0.0.1:9/?grace=7ms&connect_timeout=1s&max_item=2097152&auth=sasl";
    let config = config(url);
    let names: Vec<_> = config.servers.iter().map(|server| server.name.as_str()).collect();
    assert_eq!(names, ["cache1:11211", "[::1]:7000", "10.0.0.1:9"]);
    assert_eq!(config.addresses()[1], Address::Tcp { host: "::1".to_owned(), port: 7000 });
    assert_eq!((config.grace, config.connect_timeout), (Duration::from_millis(7), Duration::from_secs(1)));
    let limits = config.limits();
    assert_eq!(limits.user_bytes, Some(text_bytes(2 << 20)));
    let login = config.login.clone().unwrap();
    assert_eq!(
        (login.user.as_str(), login.password.reveal(), config.dialect),
        ("a@b", "p:w", Dialect::Binary)
    );
    let tls = Config::from_url("memcaches://h:1").unwrap();
    assert_eq!(tls.addresses(), [Address::Tls { host: "h".to_owned(), port: 1 }]);
    let socket = Config::from_url("memcache+unix:///run/a%20b.sock?user=u&pass=p").unwrap();
    assert_eq!(socket.addresses(), [Address::Unix("/run/a b.sock".into())]);
    assert_eq!((socket.login.is_some(), socket.dialect), (true, Dialect::Meta));
    assert_eq!(names_of_two(), names_of("memcache://b,a"));
}

fn names_of_two() -> Vec<String> {
    names_of("memcache://b:11211,a:11211")
}

#[test]
fn an_entry_at_its_limit_fits_into_an_item_under_the_longest_ids() {
    let longest = |bytes: usize| "\u{1}".repeat(bytes);
    let ids = stickystore_core::MAX_ID_BYTES;
    let limits = config("memcache://h").limits();
    let subject = stickystore_core::Subject::new(
        stickystore_core::Namespace::new(longest(ids)).unwrap(),
        stickystore_core::UserId::new(longest(ids)).unwrap(),
    );
    let value = stickystore_core::Value::string(&"x".repeat(limits.entry_bytes - 2));
    let entry = stickystore_core::Entry::new(value, stickystore_core::Expiry::Never);
    let key = stickystore_core::Key::new(longest(ids)).unwrap();
    let slots = [(key, crate::layout::encode_entry(&entry))].into_iter().collect();
    let item = crate::layout::Item { slots, ..Default::default() };
    assert!(crate::layout::encode(&item, &subject).len() <= limits.user_bytes.unwrap());
}

#[test]
fn no_secret_is_shown() {
    let config = config("memcaches://u:s3cret@h").with_identity("s3cret", "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"));
    assert!(!format!("{config:?}").contains(&format!("{:?}", b"s3cret")));
}

#[test]
fn what_is_not_understood_is_refused_without_showing_the_url() {
    for url in [
        "",
        "memcache",
        "memcache:h",
        "memcached://:s3cret@h",
        "http://:s3cret@h",
        "memcache://",
        "memcache://:s3cret@",
        "memcache://:s3cret@h,",
        "memcache://:s3cret@h:",
        "memcache://:s3cret@h:0",
        "memcache://:s3cret@h:65536",
        "memcache://:s3cret@h/x",
        "memcache://:s3cret@[::1",
        "memcache://:s3cret@[::1]x",
        "memcache://s3cret@h",
        "memcache://:s3cret@h,H:11211",
        "memcache://:s3cret@h?gracee=1s",
        "memcache://:s3cret@h?grace=7",
        "memcache://:s3cret@h?max_item=9",
        "memcache://:s3cret@h?auth=plain",
        "memcache://:s3cret@h?grace=1s&grace=1s",
        "memcache://h?auth=sasl",
        "memcache://:s3cret@h?ca=f",
        "memcache://:s3cret@h?protocol=binary",
        "memcache://:s3cret@h?auth=sasl&protocol=meta",
        "memcache://h?protocol=text",
        "memcaches://:s3cret@h?cert=/",
        "memcache+unix://h/s",
        "memcache+unix:///s?max_entry=1",
        "memcache://%ff:s3cret@h",
    ] {
        let error = Config::from_url(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{url}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{url}: {error}");
    }
}

#[test]
fn what_is_misspelt_is_named() {
    let says = |url: &str| Config::from_url(url).unwrap_err().context().to_owned();
    assert!(says("memcache://h?gracee=1s").contains("did you mean grace?"));
    assert!(says("memcache://h?auth=sals").contains("one of: sasl, ascii"));
    assert!(says("memcache://a,b,A").contains("a:11211 is named twice"));
    assert!(says("redis://h").contains("memcache://"));
}
