//! Numbers as text: decimals and upper-case hex, without the heap and without a loop over digits. Pure functions, any
//! core.

/// A decimal number, at the front of a fixed array.
pub(crate) struct Decimal {
    text: [u8; 24],
    len: usize,
}

const ZEROS: u64 = 0x3030_3030_3030_3030;

/// The eight digits of a number below 10^8 as values 0 to 9, the leading one in the lowest byte. Halves are split from
/// each other in parallel: four digits each, then two, then one.
#[inline(always)]
fn eight(number: u32) -> u64 {
    let fours = u64::from(number / 10_000) | u64::from(number % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - hundreds * 100) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - tens * 10) << 8
}

impl Decimal {
    #[inline]
    pub(crate) fn of(number: i64) -> Decimal {
        let mut decimal = Decimal { text: [0; 24], len: 0 };
        // Codes, flags and queue ids mostly.
        if (0..10).contains(&number) {
            decimal.text[0] = b'0' + number as u8;
            decimal.len = 1;
            return decimal;
        }
        if number < 0 {
            decimal.text[0] = b'-';
            decimal.len = 1;
        }
        let number = number.unsigned_abs();
        const PART: u64 = 100_000_000;
        if number < PART {
            decimal.leading(number);
        } else if number < PART * PART {
            decimal.leading(number / PART);
            decimal.whole(number % PART);
        } else {
            decimal.leading(number / PART / PART);
            decimal.whole(number / PART % PART);
            decimal.whole(number % PART);
        }
        decimal
    }

    /// Below 10^8, without leading zeros.
    #[inline(always)]
    fn leading(&mut self, number: u64) {
        let digits = eight(number as u32);
        // Of zero itself the last digit stays.
        let zeros = ((digits | 1 << 56).trailing_zeros() / 8) as usize;
        self.put((digits | ZEROS) >> (zeros * 8), 8 - zeros);
    }

    /// Below 10^8, all eight digits.
    #[inline(always)]
    fn whole(&mut self, number: u64) {
        self.put(eight(number as u32) | ZEROS, 8);
    }

    /// At most a sign and three times eight digits, of which the leading ones are 4 at most: 21 bytes.
    #[inline(always)]
    fn put(&mut self, digits: u64, len: usize) {
        if let Some(free) = self.text.get_mut(self.len..).and_then(|rest| rest.first_chunk_mut::<8>()) {
            *free = digits.to_le_bytes();
        }
        self.len += len;
    }

    /// Appends it: all of the array, then cut, because a copy of fixed size takes no call.
    #[inline(always)]
    pub(crate) fn push_to(&self, out: &mut Vec<u8>) {
        let len = out.len() + self.len;
        out.extend_from_slice(&self.text);
        out.truncate(len);
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.len).unwrap_or_default()
    }
}

/// Appends a decimal number.
#[inline]
pub(crate) fn push_number(out: &mut Vec<u8>, number: i64) {
    Decimal::of(number).push_to(out);
}

/// The sixteen upper-case hex digits of a number.
#[inline]
pub(crate) fn hex16(number: u64) -> [u8; 16] {
    let mut text = [0; 16];
    let (halves, _) = text.as_chunks_mut::<8>();
    for (half, part) in halves.iter_mut().zip([(number >> 32) as u32, number as u32]) {
        *half = hex8(part);
    }
    text
}

/// The eight upper-case hex digits of a number.
#[inline]
pub(crate) fn hex8(number: u32) -> [u8; 8] {
    // One nibble a byte, the highest one lowest.
    let mut nibbles = u64::from(number.swap_bytes());
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles >> 4 | nibbles << 8) & 0x0f0f_0f0f_0f0f_0f0f;
    let letters = ((nibbles + 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101;
    (nibbles + ZEROS + letters * 7).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(number: i64) {
        assert_eq!(Decimal::of(number).as_bytes(), number.to_string().as_bytes());
        let mut out = b"x".to_vec();
        push_number(&mut out, number);
        assert_eq!(out, format!("x{number}").as_bytes());
        assert_eq!(hex16(number as u64), format!("{number:016X}").as_bytes());
        assert_eq!(hex8(number as u32), format!("{:08X}", number as u32).as_bytes());
    }

    #[test]
    fn numbers_around_every_power_of_ten() {
        let powers = (0..19).map(|power| 10i64.pow(power));
        for number in powers.flat_map(|power| [power - 1, power, power + 1]).chain([i64::MAX, i64::MIN, i64::MIN + 1]) {
            check(number);
            check(number.wrapping_neg());
        }
        // Every place of the parallel division once with every value it can have.
        (0..10_000).for_each(check);
        (0..10_000).for_each(|number| check(number * 10_000));
    }

    proptest! {
        #[test]
        fn any_number(number in any::<i64>(), shift in 0u32..63) {
            check(number >> shift);
        }
    }
}
