//! The verdict as a table.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};

use super::reconcile::{AfterFault, KINDS, Verdict};

/// How many violations of each kind are printed; the file lists all.
const SHOWN: usize = 10;

/// The tables of a run, in Markdown.
pub(super) struct Report<'a> {
    pub(super) title: String,
    pub(super) verdict: &'a Verdict,
    /// Whether every violation is listed.
    pub(super) in_full: bool,
}

impl Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.verdict;
        writeln!(f, "{}\n", self.title)?;
        let mut rows = vec![row("commands", verdict.commands)];
        rows.extend(verdict.outcomes.iter().map(|(kind, count)| row(&format!("- {kind}"), *count)));
        rows.extend([
            row("in Kafka's log", verdict.stored),
            row("- of these, not known to their callers", verdict.stored_unknown),
            row("handlers run", verdict.handlers),
            row("replies in Kafka's log", verdict.replies),
            row("dead-lettered", verdict.dead_lettered),
            row("expired before a handler started, or before a reply was delivered", verdict.expired),
        ]);
        for kind in KINDS {
            let count = verdict.violations.iter().filter(|violation| violation.kind() == kind).count();
            rows.push((format!("**{kind}**"), format!("**{count}**")));
        }
        rows.extend([
            row("handled again after a kill", verdict.again_after_kill),
            row("handled again after a lost assignment", verdict.again_after_loss),
            row("handled again after a clean revocation or shutdown", verdict.again_after_revocation),
            row("handlers of one key at once after a lost assignment", verdict.overlaps_after_loss),
            row("answered calls: median", seconds(verdict.median_call)),
            row("answered calls: 99 of 100 within", seconds(verdict.slow_call)),
            row("answered calls: longest", seconds(verdict.longest_answered)),
            row("longest call, answered or not", seconds(verdict.longest_call)),
        ]);
        table(f, ["what", "number"], rows.into_iter().map(|(what, number)| [what, number]).collect())?;
        writeln!(f)?;
        self.faults(f)?;
        self.violations(f)
    }
}

impl Report<'_> {
    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<String, Vec<AfterFault>> = BTreeMap::new();
        for fault in &self.verdict.faults {
            let text = fault.fault.to_string();
            // The number at the end names the broker or the slot.
            let kind = text.trim_end_matches(|last: char| last.is_ascii_digit()).trim_end();
            kinds.entry(kind.to_owned()).or_default().push(*fault);
        }
        let mut rows = Vec::new();
        for (kind, faults) in kinds {
            let [mut silent, mut still] =
                [|fault: &AfterFault| fault.silent, |fault: &AfterFault| fault.still]
                    .map(|of| faults.iter().map(of).collect::<Vec<_>>());
            silent.sort_unstable();
            still.sort_unstable();
            let middle =
                |times: &[Duration]| seconds(times.get(times.len() / 2).copied().unwrap_or_default());
            let longest = |times: &[Duration]| seconds(times.last().copied().unwrap_or_default());
            rows.push([
                kind,
                faults.len().to_string(),
                middle(&silent),
                longest(&silent),
                middle(&still),
                longest(&still),
            ]);
        }
        let heads =
            ["fault", "times", "no answer: median", "longest", "a partition still: median", "longest"];
        table(f, heads, rows)
    }

    fn violations(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for kind in KINDS {
            let mut of_kind =
                self.verdict.violations.iter().filter(|violation| violation.kind() == kind).peekable();
            if of_kind.peek().is_none() {
                continue;
            }
            writeln!(f, "\n{kind}:")?;
            let most = if self.in_full { usize::MAX } else { SHOWN };
            for violation in of_kind.by_ref().take(most) {
                writeln!(f, "- {violation}")?;
            }
            let left = of_kind.count();
            if left > 0 {
                writeln!(f, "- and {left} more")?;
            }
        }
        Ok(())
    }
}

fn row(what: &str, number: impl Display) -> (String, String) {
    (what.to_owned(), number.to_string())
}

fn seconds(duration: Duration) -> String {
    format!("{:.3} s", duration.as_secs_f64())
}

fn table<const N: usize>(
    f: &mut fmt::Formatter<'_>,
    heads: [&str; N],
    rows: Vec<[String; N]>,
) -> fmt::Result {
    let mut widths = heads.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let rule = widths.map(|width| "-".repeat(width));
    for row in [heads.map(str::to_owned), rule].into_iter().chain(rows) {
        for (index, (width, cell)) in widths.iter().zip(&row).enumerate() {
            // Numbers are right-aligned.
            if index == 0 {
                write!(f, "| {cell:<width$} |")?;
            } else {
                write!(f, " {cell:>width$} |")?;
            }
        }
        writeln!(f)?;
    }
    Ok(())
}
