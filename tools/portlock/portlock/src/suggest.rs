// SPDX-License-Identifier: GPL-2.0

//! What a wrong word was meant to be.

/// Whether one word can be made of the other by few changes.
pub(crate) fn is_close(word: &str, known: &str) -> bool {
    let limit = if known.len() > 5 { 2 } else { 1 };

    let (from, to) = (word.as_bytes(), known.as_bytes());

    word != known && (distance(from, to) <= limit || is_swapped(from, to))
}

/// The closest of the known words, if one is close.
pub(crate) fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    (known.into_iter())
        .filter(|known| is_close(word, known))
        .min_by_key(|known| distance(word.as_bytes(), known.as_bytes()))
}

/// Whether two neighbours changed their places.
fn is_swapped(from: &[u8], to: &[u8]) -> bool {
    let differ: Vec<usize> = (0..from.len().min(to.len()))
        .filter(|at| from[*at] != to[*at])
        .collect();

    from.len() == to.len()
        && matches!(differ[..], [a, b] if b == a + 1 && from[a] == to[b] && from[b] == to[a])
}

/// How many bytes have to be changed, added or taken away.
fn distance(from: &[u8], to: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();

    for (i, a) in from.iter().enumerate() {
        let mut diagonal = i;

        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let changed = diagonal + usize::from(a != b);

            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
