//! Where we lose: found in the data, so that nobody can forget a line.

use super::beyond;
use super::experiments;
use super::files;
use super::format;
use super::summary::{Duel, QUANTILES, SUBJECT, Setup, Summary};
use crate::engines::contract::{Group, Info};
use crate::measure::statistics::Verdict;
use crate::workloads::Workload;

/// A latency counts as longer from this ratio on: twice the width of a histogram's bucket.
const LONGER: f64 = 1.04;

/// One comparison in which another in-process store did better or as well.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loss {
    /// What was measured, in words.
    pub(crate) place: String,
    pub(crate) measure: String,
    pub(crate) peer: String,
    /// How much, in words with units.
    pub(crate) how: String,
    /// Not behind in every block: the difference is within the noise.
    pub(crate) undecided: bool,
}

/// All losses against every store that is called as a function: throughput first, then bytes an entry, then what the
/// experiments found, then latency; large stores before small ones.
pub(crate) fn find(summary: &Summary<'_>) -> Vec<Loss> {
    let mut setups = summary.setups(Group::InProcess);
    setups.sort_by_key(|setup| (std::cmp::Reverse(setup.entries), setup.workload, setup.threads));
    let against_all = |compare: &dyn Fn(Setup, &Info) -> Vec<Loss>| -> Vec<Loss> {
        setups
            .iter()
            .flat_map(|setup| summary.peers().flat_map(move |peer| compare(*setup, peer)))
            .collect()
    };
    let mut losses =
        against_all(&|setup, peer| throughput(summary, setup, peer).into_iter().collect());
    losses.extend(against_all(&|setup, peer| memory(summary, setup, peer).into_iter().collect()));
    losses.extend(experiments::losses(summary));
    losses.extend(files::losses(summary));
    losses.extend(beyond::losses(summary));
    losses.extend(against_all(&|setup, peer| latencies(summary, setup, peer)));
    losses
}

/// The setup in words.
pub(crate) fn place(setup: Setup) -> String {
    let threads = format::threads(setup.threads);
    if setup.workload == Workload::CacheAside {
        format!("{}, {threads}", setup.workload.title())
    } else {
        format!("{}, {}, {threads}", setup.workload.title(), format::entries(setup.entries))
    }
}

fn times(duel: &Duel<'_>) -> String {
    let Duel { ratio, .. } = duel;
    format!(
        "{} x ({} to {})",
        format::three(ratio.median),
        format::three(ratio.least),
        format::three(ratio.most)
    )
}

fn throughput(summary: &Summary<'_>, setup: Setup, peer: &Info) -> Option<Loss> {
    let duel = summary.against(summary.info(&peer.name)?, setup)?;
    let verdict = duel.ratio.verdict();
    (verdict != Verdict::Ahead).then(|| Loss {
        place: place(setup),
        measure: "throughput".to_owned(),
        peer: peer.title.clone(),
        how: format!("{} of its operations a second", times(&duel)),
        undecided: verdict == Verdict::NoDifference,
    })
}

fn memory(summary: &Summary<'_>, setup: Setup, peer: &Info) -> Option<Loss> {
    let duel = summary.bytes_against(summary.info(&peer.name)?, setup)?;
    let verdict = duel.ratio.verdict();
    // More bytes are worse, so the verdict turns round.
    (verdict != Verdict::Behind).then(|| Loss {
        place: place(setup),
        measure: "bytes an entry".to_owned(),
        peer: peer.title.clone(),
        how: format!("{} of its memory", times(&duel)),
        undecided: verdict == Verdict::NoDifference,
    })
}

fn latencies(summary: &Summary<'_>, setup: Setup, peer: &Info) -> Vec<Loss> {
    let (Some(ours), Some(theirs)) = (summary.row(SUBJECT, setup), summary.row(&peer.name, setup))
    else {
        return Vec::new();
    };
    QUANTILES
        .iter()
        .filter_map(|(q, name)| {
            let (ours, theirs) = (ours.latencies.quantile(*q)?, theirs.latencies.quantile(*q)?);
            (ours as f64 > LONGER * theirs as f64).then(|| Loss {
                place: place(setup),
                measure: format!("latency {name}"),
                peer: peer.title.clone(),
                how: format!(
                    "{} against {}",
                    format::nanoseconds(ours),
                    format::nanoseconds(theirs)
                ),
                undecided: false,
            })
        })
        .collect()
}
