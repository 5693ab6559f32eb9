//! How far away a topic's brokers are, judged by acknowledgement times, and which producer its batches go
//! through.

use std::time::Duration;

use super::purpose::Purpose;

/// The largest batch that is sent like single records: librdkafka keeps none of five records waiting for
/// another, see [the producer](super).
const FEW: usize = 5;

/// Below this acknowledgement time, a batch that is sent in two parts arrives before one that waits until it
/// is whole: librdkafka lingers for a millisecond (`linger.ms`), and up to one more.
const NEAR: Duration = Duration::from_millis(2);

/// How long a batch to a far broker lingers at least (`linger.ms`). This part of an acknowledgement time says
/// nothing about the distance.
pub(super) const LINGER: Duration = Duration::from_millis(1);

/// The weight of the last slow acknowledgement in the expected time: one part in `RECENT`.
const RECENT: u32 = 8;

/// How far away the brokers of a topic are.
#[derive(Debug, Default)]
pub(super) struct Distance {
    /// The expected acknowledgement time of a few records. Drops at once with a quicker one, and grows slowly
    /// with slower ones. `None` before the first.
    expected: Option<Duration>,
}

impl Distance {
    /// Takes in how long the acknowledgement of `records` records took that were sent for `purpose`.
    pub(super) fn acknowledged(&mut self, records: usize, purpose: Purpose, took: Duration) {
        // With the linger time included, no broker would be found near again while only batches are sent.
        let took = if purpose == Purpose::FarBatches { took.saturating_sub(LINGER) } else { took };
        // A slow acknowledgement of many records may be due to their size, not to the distance.
        if records <= FEW || took < NEAR {
            // A quick acknowledgement shows how near the broker is; a slow one may have waited for anything.
            let most = NEAR * 2;
            let expected = self.expected.unwrap_or(took).min(most);
            self.expected = Some(took.min((expected * (RECENT - 1) + took.min(most)) / RECENT));
        }
    }

    /// Returns the purpose of the producer that `records` records go through.
    pub(super) fn purpose_of(&self, records: usize) -> Purpose {
        match self.expected {
            Some(expected) if records > FEW && expected < NEAR => Purpose::NearBatches,
            Some(_) if records > FEW => Purpose::FarBatches,
            _ => Purpose::Single,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_goes_as_acknowledgements_say_how_near_the_broker_is() {
        let mut distance = Distance::default();
        let mut sent_after = |took: Duration, records: usize| {
            let purpose = distance.purpose_of(records);
            distance.acknowledged(records, purpose, took);
            purpose
        };
        let (few, many, quick, slow) = (5, 6, NEAR / 2, NEAR * 100);
        assert_eq!(sent_after(slow, many), Purpose::Single, "nothing is known");
        assert_eq!(sent_after(quick, few), Purpose::Single);
        assert_eq!(sent_after(slow, many), Purpose::NearBatches);
        assert_eq!(sent_after(slow, many), Purpose::NearBatches, "how long many take says nothing");
        assert_eq!(sent_after(slow, few), Purpose::Single);
        assert_eq!(sent_after(slow, many), Purpose::NearBatches, "one of a few may have waited for anything");
        let far = (0..20).find(|_| {
            sent_after(slow, few);
            sent_after(slow, many) == Purpose::FarBatches
        });
        assert!(far.is_some(), "several have not");
        assert_eq!(sent_after(NEAR + LINGER, many), Purpose::FarBatches);
        assert_eq!(sent_after(quick + LINGER, many), Purpose::FarBatches);
        assert_eq!(sent_after(slow, many), Purpose::NearBatches, "nothing far is as quick as that");
    }
}
