//! Writing the fields of a header, in the form of the command they belong to. Appends to the command's buffer; any
//! core.

use crate::command::HeaderForm;
use crate::digits::{Decimal, push_number};
use crate::header_rocketmq;
use crate::json::escape::push_quoted;

/// Takes the fields of one command. Order is the caller's; a name given twice is written twice.
pub struct FieldWriter<'a> {
    out: &'a mut Vec<u8>,
    form: HeaderForm,
    open: bool,
    any: bool,
}

impl<'a> FieldWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, form: HeaderForm) -> FieldWriter<'a> {
        FieldWriter { out, form, open: false, any: false }
    }

    /// Opens the member, which then is there without a field too: Java writes `"extFields":{}` for every command made
    /// with a header class. The binary form knows no such difference.
    pub fn open(&mut self) {
        if self.form == HeaderForm::Json && !self.open {
            self.out.extend_from_slice(b",\"extFields\":{");
            self.open = true;
        }
    }

    /// A string. Names are this program's own: plain ASCII without quotes.
    pub fn str(&mut self, key: &str, value: &str) {
        match self.form {
            HeaderForm::Json => {
                self.json_key(key);
                push_quoted(self.out, value);
            }
            HeaderForm::Rocketmq => header_rocketmq::push_field(self.out, key, value.as_bytes()),
        }
        self.any = true;
    }

    /// A number, written as a decimal string as every field is.
    pub fn i64(&mut self, key: &str, value: i64) {
        match self.form {
            HeaderForm::Json => {
                self.json_key(key);
                self.out.push(b'"');
                push_number(self.out, value);
                self.out.push(b'"');
            }
            HeaderForm::Rocketmq => {
                header_rocketmq::push_field(self.out, key, Decimal::of(value).as_bytes());
            }
        }
        self.any = true;
    }

    /// A number, written as a decimal string.
    pub fn i32(&mut self, key: &str, value: i32) {
        self.i64(key, i64::from(value));
    }

    /// `true` or `false`.
    pub fn bool(&mut self, key: &str, value: bool) {
        self.str(key, if value { "true" } else { "false" });
    }

    fn json_key(&mut self, key: &str) {
        self.open();
        if self.any {
            self.out.push(b',');
        }
        push_quoted(self.out, key);
        self.out.push(b':');
    }

    /// Closes the member; the command goes on behind it.
    pub(crate) fn finish(self) {
        if self.open {
            self.out.push(b'}');
        }
    }
}
