//! Commit before serve: a session decides, commits, and decides once more where another request has won.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use stickystore_services::SaveReport;
use stickystore_services::session::{CommitReport, View};

use super::super::datafile::Datafile;
use super::super::log::{Answer, Ask, Sent};
use super::super::profiles::{BucketMap, bucketed, reported, tokens};
use super::session::say_again;
use super::{Caller, keys};

/// What one pass sent: the number of the call, if it sent anything.
type Pass = (Option<u64>, BTreeMap<String, Sent>);

impl Caller {
    /// Begins a session, and decides some experiments in it before it would serve them.
    pub(super) async fn decide_before_it_serves(&mut self, user: &str) {
        let (id, all) = (self.reads(user, keys("e")), keys("e"));
        // A second pass is shown what the session had read, and who won since: so this begins here, too.
        let second = self.place.log.call(self.side, user, Ask::Read { keys: all.clone(), hidden: all });
        let (sticky, owned) = (self.stores(user).sticky, user.to_owned());
        let Some(Ok(session)) = self.wait(async move { sticky.begin(&owned).await }).await else {
            self.place.log.answer(id, Answer::Nothing);
            self.place.log.answer(second, Answer::Nothing);
            return;
        };
        let (asked, datafile) = (self.some_keys("e"), self.datafile());
        let mut passes: Vec<Pass> = Vec::new();
        let decided = session
            .decide(|view| {
                let call = if passes.is_empty() { id } else { second };
                let pass = self.pass(user, view, call, &asked, datafile, &passes);
                passes.push(pass);
            })
            .await;
        if passes.len() < 2 {
            self.place.log.answer(second, Answer::Nothing);
        }
        let (last, first) = match decided {
            Ok(decided) => (decided.report, decided.first),
            Err(not_kept) => (not_kept.report, not_kept.first),
        };
        self.told(user, &passes, first.as_ref(), &last);
        // What failed is not committed again.
        session.discard();
    }

    /// One pass over what the view shows: the SDK's lookup, its decisions, and its save.
    fn pass(
        &mut self,
        user: &str,
        view: &View,
        call: u64,
        asked: &[(u64, String)],
        datafile: Datafile,
        before: &[Pass],
    ) -> Pass {
        let profile = view.lookup_json(user).ok();
        let parsed = profile.as_ref().and_then(|profile| serde_json::from_str::<Json>(profile).ok());
        let map = parsed.as_ref().and_then(|profile| profile.get("experiment_bucket_map"));
        let mut map: BucketMap = map.and_then(Json::as_object).cloned().unwrap_or_default();
        // What it saved itself may not stand.
        let own =
            |token: &String| before.iter().any(|(_, sent)| sent.values().any(|sent| sent.token == *token));
        let shown = tokens(&map).into_iter().filter(|(_, token)| !own(token)).collect();
        let answer = if profile.is_some() { Answer::Shown(shown) } else { Answer::Nothing };
        let at = self.place.log.answer(call, answer);
        let held: Vec<_> =
            asked.iter().map(|(number, key)| (*number, key.clone(), held(&map, key))).collect();
        let decided = self.decide_by(
            datafile,
            held.iter().map(|(number, key, held)| {
                let held = held.as_ref().map(|(variation, token)| (variation.as_str(), token.as_str()));
                (*number, key.clone(), held)
            }),
        );
        if decided.is_empty() {
            return (None, decided);
        }
        for (key, sent) in &decided {
            map.insert(key.clone(), bucketed(&sent.variation, &sent.token));
        }
        let id = self.sends(user, &decided, profile.is_some().then_some(at));
        let saved = json!({ "user_id": user, "experiment_bucket_map": map });
        view.save_json(&saved.to_string()).unwrap();
        (Some(id), decided)
    }

    /// Says what became of what the passes sent. A report has what failed before, too, as it was committed again.
    fn told(&self, user: &str, passes: &[Pass], first: Option<&CommitReport>, last: &CommitReport) {
        let of = |report: &CommitReport| report.user(user).cloned().unwrap_or_default();
        let last = of(last);
        let first = first.map(of);
        for (at, (id, sent)) in passes.iter().enumerate() {
            let Some(id) = *id else { continue };
            let changed: Vec<_> = sent.keys().cloned().collect();
            let is_last = at + 1 == passes.len();
            let report: &SaveReport = if is_last { &last } else { first.as_ref().unwrap_or(&last) };
            let mut told = reported(report, &changed);
            if let Some((_, later)) = passes.get(at + 1) {
                let again: Vec<_> = changed.into_iter().filter(|key| !later.contains_key(key)).collect();
                say_again(&mut told, &last, &again);
            }
            // A winner may be the one that the session had read, and not stand any more.
            told.values_mut().for_each(|(_, winner)| *winner = None);
            self.sent(id, sent, Some(Ok(told)));
        }
    }
}

fn held(map: &BucketMap, key: &str) -> Option<(String, String)> {
    let entry = map.get(key)?;
    let text = |name: &str| entry.get(name).and_then(Json::as_str).map(str::to_owned);
    text("variation_id").zip(text("t"))
}
