//! The five spellings: each SDK gets its own, and a record survives every way through them.

use proptest::prelude::*;
use stickystore_core::memory::MemoryStore;
use stickystore_core::{ErrorKind, Namespace, Value};
use stickystore_services::Settings;
use stickystore_services::vwo::{Dialect, Record, UserStorageService};

fn service() -> UserStorageService<MemoryStore> {
    UserStorageService::new(MemoryStore::new(), Settings::new(Namespace::new("shop").unwrap()))
}

const SPELLED: [(Dialect, &str); 5] = [
    (
        Dialect::Node,
        r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifier":"a_vwo_b","metaData":{"n":1.50},"x":0}"#,
    ),
    (
        Dialect::Python,
        r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifiers":"a_vwo_b","metaData":{"n":1.50},"x":0}"#,
    ),
    (
        Dialect::Ruby,
        r#"{"user_id":"ann","campaign_key":"c1","variation_name":"red","goal_identifier":"a_vwo_b","meta_data":{"n":1.50},"x":0}"#,
    ),
    (
        Dialect::DotNet,
        r#"{"UserId":"ann","CampaignKey":"c1","VariationName":"red","GoalIdentifier":"a_vwo_b","MetaData":{"n":1.50},"x":0}"#,
    ),
    (
        Dialect::Go,
        r#"{"UserID":"ann","CampaignKey":"c1","VariationName":"red","GoalIdentifier":"a_vwo_b","MetaData":{"n":1.50},"x":0}"#,
    ),
];

#[test]
fn a_record_in_any_spelling_is_got_in_every_spelling() {
    for (_, set) in SPELLED {
        let service = service();
        service.set_json(set).unwrap();
        for (dialect, got) in SPELLED {
            assert_eq!(service.get_json("ann", "c1", dialect).unwrap(), got, "{dialect:?} of {set}");
        }
    }
}

#[test]
fn spellings_of_one_record_are_the_same_record() {
    let service = service();
    for (_, set) in SPELLED {
        service.set_json(set).unwrap();
    }
    assert_eq!(
        service.set_json(SPELLED[0].1).unwrap().to_json(),
        r#"{"entries":{"c1":{"outcome":"unchanged"}}}"#
    );
}

