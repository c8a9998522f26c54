//! Search of a queue by store time.
//!
//! Owns the rule which of two neighbours an instant belongs to. Reads units; the store times come from the caller,
//! who reads the commitlog. Runs on the queue's shard.

use std::io;

use super::{ConsumeQueue, Unit};

impl ConsumeQueue {
    /// The offset of the message stored nearest to `timestamp` (milliseconds), among those below `visible_max`.
    ///
    /// Java 4.9.7's rule: a message stored at exactly that time wins (here the first of them), else the nearer
    /// neighbour, the earlier one on a tie; before the first message it is the first, behind the last the last.
    /// An empty queue gives its min offset. Java picks a file by its modification time first, which a copied
    /// store does not keep; here the search spans all units, since store times never go back along a queue.
    ///
    /// `store_time` tells a unit's store time, `None` when its record is gone; such units are stepped over.
    pub fn search_by_time(
        &mut self,
        timestamp: i64,
        visible_max: i64,
        store_time: &mut dyn FnMut(Unit) -> Option<i64>,
    ) -> io::Result<i64> {
        let end = visible_max.min(self.max_offset());
        let (mut low, mut high) = (self.min_offset(), end);
        let (mut earlier, mut later) = (None, None);
        // Everything below `low` is older than the timestamp, nothing from `high` on is.
        while low < high {
            let mid = low + (high - low) / 2;
            match self.timed_unit(mid, high, store_time)? {
                None => high = mid,
                Some((offset, time)) if time < timestamp => {
                    earlier = Some((offset, time));
                    low = offset + 1;
                }
                Some((offset, time)) => {
                    later = Some((offset, time));
                    // What lies between `mid` and the unit found has no store time at all.
                    high = mid;
                }
            }
        }
        Ok(match (earlier, later) {
            (None, None) => self.min_offset(),
            (Some((offset, _)), None) | (None, Some((offset, _))) => offset,
            (Some((before, before_time)), Some((after, after_time))) => {
                // Widened, because a store time read from a damaged record may be anything.
                let to_before = i128::from(timestamp) - i128::from(before_time);
                let to_after = i128::from(after_time) - i128::from(timestamp);
                if to_after == 0 || to_before > to_after { after } else { before }
            }
        })
    }

    /// The first unit of `from..end` that has a store time.
    fn timed_unit(
        &mut self,
        from: i64,
        end: i64,
        store_time: &mut dyn FnMut(Unit) -> Option<i64>,
    ) -> io::Result<Option<(i64, i64)>> {
        for offset in from..end {
            let unit = self.unit(offset)?;
            if unit.is_valid()
                && !unit.is_blank()
                && let Some(time) = store_time(unit)
            {
                return Ok(Some((offset, time)));
            }
        }
        Ok(None)
    }
}
