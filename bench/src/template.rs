//! A send request written once and patched for every message: the header costs a few stores then.
//!
//! Owns the bytes of the frame. The opaque and the born time are written with a fixed number of digits, so that a patch
//! never moves anything.

use protocol::{Head, HeaderForm, write_command};

const CODE_SEND_MESSAGE_V2: i32 = 310;
/// Placeholders; also the lowest opaque, so that all have ten digits.
pub const OPAQUE_FIRST: i32 = 1_111_111_111;
const BORN_MS: i64 = 2_222_222_222_222;

/// One frame of a topic's queue.
#[derive(Clone, Debug)]
pub struct Template {
    frame: Vec<u8>,
    opaque_at: usize,
    born_at: usize,
    form: HeaderForm,
}

impl Template {
    /// The frame of a plain send.
    pub fn new(topic: &str, queue: u32, body: &[u8], form: HeaderForm) -> Result<Template, String> {
        let mut frame = Vec::new();
        let head = Head { form, ..Head::request(CODE_SEND_MESSAGE_V2, OPAQUE_FIRST) };
        write_command(
            &mut frame,
            &head,
            |fields| {
                fields.str("a", "PID_mqbench");
                fields.str("b", topic);
                fields.str("c", "TBW102");
                fields.i32("d", 4);
                fields.i64("e", i64::from(queue));
                fields.i32("f", 0);
                fields.i64("g", BORN_MS);
                fields.i32("h", 0);
                fields.str("i", "WAIT\u{1}true");
                fields.i32("j", 0);
                fields.bool("k", false);
                fields.bool("m", false);
            },
            body.len(),
        );
        let opaque = match form {
            HeaderForm::Json => OPAQUE_FIRST.to_string().into_bytes(),
            HeaderForm::Rocketmq => OPAQUE_FIRST.to_be_bytes().to_vec(),
        };
        let find = |wanted: &[u8]| frame.windows(wanted.len()).position(|part| part == wanted);
        let opaque_at = find(&opaque).ok_or("the header has no opaque")?;
        let born_at = find(BORN_MS.to_string().as_bytes()).ok_or("the header has no born time")?;
        frame.extend_from_slice(body);
        Ok(Template { frame, opaque_at, born_at, form })
    }

    /// Appends the frame with these values. `opaque` is at least [`OPAQUE_FIRST`]; `born_ms` has 13 digits.
    pub fn write(&mut self, out: &mut Vec<u8>, opaque: i32, born_ms: i64) {
        match self.form {
            HeaderForm::Json => patch_digits(&mut self.frame[self.opaque_at..self.opaque_at + 10], i64::from(opaque)),
            HeaderForm::Rocketmq => {
                self.frame[self.opaque_at..self.opaque_at + 4].copy_from_slice(&opaque.to_be_bytes());
            }
        }
        patch_digits(&mut self.frame[self.born_at..self.born_at + 13], born_ms);
        out.extend_from_slice(&self.frame);
    }
}

fn patch_digits(place: &mut [u8], mut value: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Command;

    #[test]
    fn a_patched_frame_decodes_to_its_values() {
        for form in [HeaderForm::Json, HeaderForm::Rocketmq] {
            let mut template = Template::new("T", 3, b"body", form).unwrap();
            let mut out = Vec::new();
            template.write(&mut out, 1_987_654_321, 1_800_000_000_123);
            let command = Command::decode(&out).unwrap();
            assert_eq!((command.code, command.opaque, command.body), (310, 1_987_654_321, &b"body"[..]), "{form:?}");
            assert_eq!(command.fields.get("g").as_deref(), Some("1800000000123"), "{form:?}");
            assert_eq!(command.fields.get("e").as_deref(), Some("3"), "{form:?}");
        }
    }
}
