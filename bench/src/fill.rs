//! `mqbench fill`: puts a known number of messages into a topic, in batches, for a measurement that follows.
//!
//! One connection, one batch at a time. Owns nothing afterwards.

use std::time::{Duration, Instant};

use client::{BatchMessage, Broker, Error, Properties, Send, TopicSpec};

use crate::cli::Fill;

/// A busy broker is asked again after so long.
const PACE: Duration = Duration::from_millis(5);

/// Fills and answers the RESULT line.
pub fn run(arguments: &Fill) -> Result<String, String> {
    let said = |error: Error| error.to_string();
    let mut broker = Broker::connect(arguments.broker).map_err(said)?;
    broker.create_topic(&TopicSpec::new(&arguments.topic, arguments.queues as i32)).map_err(said)?;
    let body: Vec<u8> = (0..arguments.body).map(|index| (index.wrapping_mul(31) ^ (index >> 3)) as u8).collect();
    let begun = Instant::now();
    let mut left = arguments.messages;
    let mut busy = 0u64;
    let mut queue = 0;
    while left > 0 {
        let count = left.min(u64::from(arguments.batch));
        let message = BatchMessage { flag: 0, properties: Properties::new(), body: &body };
        let messages = vec![message; count as usize];
        match broker.send_batch(&Send::to(&arguments.topic, queue, &[]), &messages) {
            Ok(_) => left -= count,
            // Too much at once: both codes say that nothing was stored.
            Err(Error::Answer { code: 1 | 2, .. }) if busy < 100_000 => {
                busy += 1;
                std::thread::sleep(PACE);
            }
            Err(error) => return Err(said(error)),
        }
        queue = (queue + 1) % arguments.queues as i32;
    }
    let seconds = begun.elapsed().as_secs_f64();
    Ok(format!(
        "what=fill messages={} body={} batch={} busy={busy} seconds={seconds:.2} rate={:.0} mb_s={:.1}",
        arguments.messages,
        arguments.body,
        arguments.batch,
        arguments.messages as f64 / seconds,
        arguments.messages as f64 * f64::from(arguments.body) / seconds / 1e6,
    ))
}
