//! How far a topic's brokers are, as acknowledgements say, and through which producer its batches go for that.

use std::{fmt, time::Duration};

/// A batch of up to so many records goes as single ones do: librdkafka keeps none of five waiting for another, see
/// [the producer](super).
const FEW: usize = 5;

/// Where an acknowledgement takes less than this, a batch that is sent in two parts is there before one that was waited
/// for: librdkafka waits a millisecond (`linger.ms`), and up to one more.
const NEAR: Duration = Duration::from_millis(2);

/// What a batch waits for company at least before it is sent far (`linger.ms`): that says nothing of the distance.
pub(super) const LINGER: Duration = Duration::from_millis(1);

/// How much of the time that an acknowledgement is expected to take is what the last slow one took: one part in so many.
const RECENT: u32 = 8;

/// What a producer of librdkafka's is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Records that go at once: one, a few, and those whose key is the user's. Batches too while nothing is known.
    Single,
    /// Batches where acknowledgements come back at once.
    NearBatches,
    /// Batches where they do not.
    FarBatches,
    /// Records that a broker may have refused for the size of their batch.
    Alone,
}

impl Purpose {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::NearBatches => "near_batches",
            Self::FarBatches => "far_batches",
            Self::Alone => "alone",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far the brokers of a topic are.
#[derive(Debug, Default)]
pub(super) struct Distance {
    /// How long the acknowledgement of a few records is expected to take: as long as a quick one took, and longer as slow
    /// ones follow. `None` before the first.
    expected: Option<Duration>,
}

impl Distance {
    /// Notes how long the acknowledgement of so many records took, which were sent for this purpose.
    pub(super) fn acknowledged(&mut self, records: usize, purpose: Purpose, took: Duration) {
        // With it, no broker would ever be found to be near again while there are only batches.
        let took = if purpose == Purpose::FarBatches { took.saturating_sub(LINGER) } else { took };
        // That many take long may say how large they are, and not how far they go.
        if records <= FEW || took < NEAR {
            // One that is quick says how near the broker is; one that is slow may have waited for anything.
            let most = NEAR * 2;
            let expected = self.expected.unwrap_or(took).min(most);
            self.expected = Some(took.min((expected * (RECENT - 1) + took.min(most)) / RECENT));
        }
    }

    /// Which producer so many records go through.
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
