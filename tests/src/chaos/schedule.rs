//! Which fault comes when: pure, and decided by the seed alone.

use std::{fmt, ops::Range, time::Duration};

use serde::{Deserialize, Serialize};

/// A fault of one broker, or of one instance of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) struct Fault {
    pub(super) target: Target,
    pub(super) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    Broker(usize),
    /// A slot; each start puts a new instance into it.
    Service(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    /// `kill -9`; started again afterwards.
    Kill,
    /// SIGSTOP; continued afterwards.
    Freeze,
    /// SIGTERM, a clean stop; started again afterwards.
    Stop,
    /// A further instance is started.
    Add,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Kill => "kill",
            How::Freeze => "freeze",
            How::Stop => "stop",
            How::Add => "add",
        };
        match self.target {
            Target::Broker(index) => write!(f, "{how} broker {index}"),
            Target::Service(slot) => write!(f, "{how} service {slot}"),
        }
    }
}

/// A fault of a broker. The pause before the next one begins when this one is over and all replicas are in
/// sync again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BrokerFault {
    /// How long all brokers are well before the fault.
    pub(super) pause: Duration,
    pub(super) broker: usize,
    pub(super) how: How,
    pub(super) lasts: Duration,
}

/// The beginning or the end of a fault of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// Time since the first fault could begin.
    pub(super) at: Duration,
    pub(super) slot: usize,
    pub(super) act: Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Begin(How),
    /// Ends the fault: starts the instance again, or lets it continue.
    End(How),
}

/// The faults of brokers, drawn in random order from one bag of five after another, so that every run has
/// some of each.
const BROKER_BAG: [How; 5] = [How::Kill, How::Kill, How::Freeze, How::Freeze, How::Stop];
/// The faults of services, drawn likewise.
const SERVICE_BAG: [How; 6] = [How::Kill, How::Kill, How::Kill, How::Freeze, How::Freeze, How::Stop];

const SECOND: u64 = 1_000;
/// How long all brokers are well between two faults.
const BROKER_PAUSE: Range<u64> = 3 * SECOND..6 * SECOND;
/// How long after a fault of a service the next begins.
const SERVICE_PAUSE: Range<u64> = 7 * SECOND..13 * SECOND;
/// When the further instance is added.
const ADD_AFTER: Duration = Duration::from_secs(20);

/// How long a fault lasts. Freezes are both shorter and longer than the sessions of group members and
/// brokers.
fn lasts(how: How) -> Range<u64> {
    match how {
        How::Kill => SECOND..6 * SECOND,
        How::Freeze => 2 * SECOND..12 * SECOND,
        How::Stop | How::Add => 3 * SECOND..15 * SECOND,
    }
}

/// An endless sequence of faults of `count` brokers.
pub(super) fn brokers(seed: u64, count: usize) -> impl Iterator<Item = BrokerFault> {
    let mut random = Random::new(seed, 1);
    let mut bag = Vec::new();
    std::iter::repeat_with(move || {
        let how = random.draw(&mut bag, &BROKER_BAG);
        BrokerFault {
            pause: random.duration(BROKER_PAUSE),
            broker: random.0.usize(..count),
            how,
            lasts: random.duration(lasts(how)),
        }
    })
}

/// An endless sequence of steps of the services, ordered by time. The last slot is empty at the start.
///
/// At least one instance is always well.
pub(super) fn services(seed: u64, slots: usize) -> impl Iterator<Item = Step> {
    let mut random = Random::new(seed, 2);
    let mut bag = Vec::new();
    let mut away: Vec<Option<(Duration, How)>> = vec![None; slots];
    if let Some(last) = away.last_mut() {
        *last = Some((ADD_AFTER, How::Add));
    }
    let mut next = random.duration(SERVICE_PAUSE);
    std::iter::repeat_with(move || {
        loop {
            let back = away
                .iter()
                .enumerate()
                .filter_map(|(slot, away)| away.map(|(until, how)| (until, slot, how)))
                .min_by_key(|(until, slot, _)| (*until, *slot));
            if let Some((at, slot, how)) = back
                && at <= next
            {
                away[slot] = None;
                return Step { at, slot, act: Act::End(how) };
            }
            let at = next;
            next += random.duration(SERVICE_PAUSE);
            let well: Vec<usize> = (0..slots).filter(|slot| away[*slot].is_none()).collect();
            if well.len() < 2 {
                continue;
            }
            let slot = well[random.0.usize(..well.len())];
            let how = random.draw(&mut bag, &SERVICE_BAG);
            away[slot] = Some((at + random.duration(lasts(how)), how));
            return Step { at, slot, act: Act::Begin(how) };
        }
    })
}

/// A source of random choices. Each part of a run has a separate one, so that no part changes the choices of
/// another.
struct Random(fastrand::Rng);

impl Random {
    fn new(seed: u64, part: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(part)))
    }

    fn duration(&mut self, millis: Range<u64>) -> Duration {
        Duration::from_millis(self.0.u64(millis))
    }

    fn draw(&mut self, bag: &mut Vec<How>, all: &[How]) -> How {
        if bag.is_empty() {
            bag.extend(all);
            self.0.shuffle(bag);
        }
        bag.pop().unwrap_or(How::Kill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MINUTES: Duration = Duration::from_mins(10);

    #[test]
    fn the_same_seed_gives_the_same_faults_and_another_gives_others() {
        assert!(brokers(7, 3).take(100).eq(brokers(7, 3).take(100)));
        assert!(services(7, 4).take(100).eq(services(7, 4).take(100)));
        assert!(!brokers(7, 3).take(100).eq(brokers(8, 3).take(100)));
        assert!(!services(7, 4).take(100).eq(services(8, 4).take(100)));
    }

    #[test]
    fn one_instance_at_least_is_always_well_and_steps_come_in_order() {
        for seed in 0..200 {
            let mut well = [true, true, true, false];
            let mut last = Duration::ZERO;
            for step in services(seed, 4).take_while(|step| step.at < TEN_MINUTES) {
                assert!(step.at >= last, "seed {seed}: {step:?}");
                last = step.at;
                let begins = matches!(step.act, Act::Begin(_));
                assert_eq!(
                    well[step.slot], begins,
                    "seed {seed}: {step:?} ends what was begun, and the reverse"
                );
                well[step.slot] = !begins;
                assert!(well.contains(&true), "seed {seed}: {step:?}");
            }
        }
    }

    #[test]
    fn ten_minutes_hold_twenty_kills_of_services_and_some_of_everything() {
        for seed in 0..200 {
            let count = |act| {
                let steps = services(seed, 4).take_while(|step| step.at < TEN_MINUTES);
                steps.filter(|step| step.act == act).count()
            };
            assert!(count(Act::Begin(How::Kill)) >= 20, "seed {seed}");
            assert!(count(Act::Begin(How::Freeze)) >= 10, "seed {seed}");
            assert!(count(Act::Begin(How::Stop)) >= 5, "seed {seed}");
            assert_eq!(count(Act::End(How::Add)), 1, "seed {seed}");
        }
    }

    #[test]
    fn every_broker_is_met_with_every_fault() {
        let mut met: Vec<_> = brokers(7, 3).take(60).map(|fault| (fault.broker, fault.how)).collect();
        met.sort_unstable();
        met.dedup();
        assert_eq!(met.len(), 3 * 3);
    }
}