#[test]
fn a_goal_that_node_wrote_is_no_new_goal_to_python() {
    let service = service();
    service.set_json(SPELLED[0].1).unwrap();
    let python = r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifiers":"c"}"#;
    service.set_json(python).unwrap();
    let got = service.get_json("ann", "c1", Dialect::Node).unwrap();
    assert!(got.contains(r#""goalIdentifier":"a_vwo_b_vwo_c""#), "{got}");
}

#[test]
fn what_java_leaves_at_the_end_of_the_goals_is_no_goal() {
    let service = service();
    let java = r#"{"userId":"ann","campaignKey":"c1","variationName":"red","goalIdentifier":"a_vwo_b_vwo_"}"#;
    service.set_json(java).unwrap();
    let record = service.get("ann", "c1").unwrap().unwrap();
    assert_eq!(record.goals().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn what_is_no_record_is_refused_and_the_field_is_named() {
    let deep = format!(
        r#"{{"userId":"u","campaignKey":"c","variationName":"v","x":{}{}}}"#,
        "[".repeat(64),
        "]".repeat(64)
    );
    for (record, why) in [
        ("", "a VWO record is a JSON object"),
        ("null", "a VWO record is a JSON object"),
        ("[]", "a VWO record is a JSON object"),
        ("{}", "the record has no variationName"),
        (r#"{"userId":"u","campaignKey":"c"}"#, "the record has no variationName"),
        (r#"{"user_id":"u","campaign_key":"c"}"#, "the record has no variation_name"),
        (r#"{"campaignKey":"c","variationName":"v"}"#, "the record has no userId"),
        (r#"{"UserID":"u","VariationName":"v"}"#, "the record has no CampaignKey"),
        (r#"{"userId":7,"campaignKey":"c","variationName":"v"}"#, "the userId of a record is a string"),
        (r#"{"UserId":"u","CampaignKey":[],"VariationName":"v"}"#, "the CampaignKey of a record is a string"),
        (
            r#"{"userId":"u","campaignKey":"c","variationName":1}"#,
            "the variationName of a record is a string",
        ),
        (r#"{"userId":"u","campaignKey":"c","variationName":null}"#, "the record has no variationName"),
        (
            r#"{"userId":"u","campaignKey":"c","variationName":""}"#,
            "the variationName of a record must have at least 1 byte",
        ),
        (
            r#"{"userId":"u","campaignKey":"c","variationName":"v","goalIdentifiers":["a"]}"#,
            "the goalIdentifiers of a record is a string: goals joined by _vwo_",
        ),
        (
            r#"{"userId":"u","campaign_key":"c","variationName":"v"}"#,
            r#"the record mixes spellings: "userId" and "campaign_key" are of different SDKs; use the names of one"#,
        ),
        (&deep, "the record is nested deeper than 64 levels, which SDKs cannot read"),
    ] {
        let error = service().set_json(record).unwrap_err();
        assert_eq!((error.kind(), error.context()), (ErrorKind::Invalid, why), "{record}");
    }
}

#[test]
fn ids_that_are_told_apart_from_the_record_may_be_left_out_but_not_differ() {
    let whole = Record::parse(r#"{"userId":"ann","campaignKey":"c1","variationName":"red"}"#).unwrap();
    for (text, why) in [
        (r#"{"VariationName":"red"}"#, None),
        (r#"{"userId":"ann","campaignKey":"c1","variationName":"red"}"#, None),
        (
            r#"{"UserId":"bob","VariationName":"red"}"#,
            Some("the UserId of the record is another user's; leave it out, or give the same"),
        ),
        (
            r#"{"campaign_key":"c2","variation_name":"red"}"#,
            Some(r#"the campaign_key of the record is not "c1"; leave it out, or give the same"#),
        ),
    ] {
        match (Record::parse_for("ann", "c1", text), why) {
            (Ok(record), None) => assert_eq!(record, whole),
            (Err(error), Some(why)) => assert_eq!((error.kind(), error.context()), (ErrorKind::Invalid, why)),
            (parsed, _) => panic!("{text}: {parsed:?}"),
        }
    }
}

#[test]
fn users_and_campaigns_that_look_alike_are_not_mixed_up() {
    let service = service();
    let pairs = [("x:y", "kit"), ("x", "y:kit"), ("ü😀", "kit"), ("u", "kit ab über $.:/%"), ("U", "kit ab")];
    for (number, (user, campaign)) in pairs.into_iter().enumerate() {
        service.set(&Record::new(user, campaign, number.to_string())).unwrap();
    }
    for (number, (user, campaign)) in pairs.into_iter().enumerate() {
        let record = service.get(user, campaign).unwrap().unwrap();
        assert_eq!((record.user_id(), record.campaign_key()), (user, campaign));
        assert_eq!(record.variation_name(), number.to_string());
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("18446744073709551616.00".to_owned()),
        any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            inner.prop_map(|value| format!(r#"{{"a":{value}}}"#)),
        ]
    })
}

proptest! {
    #[test]
    fn any_record_survives_every_spelling_and_the_store(
        user in "\\PC{1,8}",
        variation in "\\PC{1,8}",
        goals in proptest::collection::vec("[a-z]{1,4}", 0..4),
        meta in json(),
        extra in json(),
        // No SDK's name has a space in it.
        name in "[a-z ]{0,3} ",
        ways in proptest::collection::vec(0..5_usize, 1..4),
    ) {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let text = format!(
            r#"{{"userId":{},"campaignKey":"c1","variationName":{},"goalIdentifier":{},"metaData":{meta},{}:{extra}}}"#,
            quoted(&user), quoted(&variation), quoted(&goals.join("_vwo_")), quoted(&name),
        );
        let first = Record::parse(&text).unwrap();
        prop_assert_eq!(first.meta_data().map_or("null", Value::as_str), &meta);
        let mut record = first.clone();
        for way in ways {
            record = Record::parse(&record.to_json(Dialect::ALL[way])).unwrap();
            prop_assert_eq!(&record, &first);
        }
        let service = service();
        service.set(&record).unwrap();
        let got = service.get_json(&user, "c1", Dialect::Node).unwrap();
        prop_assert_eq!(&Record::parse(&got).unwrap(), &first);
        prop_assert!(got.ends_with(&format!("{}:{extra}}}", quoted(&name))), "{}", got);
    }
}
