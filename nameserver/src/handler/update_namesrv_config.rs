//! UPDATE_NAMESRV_CONFIG (318): body = properties text. All keys or none.
//!
//! Only keys that take effect at once are taken. Keys that hold paths are refused with 16, whatever the value: over the
//! network they would let anyone write files (CVE-2023-37582). A change is saved to the `-c` file, if there is one,
//! with its comments and order kept.

use std::fs;
use std::io;

use config::Properties;
use protocol::code::response;

use super::answer::{Answer, Request};
use crate::durable;
use crate::namesrv::Namesrv;
use crate::options::{Change, ORDER_MESSAGE_ENABLE, change_of};

pub(super) fn answer(namesrv: &mut Namesrv, request: &Request<'_>) -> Result<Answer, Answer> {
    let body = Properties::parse(request.command.body);
    if let Some(error) = body.errors().first() {
        return Err(Answer::error(format!("the body is no properties text: {}", error.text)));
    }
    let mut order_message_enable = None;
    for entry in body.entries() {
        match change_of(&entry.key) {
            Change::Forbidden => {
                tracing::warn!(key = entry.key, peer = %request.peer, "configuration change refused");
                return Err(Answer::refused(
                    response::NO_PERMISSION,
                    format!("Can not update config in black list: {}", entry.key),
                ));
            }
            Change::Now => order_message_enable = Some(boolean(&entry.key, &entry.value)?),
            Change::AtStart => {
                let remark = "is read at start only; change it in the configuration file and restart";
                return Err(Answer::error(format!("{} {remark}; nothing was changed", entry.key)));
            }
            Change::Unknown => return Err(Answer::error(format!("unknown key {:?}; nothing was changed", entry.key))),
        }
    }
    let Some(order_message_enable) = order_message_enable else { return Ok(Answer::success()) };

    let value = order_message_enable.to_string();
    let is_saved = save(namesrv, ORDER_MESSAGE_ENABLE, &value)?;
    namesrv.options.settings.order_message_enable = order_message_enable;
    namesrv.options.properties.set(ORDER_MESSAGE_ENABLE, &value);
    tracing::info!(key = ORDER_MESSAGE_ENABLE, value, is_saved, peer = %request.peer, "configuration changed");
    if is_saved {
        return Ok(Answer::success());
    }
    Ok(Answer::success().with_remark("not saved: the name server was started without a configuration file"))
}

fn boolean(key: &str, value: &str) -> Result<bool, Answer> {
    match value.trim() {
        value if value.eq_ignore_ascii_case("true") => Ok(true),
        value if value.eq_ignore_ascii_case("false") => Ok(false),
        value => Err(Answer::error(format!("{key}: {value:?} is neither true nor false; nothing was changed"))),
    }
}

/// Ok(false): there is no file to save to.
fn save(namesrv: &Namesrv, key: &str, value: &str) -> Result<bool, Answer> {
    let Some(path) = &namesrv.options.settings.config_file else { return Ok(false) };
    let written = fs::read(path)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(Vec::new()) } else { Err(error) })
        .and_then(|bytes| {
            let mut file = Properties::parse(&bytes);
            file.set(key, value);
            durable::replace(path, file.bytes())
        });
    written.map_err(|error| {
        tracing::error!(path = %path.display(), "configuration not saved: {error}");
        Answer::error(format!("nothing was changed: {} cannot be written: {error}", path.display()))
    })?;
    Ok(true)
}
