//! The order in which Java's `HashMap<String, ?>` gives its keys, for comparing bytes with those of a Java peer.
//!
//! Models Java 8 and later without trees (a bucket becomes one from nine keys on, which header names never fill) and
//! without removals. Pure function, any core.

use crate::message::java_hash;

/// Buckets of a map made without a size.
const CAPACITY: usize = 16;

/// The keys of a map in its iteration order, given in the order they were put in. A key put in twice keeps its place.
pub fn iteration_order<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut order: Vec<&str> = Vec::new();
    for key in keys {
        if !order.contains(&key) {
            order.push(key);
        }
    }
    order_by_hash(order, |key| java_hash(key))
}

/// The same for keys of any kind, all different, whose `hashCode` the caller knows.
pub fn order_by_hash<T>(mut keys: Vec<T>, hash_code: impl Fn(&T) -> i32) -> Vec<T> {
    // The table doubles when it holds more than three quarters of its buckets. Splitting a bucket keeps the order
    // inside it, so only the last size counts.
    let mut capacity = CAPACITY;
    while keys.len() > capacity / 4 * 3 {
        capacity *= 2;
    }
    keys.sort_by_key(|key| {
        let hash = hash_code(key) as u32;
        (hash ^ hash >> 16) as usize & (capacity - 1)
    });
    keys
}

/// The order in which Java's remoting puts a header's fields into its map: that of a set of reflected fields, whose
/// hash is the class name's mixed with the field's. It only shows where two names share a bucket. `declared` names all
/// fields of the class, in order, those left out of the header too.
pub fn reflected_order<'a>(class: &str, declared: &[&'a str]) -> Vec<&'a str> {
    order_by_hash(declared.to_vec(), |name| java_hash(class) ^ java_hash(name))
}

#[cfg(test)]
mod tests {
    use super::iteration_order;
    use crate::message::java_hash;

    fn check(keys: &[&str], want: &str) {
        assert_eq!(format!("[{}]", iteration_order(keys.iter().copied()).join(", ")), want);
    }

    /// Printed by OpenJDK 17 for maps filled in the same order.
    #[test]
    fn orders_are_those_of_java() {
        check(&["topic", "queueId"], "[queueId, topic]");
        check(
            &["msgId", "queueId", "queueOffset", "MSG_REGION", "TRACE_ON", "msgId"],
            "[queueId, TRACE_ON, MSG_REGION, msgId, queueOffset]",
        );
        check(
            &["suggestWhichBrokerId", "nextBeginOffset", "minOffset", "maxOffset"],
            "[suggestWhichBrokerId, nextBeginOffset, maxOffset, minOffset]",
        );
        check(&["AaAa", "BBBB", "AaBB", "BBAa", "x"], "[x, AaAa, BBBB, AaBB, BBAa]");
    }

    /// Hash codes of the printed key sets, from OpenJDK 17, around each growth of the table.
    #[test]
    fn the_table_grows_as_in_java() {
        for (count, want) in
            [(12, 185_127_378), (13, -1_279_936_389), (24, 2_023_624_136), (25, -1_177_564_652), (100, -1_826_103_470)]
        {
            let keys: Vec<String> = (0..count).map(|place| format!("Topic-{place}")).collect();
            let order = iteration_order(keys.iter().map(String::as_str));
            assert_eq!(java_hash(&format!("[{}]", order.join(", "))), want, "{count} keys");
        }
    }
}
