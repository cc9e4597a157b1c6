//! README's table of what stores promise is made of what they say of themselves.

use stickystore::{AsyncSticky, StoreInfo, open_async};
use stickystore_integration_tests::server::Folder;

const README: &str = include_str!("../../../README.md");

/// What stands around the table in README.
const BEGIN: &str = "<!-- what the stores say of themselves: begin -->\n";
const END: &str = "<!-- what the stores say of themselves: end -->\n";

const HEAD: &str = "\
| store | an acknowledged write survives | one winner holds among | shared by | may forget live entries | an entry at most | a user at most | scan |
|---|---|---|---|---|---|---|---|
";

#[tokio::test]
async fn the_table_of_stores_in_readme_is_what_they_say() {
    let folder = Folder::new("table");
    let embedded = format!("embedded:{}", folder.path().join("sticky.redb").display());
    let stores = [
        ("memory", "memory:"),
        ("embedded", &embedded),
        ("Redis", "redis://127.0.0.1"),
        ("Memcached", "memcache://127.0.0.1"),
        ("MongoDB", "mongodb://127.0.0.1"),
        ("Cassandra", "cassandra://127.0.0.1/shop"),
    ];
    let mut table = HEAD.to_owned();
    for (name, url) in stores {
        table += &row(name, &open_async(&format!("{url}?namespace=shop")).await.unwrap());
    }
    let stands = README.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (stands, _) = stands.unwrap();
    assert!(
        stands == table,
        "README has another table than the stores; put this there:\n{BEGIN}{table}{END}"
    );
}

fn row(name: &str, sticky: &AsyncSticky) -> String {
    let info: &StoreInfo = sticky.info();
    let survives = info.survival();
    let survives = survives.strip_prefix("an acknowledged write survives ").unwrap();
    let user = info.limits.user_bytes.map_or("any size".to_owned(), size);
    let scan = if sticky.store().scan().is_some() { "yes" } else { "no" };
    format!(
        "| {name} | {survives} | {} | {} | {} | {} | {user} | {scan} |\n",
        info.winner,
        info.sharing,
        info.eviction,
        size(info.limits.entry_bytes)
    )
}

fn size(bytes: usize) -> String {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    match bytes {
        whole if whole % MIB == 0 => format!("{} MiB", whole / MIB),
        bytes => format!("{} KiB", bytes / KIB),
    }
}
