//! The notices, findings and reasons of a verdict.

use super::html::sentence;
use crate::lab::Verdict;

/// Numbers of findings and reasons that are shown. The others are folded.
const SHOWN_FINDINGS: usize = 4;
const SHOWN_REASONS: usize = 12;

/// What must be known first, shown above a headline.
pub(super) fn verdict_notices(verdict: &Verdict, names: &[&str]) -> String {
    let notice = |notice: &String| format!("<p class=\"note\">{}</p>", sentence(notice, names));
    verdict.notices.iter().map(notice).collect()
}

/// The findings and reasons, shown below a headline.
pub(super) fn verdict_details(verdict: &Verdict, names: &[&str]) -> String {
    let finding = |finding: &String| {
        let finding = sentence(finding, names);
        format!("<p class=\"finding\">{finding}</p>")
    };
    let reason = |reason: &String| format!("<li>{}</li>", sentence(reason, names));
    let reasons = |reasons: &[String]| {
        let reasons: String = reasons.iter().map(reason).collect();
        format!("<ul class=\"reasons\">{reasons}</ul>")
    };
    let findings = |findings: &[String]| findings.iter().map(finding).collect();
    let mut html = first_few_then_details(&verdict.findings, SHOWN_FINDINGS, "findings", findings);
    html += "<h2 class=\"why\">What the logs say about why</h2>";
    html + &first_few_then_details(&verdict.reasons, SHOWN_REASONS, "reasons", reasons)
}

/// The first `shown` sentences, and the others folded.
fn first_few_then_details(
    all: &[String],
    shown: usize,
    what: &str,
    write: impl Fn(&[String]) -> String,
) -> String {
    let (shown, more) = all.split_at(shown.min(all.len()));
    let shown = write(shown);
    if more.is_empty() {
        return shown;
    }
    let (count, more) = (more.len(), write(more));
    format!("{shown}<details><summary>{count} more {what}</summary>{more}</details>")
}
