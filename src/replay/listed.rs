//! A list that stays short however much there is: its first entries, its last, and how many there are.

use serde::Serialize;

/// Entries that are kept of the beginning, and as many of the end.
const EACH: usize = 50;

/// Where `total` is more than there are entries, those between the first fifty and the last are left out.
#[derive(Debug, Serialize)]
pub struct Listed<T = String> {
    pub entries: Vec<T>,
    pub total: usize,
}

impl<T> Listed<T> {
    pub(super) fn add(&mut self, entry: T) {
        self.total += 1;
        if self.entries.len() == 2 * EACH {
            self.entries.remove(EACH);
        }
        self.entries.push(entry);
    }

    /// The first ones, how many are left out after them, and the last ones.
    pub fn parts(&self) -> (&[T], usize, &[T]) {
        let more = self.total.saturating_sub(self.entries.len());
        let at = self.entries.len().min(EACH);
        let (first, last) = self.entries.split_at(at);
        (first, more, last)
    }
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            total: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_kept_and_the_rest_is_counted() {
        let mut list = Listed::default();
        for number in 0..1000 {
            list.add(number);
        }
        let (first, more, last) = list.parts();
        assert_eq!(first, (0..50).collect::<Vec<_>>());
        assert_eq!(more, 900);
        assert_eq!(last, (950..1000).collect::<Vec<_>>());

        let mut short = Listed::default();
        (0..100).for_each(|number| short.add(number));
        assert_eq!(short.entries, (0..100).collect::<Vec<_>>());
        assert_eq!(short.parts().1, 0);
    }
}
