/// A set of serials as ordered, separate ranges, both ends included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Sorts and joins once, so that a long list costs n log n and not n squared.
    pub(super) fn of(mut parts: Vec<(u64, u64)>) -> Self {
        parts.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (low, high) in parts {
            match joined.last_mut() {
                Some((_, end)) if low <= end.saturating_add(1) => *end = high.max(*end),
                Some(_) | None => joined.push((low, high)),
            }
        }
        joined.shrink_to_fit();
        Self(joined)
    }

    pub(super) fn contains(&self, serial: u64) -> bool {
        let behind = self.0.partition_point(|(low, _)| *low <= serial);
        behind
            .checked_sub(1)
            .and_then(|at| self.0.get(at))
            .is_some_and(|(_, high)| serial <= *high)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_of_ranges_holds_what_its_parts_hold(
            parts in proptest::collection::vec((0_u64..40, 0_u64..6), 0..12),
            edge in any::<bool>(),
        ) {
            let base = if edge { u64::MAX - 46 } else { 0 };
            let parts: Vec<_> = parts.iter().map(|(l, n)| (base + l, base + l + n)).collect();
            let set = Ranges::of(parts.clone());
            for serial in base..=base.saturating_add(46) {
                let expected = parts.iter().any(|(low, high)| (*low..=*high).contains(&serial));
                prop_assert_eq!(set.contains(serial), expected);
            }
        }
    }
}
