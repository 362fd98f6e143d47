//! The sizes of slots: few enough that a freed slot soon fits again, fine enough that little is wasted.

/// Slots are multiples of this and aligned to it, in bytes: the smallest page of the machines we run on, and what
/// direct IO asks for.
pub(crate) const PAGE: usize = 4096;
/// A huge page, in bytes.
pub(crate) const HUGE_PAGE: usize = 2 << 20;
/// The share of what was asked for that a slot may be larger, as a divisor: an eighth.
const WASTE: usize = 8;

/// The size of the slot for `len` bytes; `None` when no address space could hold it.
///
/// From eight pages on it is at most an eighth larger than `len`. A multiple of huge pages is taken where that keeps
/// within the eighth, so that first touch costs one fault for 2 MiB.
pub(crate) fn slot_bytes(len: usize) -> Option<usize> {
    let len = len.max(1);
    let whole_pages = len.checked_next_multiple_of(PAGE)?;
    // Steps are an eighth of the power of two below: 8 sizes from each power to the next.
    let step = ((1 << whole_pages.ilog2()) / WASTE).max(PAGE);
    let fine = whole_pages.checked_next_multiple_of(step)?;
    let huge = fine.checked_next_multiple_of(HUGE_PAGE)?;
    let bytes = if huge - len <= len / WASTE { huge } else { fine };
    (bytes <= isize::MAX as usize).then_some(bytes)
}

/// Whether slots of this size consist of whole huge pages.
pub(crate) fn is_huge(slot_bytes: usize) -> bool {
    slot_bytes.is_multiple_of(HUGE_PAGE)
}

/// Bytes as people read them: `64 MiB`, or `1.5 GiB`.
pub(crate) fn readable(bytes: usize) -> String {
    const UNITS: [(&str, usize); 4] =
        [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) if bytes.is_multiple_of(*unit) => format!("{} {name}", bytes / unit),
        Some((name, unit)) => format!("{:.1} {name}", bytes as f64 / *unit as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_slot_fits_and_wastes_at_most_an_eighth(len in prop_oneof![1usize..1 << 20, 1usize..1 << 40]) {
            let bytes = slot_bytes(len).unwrap();
            prop_assert!(bytes >= len && bytes.is_multiple_of(PAGE));
            let waste = bytes - len;
            prop_assert!(waste < PAGE || waste <= len / 8, "{} for {}", bytes, len);
        }

        #[test]
        fn the_slot_of_a_slots_size_is_itself(len in 1usize..1 << 40) {
            let bytes = slot_bytes(len).unwrap();
            prop_assert_eq!(slot_bytes(bytes), Some(bytes));
        }
    }

    #[test]
    fn whole_huge_pages_stay_as_they_are() {
        for mebibytes in [2, 4, 8, 16, 64, 96, 1024] {
            let bytes = mebibytes << 20;
            assert_eq!(slot_bytes(bytes), Some(bytes));
            assert!(is_huge(bytes));
        }
        assert_eq!(slot_bytes(usize::MAX), None);
        assert_eq!(slot_bytes(0), Some(PAGE));
    }

    #[test]
    fn there_are_eight_sizes_from_one_power_of_two_to_the_next() {
        let sizes: std::collections::BTreeSet<_> =
            (1 << 17..1 << 18).step_by(512).filter_map(slot_bytes).collect();
        assert_eq!(sizes.len(), 9, "{sizes:?}");
    }

    #[test]
    fn bytes_are_readable() {
        assert_eq!(readable(64 << 20), "64 MiB");
        assert_eq!(readable(3 << 29), "1.5 GiB");
        assert_eq!(readable(17), "17 bytes");
    }
}
