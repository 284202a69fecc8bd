//! The scoring rule: a line counts when it equals an expected line after white space is collapsed, in
//! order (longest common subsequence). Optional lines are free either way.

use super::Expected;

#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) right: usize,
    pub(crate) wrong: usize,
    pub(crate) missed: usize,
    pub(crate) high: usize,
    high_hits: usize,
}

impl Score {
    pub(crate) fn add(&mut self, other: Self) {
        self.right += other.right;
        self.wrong += other.wrong;
        self.missed += other.missed;
        self.high += other.high;
        self.high_hits += other.high_hits;
    }

    pub(crate) fn f1(&self) -> f64 {
        percent(2 * self.right, 2 * self.right + self.wrong + self.missed)
    }

    pub(crate) fn high_right(&self) -> f64 {
        percent(self.high_hits, self.high)
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    let number = |n: usize| f64::from(u32::try_from(n).unwrap());
    100.0 * number(part) / number(whole.max(1))
}

fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `got`: lines, and whether they are said with high confidence.
pub(crate) fn score(expected: &[Expected], got: &[(String, bool)]) -> Score {
    let got: Vec<_> = got
        .iter()
        .map(|(line, high)| (collapse(line), *high))
        .collect();
    let got: Vec<_> = got
        .into_iter()
        .filter(|(line, _)| !line.is_empty())
        .collect();
    let fits = |i: usize, j: usize| {
        let wanted = &expected[i];
        let mut texts = wanted.also.iter().chain([&wanted.text]);
        texts.any(|text| collapse(text) == got[j].0)
    };
    let weight = |i: usize| if expected[i].optional { 1 } else { 1000 };
    let (n, m) = (expected.len(), got.len());
    let mut best = vec![vec![0; m + 1]; n + 1];
    for i in (0..n).rev() {
        for j in (0..m).rev() {
            let hit = if fits(i, j) {
                best[i + 1][j + 1] + weight(i)
            } else {
                0
            };
            best[i][j] = hit.max(best[i + 1][j]).max(best[i][j + 1]);
        }
    }
    let mut score = Score {
        high: got.iter().filter(|(_, high)| *high).count(),
        ..Score::default()
    };
    let (mut i, mut j, mut hits) = (0, 0, 0);
    while i < n && j < m {
        if fits(i, j) && best[i][j] == best[i + 1][j + 1] + weight(i) {
            hits += 1;
            score.right += usize::from(!expected[i].optional);
            score.high_hits += usize::from(got[j].1);
            (i, j) = (i + 1, j + 1);
        } else if best[i + 1][j] >= best[i][j + 1] {
            score.missed += usize::from(!expected[i].optional);
            i += 1;
        } else {
            j += 1;
        }
    }
    score.missed += expected[i..].iter().filter(|line| !line.optional).count();
    score.wrong = m - hits;
    score
}

#[test]
fn the_rule_counts_lines_in_order() {
    let expect = |text: &str, optional| Expected {
        text: text.to_owned(),
        optional,
        also: Vec::new(),
    };
    let expected = [expect("a", false), expect("b", true), expect("c", false)];
    let line = |text: &str| (text.to_owned(), true);
    let found = score(&expected, &[line("a"), line("x"), line(" c ")]);
    assert_eq!((found.right, found.wrong, found.missed), (2, 1, 0));
    let found = score(&expected, &[line("c"), line("a")]);
    assert_eq!((found.right, found.wrong, found.missed), (1, 1, 1));
}
