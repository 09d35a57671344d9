//! Confusions and classes as tables of text.

use crate::judge::Judgement;
use layers::ndarray::Array2;

/// Columns of the longest name that is shown in full.
const NAME: usize = 12;

/// Confusions that are listed where there is no room for all of them.
const LISTED: usize = 20;

/// How often each class (row) was taken for each (column), or the most frequent mistakes where that is too wide.
pub fn confusions(counts: &Array2<usize>, names: &[String], columns: usize, has_color: bool) -> Vec<String> {
    let largest = counts.iter().max().copied().unwrap_or(0);
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(1).min(NAME);
    let heading_width = name_width.min(5);
    let cell = largest.to_string().len().max(heading_width) + 1;
    if name_width + names.len() * cell > columns {
        return most_frequent(counts, names);
    }
    let mut lines = vec![String::new(), "What is (row) taken for what (column):".into()];
    let headings: String = names.iter().map(|name| format!("{:>cell$}", cut(name, cell - 1))).collect();
    lines.push(format!("{:name_width$}{headings}", ""));
    for (row, name) in names.iter().enumerate() {
        let cells = counts.row(row).into_iter().enumerate().map(|(column, &count)| {
            let text = if count == 0 { "·".to_owned() } else { count.to_string() };
            let text = format!("{text:>cell$}");
            match (has_color, count, row == column) {
                (false, ..) => text,
                (_, 0, _) => format!("\x1b[2m{text}\x1b[0m"),
                (_, _, true) => format!("\x1b[38;5;39m{text}\x1b[0m"),
                (_, _, false) => format!("\x1b[38;5;208m{text}\x1b[0m"),
            }
        });
        lines.push(format!("{:name_width$}{}", cut(name, name_width), cells.collect::<String>()));
    }
    lines
}

fn most_frequent(counts: &Array2<usize>, names: &[String]) -> Vec<String> {
    let mut mistakes: Vec<_> = counts
        .indexed_iter()
        .filter(|((row, column), count)| row != column && **count > 0)
        .map(|((row, column), &count)| (count, row, column))
        .collect();
    mistakes.sort_by_key(|&(count, row, column)| (usize::MAX - count, row, column));
    if mistakes.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new(), "The most frequent mistakes:".into()];
    lines.extend(mistakes.iter().take(LISTED).map(|&(count, row, column)| {
        let of: usize = counts.row(row).sum();
        format!("  {} taken for {}: {count} of {of}", names[row], names[column])
    }));
    lines
}

/// How well each class is told from the others.
pub fn classes(judgement: &Judgement) -> Vec<String> {
    let width = judgement.names.iter().map(|name| name.chars().count()).max().unwrap_or(0).clamp(5, 2 * NAME);
    let mut lines = vec![String::new(), format!("{:width$}  images  precision  recall      F1", "class")];
    let share = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{:.2}%", 100.0 * share));
    for (name, class) in judgement.names.iter().zip(judgement.per_class()) {
        let [precision, recall, f1] = [class.precision, class.recall, class.f1].map(share);
        lines.push(format!(
            "{:width$}  {:>6}  {precision:>9}  {recall:>6}  {f1:>6}",
            cut(name, width),
            class.images
        ));
    }
    lines
}

/// At most so many letters.
fn cut(text: &str, letters: usize) -> String {
    match text.chars().count() <= letters {
        true => text.to_owned(),
        false => text.chars().take(letters.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layers::ndarray::array;

    fn names() -> [String; 3] {
        ["cat", "a long-haired dog", "ox"].map(String::from)
    }

    #[test]
    fn a_matrix_where_there_is_room() {
        let counts = array![[9, 1, 0], [0, 120, 3], [0, 0, 0]];
        let lines = confusions(&counts, &names(), 30, false);
        let expected = "
What is (row) taken for what (column):
               cat a lo…    ox
cat              9     1     ·
a long-hair…     ·   120     3
ox               ·     ·     ·";
        assert_eq!(lines.join("\n"), expected);
        assert!(confusions(&counts, &names(), 30, true).concat().contains("\x1b[38;5;208m     3\x1b[0m"));
    }

    #[test]
    fn a_list_where_there_is_none() {
        let counts = array![[9, 1, 0], [0, 120, 3], [2, 0, 0]];
        let lines = confusions(&counts, &names(), 29, false);
        let expected = "
The most frequent mistakes:
  a long-haired dog taken for ox: 3 of 123
  ox taken for cat: 2 of 2
  cat taken for a long-haired dog: 1 of 10";
        assert_eq!(lines.join("\n"), expected);
    }
}
