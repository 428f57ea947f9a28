//! Helpers that write HTML.

use std::fmt::Write as _;

use evenkeel_runs::telemetry::format::shorten_middle;

/// Escapes text for HTML content and attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

/// An arm's name in its colour. A long name is shortened; a tooltip then has all of it.
pub(super) fn arm(name: &str, arms: &[&str]) -> String {
    let index = arms.iter().position(|arm| *arm == name).unwrap_or(0);
    let (color, short) = (index % COLOURS, shorten_middle(name, MAX_NAME));
    let title = if short == name {
        String::new()
    } else {
        format!(" title=\"{}\"", escape(name))
    };
    format!(
        "<span class=\"arm arm{color}\"{title}>{}</span>",
        escape(&short)
    )
}

/// Most characters of a name in text and tables; `shorten` in `core.js` has the same.
const MAX_NAME: usize = 30;

/// Number of arm colours; `report.css` defines them.
pub(super) const COLOURS: usize = 6;

/// Joins each number and its unit with a no-break space: `97.2 %`, `640 k`, `3 min`.
pub(super) fn join_units(text: &str) -> String {
    const UNITS: [&str; 8] = ["%", "k", "M", "G", "s", "min", "h", "points"];
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(space) = rest.find(' ') {
        let (before, after) = (&rest[..space], &rest[space + 1..]);
        let word = after
            .split(|c: char| !c.is_alphanumeric() && c != '%')
            .next();
        let number = before.ends_with(|c: char| c.is_ascii_digit());
        let unit = word.is_some_and(|word| UNITS.contains(&word));
        joined += before;
        joined.push(if number && unit { '\u{a0}' } else { ' ' });
        rest = after;
    }
    joined + rest
}

/// A sentence with arm names in backticks, as HTML.
pub(super) fn sentence(text: &str, arms: &[&str]) -> String {
    let mut html = String::new();
    for (index, part) in join_units(text).split('`').enumerate() {
        if index % 2 == 0 {
            html += &escape(part);
        } else {
            html += &arm(part, arms);
        }
    }
    html
}

/// A table. Cells are HTML. The first cell of a row is its name.
pub(super) fn table(class: &str, head: &[String], rows: &[Vec<String>]) -> String {
    let mut html = format!("<div class=\"scroll\"><table class=\"{class}\"><thead><tr>");
    for cell in head {
        let _ = write!(html, "<th scope=\"col\">{cell}</th>");
    }
    html += "</tr></thead><tbody>";
    for row in rows {
        html += "<tr>";
        for (index, cell) in row.iter().enumerate() {
            if index == 0 {
                let _ = write!(html, "<th scope=\"row\">{cell}</th>");
            } else {
                let _ = write!(html, "<td>{}</td>", join_units(cell));
            }
        }
        html += "</tr>";
    }
    html + "</tbody></table></div>"
}

/// A section of the page.
pub(super) fn section(id: &str, title: &str, lead: &str, inner: &str) -> String {
    format!("<section id=\"{id}\"><h2>{title}</h2><p class=\"lead\">{lead}</p>{inner}</section>")
}

/// A section whose content is folded under a summary.
pub(super) fn collapsible_section(
    id: &str,
    title: &str,
    lead: &str,
    summary: &str,
    inner: &str,
) -> String {
    let inner = format!("<details><summary>{summary}</summary>{inner}</details>");
    section(id, title, lead, &inner)
}

/// A JSON element for the page's scripts. Its content cannot close the element.
pub(super) fn json_script(id: &str, value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string(value).expect("numbers and strings can be serialised");
    let text = text.replace("</", "<\\/").replace("<!--", "<\\u0021--");
    format!("<script type=\"application/json\" id=\"{id}\">{text}</script>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        let evil = "</script><script>alert(1)</script>";
        assert!(!escape(evil).contains('<'));
        let data = json_script("data", &[evil, "<!--"]);
        assert_eq!(data.matches("</script>").count(), 1);
        assert!(!data.contains("<!--"));
        let inner = &data[data.find('>').unwrap() + 1..data.len() - "</script>".len()];
        let decoded: Vec<String> = serde_json::from_str(inner).unwrap();
        assert_eq!(decoded, [evil, "<!--"]);
    }

    #[test]
    fn a_number_and_its_unit_stay_together() {
        let text = "in 97.2 % of 5 seeds, after 640 k steps (3 min 5 s); 4 klicks, a k, 12.5 %)";
        let joined = join_units(text).replace('\u{a0}', "_");
        let expect = "in 97.2_% of 5 seeds, after 640_k steps (3_min 5_s); 4 klicks, a k, 12.5_%)";
        assert_eq!(joined, expect);
    }

    #[test]
    fn arm_names_in_a_sentence_have_their_colours() {
        let html = sentence("`raw` & `clipped`.", &["clipped", "raw"]);
        let expect = "<span class=\"arm arm1\">raw</span> &amp; \
                      <span class=\"arm arm0\">clipped</span>.";
        assert_eq!(html, expect);
    }
}
