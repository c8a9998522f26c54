//! GET_NAMESRV_CONFIG (319) -> the settings as properties text, one `key=value` a line.

use super::answer::Answer;
use crate::namesrv::Namesrv;

pub(super) fn answer(namesrv: &Namesrv) -> Result<Answer, Answer> {
    Ok(Answer { body: namesrv.options.properties.bytes().to_vec(), ..Answer::success() })
}
