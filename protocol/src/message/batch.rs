//! The body of SEND_BATCH_MESSAGE: small records one after another. Readers borrow, writers append; any core.
//!
//! ```text
//! size  field
//!   4   size of this item        written, not believed when reading (as Java)
//!   4   magic                    0
//!   4   body crc                 0
//!   4   flag
//!   4   body length
//!   n   body
//!   2   properties length
//!   p   properties
//! ```

use std::fmt;

use super::layout::PROPERTIES_LEN_MAX;

/// Bytes of an item besides its body and properties.
pub const ITEM_OVERHEAD: usize = 22;

/// One message of a batch, as the producer wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchItem<'a> {
    /// The application's flag.
    pub flag: i32,
    /// The message body.
    pub body: &'a [u8],
    /// The properties string.
    pub properties: &'a [u8],
}

/// Why a batch body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchError {
    /// Place of the unreadable item in the batch, from 0.
    pub index: usize,
    /// Byte in the batch body where that item starts.
    pub position: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch message {} at byte {}: {}", self.index, self.position, self.problem)
    }
}

impl std::error::Error for BatchError {}

/// Walks the items of a batch body; after an error it ends.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
    index: usize,
    position: usize,
}

/// The items of a batch body in order. An empty body has none.
pub fn iter(body: &[u8]) -> Iter<'_> {
    Iter { rest: body, index: 0, position: 0 }
}

/// Takes `len` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

fn take_i32(rest: &mut &[u8]) -> Option<i32> {
    let (head, tail) = rest.split_first_chunk::<4>()?;
    *rest = tail;
    Some(i32::from_be_bytes(*head))
}

fn item<'a>(rest: &mut &'a [u8]) -> Result<BatchItem<'a>, &'static str> {
    take(rest, 12).ok_or("cut off in its head")?;
    let flag = take_i32(rest).ok_or("cut off in its head")?;
    let body_len = take_i32(rest).ok_or("cut off in its head")?;
    let body_len = usize::try_from(body_len).map_err(|_| "negative body length")?;
    let body = take(rest, body_len).ok_or("body longer than the batch")?;
    let (head, tail) = rest.split_first_chunk::<2>().ok_or("cut off before its properties")?;
    *rest = tail;
    let properties_len = usize::try_from(i16::from_be_bytes(*head)).map_err(|_| "negative properties length")?;
    let properties = take(rest, properties_len).ok_or("properties longer than the batch")?;
    Ok(BatchItem { flag, body, properties })
}

impl<'a> Iterator for Iter<'a> {
    type Item = Result<BatchItem<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let before = self.rest.len();
        let result = item(&mut self.rest);
        let (index, position) = (self.index, self.position);
        self.index += 1;
        self.position += before - self.rest.len();
        Some(result.map_err(|problem| {
            self.rest = &[];
            BatchError { index, position, problem }
        }))
    }
}

/// Why a message does not fit into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchEncodeError {
    /// The properties string is longer than 32,767 bytes.
    PropertiesTooLong(usize),
    /// The body is longer than a signed 32-bit length can say.
    BodyTooLong(usize),
}

impl fmt::Display for BatchEncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PropertiesTooLong(len) => {
                write!(f, "properties of {len} bytes in a batch, at most {PROPERTIES_LEN_MAX} fit")
            }
            Self::BodyTooLong(len) => write!(f, "body of {len} bytes does not fit into a batch"),
        }
    }
}

impl std::error::Error for BatchEncodeError {}

/// Appends one item.
pub fn encode(out: &mut Vec<u8>, item: &BatchItem<'_>) -> Result<(), BatchEncodeError> {
    let properties_len =
        i16::try_from(item.properties.len()).map_err(|_| BatchEncodeError::PropertiesTooLong(item.properties.len()))?;
    let size = ITEM_OVERHEAD + item.body.len() + item.properties.len();
    let size = i32::try_from(size).map_err(|_| BatchEncodeError::BodyTooLong(item.body.len()))?;
    let body_len = i32::try_from(item.body.len()).map_err(|_| BatchEncodeError::BodyTooLong(item.body.len()))?;
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&item.flag.to_be_bytes());
    out.extend_from_slice(&body_len.to_be_bytes());
    out.extend_from_slice(item.body);
    out.extend_from_slice(&properties_len.to_be_bytes());
    out.extend_from_slice(item.properties);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn damaged_batches_end_with_one_error() {
        let mut whole = Vec::new();
        for body in [&b"one"[..], b"two"] {
            encode(&mut whole, &BatchItem { flag: 0, body, properties: b"a\x01b" }).expect("fits");
        }
        let check = |bytes: &[u8], want_items: usize, problem: &str| {
            let got: Vec<_> = iter(bytes).collect();
            assert_eq!(got.len(), want_items + 1);
            assert!(got.iter().take(want_items).all(Result::is_ok));
            assert_eq!(
                got.last().copied().map(|last| last.map_err(|error| error.problem)),
                Some(Err(match problem {
                    "head" => "cut off in its head",
                    "body" => "body longer than the batch",
                    "properties" => "properties longer than the batch",
                    _ => "negative body length",
                }))
            );
        };
        check(&whole[..whole.len() - 1], 1, "properties");
        check(&whole[..30], 1, "head");
        check(&whole[..22], 0, "body");
        let mut negative = whole.clone();
        negative[16] = 0x80;
        check(&negative, 0, "negative");
        assert_eq!(iter(b"").count(), 0);
        assert!(encode(&mut Vec::new(), &BatchItem { flag: 0, body: b"", properties: &[b'x'; 32_768] }).is_err());
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_read_back(items in prop::collection::vec((any::<i32>(), any::<Vec<u8>>(), any::<Vec<u8>>()), 0..6)) {
            let mut out = Vec::new();
            for (flag, body, properties) in &items {
                encode(&mut out, &BatchItem { flag: *flag, body, properties }).expect("fits");
            }
            let back: Vec<_> = iter(&out).map(|item| item.expect("readable")).collect();
            prop_assert_eq!(back.len(), items.len());
            for (item, (flag, body, properties)) in back.iter().zip(&items) {
                prop_assert_eq!(item.flag, *flag);
                prop_assert_eq!(item.body, &body[..]);
                prop_assert_eq!(item.properties, &properties[..]);
            }
        }
    }
}
