//! The wire between one process and its server: a proxy that now and then fails, delays, cuts, or holds what passes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::clock;
use super::dice::Dice;
use super::history::Moment;
use super::windows::Flights;
use crate::proxy::{Proxy, Rule};

/// How long a disturbance waits for something to pass, in milliseconds.
const WAITS: u64 = 40;

/// How long an answer is held back that comes when its caller has given up, in milliseconds: longer than any call may take.
const HOLDS: u64 = 1_150;

/// A wire that is disturbed.
#[derive(Debug)]
pub(super) struct Wire {
    proxy: Proxy,
    /// How long it is left alone after a disturbance, in milliseconds: at least, and up to so much again.
    calm: u64,
    now: Option<Disturbance>,
    next: Instant,
    hits: Vec<Hit>,
}

/// What is wrong with it now.
#[derive(Debug)]
struct Disturbance {
    name: &'static str,
    began: Moment,
    disturbed: usize,
    /// How long it lasts once it has hit something; nothing if no longer.
    lasts: Option<Instant>,
    gives_up: Instant,
}

/// A disturbance that met something.
#[derive(Debug)]
struct Hit {
    name: &'static str,
    begin: Moment,
    end: Moment,
}

impl Wire {
    pub(super) fn new(proxy: Proxy, calm: u64) -> Self {
        Self { proxy, calm, now: None, next: Instant::now(), hits: Vec::new() }
    }

    pub(super) fn port(&self) -> u16 {
        self.proxy.port()
    }

    /// Begins or ends a disturbance, if it is time.
    pub(super) fn disturb(&mut self, dice: &mut Dice) {
        let now = Instant::now();
        match &self.now {
            None if now >= self.next => self.begin(dice),
            None => {}
            Some(disturbance) => {
                let has_hit = self.proxy.disturbed() > disturbance.disturbed;
                let is_over = if has_hit {
                    disturbance.lasts.is_none_or(|until| now >= until)
                } else {
                    now >= disturbance.gives_up
                };
                if is_over {
                    self.end(dice);
                }
            }
        }
    }

    /// Everything passes.
    pub(super) fn calm(&mut self) {
        self.end(&mut Dice::new(0, 0));
    }

    fn begin(&mut self, dice: &mut Dice) {
        let after = |millis: u64| Instant::now() + Duration::from_millis(millis);
        let delay = Rule::Delay(Duration::from_millis(5 + dice.below(40)));
        let bytes = usize::try_from(dice.below(80)).unwrap();
        let (name, up, down, lasts) = match dice.below(100) {
            0..20 => ("failed", Rule::ResetAfter(0), Rule::Pass, None),
            20..35 => ("cut", Rule::CutAfter(1 + bytes), Rule::Pass, None),
            35..50 => ("cut", Rule::Pass, Rule::CutAfter(bytes), None),
            50..65 => ("cut", Rule::Pass, Rule::ResetAfter(0), None),
            65..80 => ("delayed", delay, Rule::Pass, Some(after(60))),
            80..97 => ("delayed", Rule::Pass, delay, Some(after(60))),
            _ => ("hidden", Rule::Pass, Rule::Hold, Some(after(HOLDS))),
        };
        let disturbed = self.proxy.disturbed();
        let gives_up = after(WAITS);
        self.now = Some(Disturbance { name, began: clock::now(), disturbed, lasts, gives_up });
        self.proxy.up(up);
        self.proxy.down(down);
    }

    fn end(&mut self, dice: &mut Dice) {
        self.proxy.up(Rule::Pass);
        self.proxy.down(Rule::Pass);
        let Some(ended) = self.now.take() else { return };
        if self.proxy.disturbed() > ended.disturbed {
            self.hits.push(Hit { name: ended.name, begin: ended.began, end: clock::now() });
        }
        self.next = Instant::now() + Duration::from_millis(self.calm + dice.below(self.calm));
    }

    /// The faults that met something while the process had a call in flight, by name.
    pub(super) fn faults(&self, flights: &Flights, faults: &mut BTreeMap<String, u64>) {
        for hit in &self.hits {
            if flights.any(hit.begin, hit.end) {
                *faults.entry(hit.name.to_owned()).or_default() += 1;
            }
        }
    }
}
