//! What scenario files are taken and which are refused, and how.
//!
//! Text in, structs or messages out; starts nothing.

use super::scenario::{Scalar, Scenario};

const LEAST: &str = "name = 'x'\n[[broker]]\nname = 'a'\n[[broker.step]]\nname = 's'\nmqbench = 'produce'\n";

#[test]
fn the_built_in_scenario_is_sound() {
    let scenario = Scenario::load(None).unwrap();
    assert!(scenario.brokers.iter().flat_map(|broker| &broker.steps).any(|step| !step.aims.is_empty()));
    assert!(!scenario.charts.is_empty());
    let mut quick = scenario;
    quick.quicken(0);
    assert_eq!((quick.rounds, quick.seconds, quick.warm_seconds), (1, 1, 0));
    assert_eq!(quick.parameters.get("drain_messages"), quick.quick.get("drain_messages"));
}

#[test]
fn what_is_left_out_has_a_default() {
    let scenario = Scenario::parse(LEAST, "here").unwrap();
    assert_eq!((scenario.rounds, scenario.jit_seconds, scenario.replication.len()), (5, 6, 1));
    assert_eq!(scenario.sides.len(), 1);
    assert_eq!(scenario.brokers[0].flush, ["ASYNC_FLUSH"]);
    assert!(scenario.brokers[0].peers && scenario.brokers[0].jit && scenario.brokers[0].steps[0].measured);
}

#[test]
fn parameters_are_filled_in() {
    let text = LEAST.replace("name = 'x'", "name = 'x'\nparameters.n = 5\nparameters.t = 'T'");
    let mut scenario = Scenario::parse(&text, "here").unwrap();
    assert_eq!(scenario.fill_in("fill --messages {n} --topic {t}").unwrap(), "fill --messages 5 --topic T");
    scenario.set("n=7").unwrap();
    assert_eq!(scenario.fill_in("{n}{n}").unwrap(), "77");
    assert_eq!(scenario.number("n", 1), Ok(7));
    assert_eq!(scenario.number("absent", 1), Ok(1));
    assert!(scenario.number("t", 1).is_err());
    assert!(scenario.fill_in("{gone}").unwrap_err().contains("gone"));
    assert!(scenario.fill_in("{n").is_err());
    assert!(scenario.set("gone=1").unwrap_err().contains("n, t"));
    assert!(scenario.set("n").is_err());
    assert_eq!(scenario.parameters.get("n"), Some(&Scalar::Whole(7)));
}

#[track_caller]
fn refused(find: &str, put: &str, word: &str) {
    let text = LEAST.replacen(find, put, 1);
    assert_ne!(text, LEAST, "{find:?} is not in the least scenario");
    let problem = Scenario::parse(&text, "here").unwrap_err();
    assert!(problem.starts_with("here: ") && problem.contains(word), "{problem}");
}

#[test]
fn wrong_scenarios_are_refused_with_the_reason() {
    let step = "mqbench = 'produce'";
    refused("name = 'x'", "name = 'a/b'", "file name");
    refused("name = 'x'", "name = 'x'\nrounds = 0", "rounds");
    refused("name = 'x'", "name = 'x'\nroudns = 3", "roudns");
    refused("name = 'x'", "name = 'x'\nreplication = []", "one or more");
    refused("name = 'x'", "name = 'x'\nreplication = ['single', 'single']", "each once");
    refused("name = 'x'", "name = 'x'\nreplication = ['dledger']", "dledger");
    refused("name = 'x'", "name = 'x'\nquick.n = 1", "[parameters]");
    refused("name = 'x'", "name = 'x'\nside = [{ name = 'machine' }]", "machine");
    refused("name = 'a'", "name = 'a'\nflush = ['FLUSH']", "FLUSH");
    refused("name = 'a'", "name = 'a'\nflush = []", "flush");
    refused("name = 'a'", "name = 'a'\nvary.flushWay = []", "vary");
    refused("name = 'a'", "name = 'a'\nprobes = ['cpu']", "cpu");
    refused(step, "measured = true", "neither");
    refused(step, "mqbench = 'produce'\naction = 'memory'", "both");
    refused(step, "mqbench = 'produce --pid 3'", "--pid");
    refused(step, "mqbench = 'produce --topic {t}'", "{t}");
    refused(step, "action = 'reboot'", "reboot");
    refused(step, "mqbench = 'produce'\naims = [{ figure = 'rate' }]", "exactly one");
    refused(step, "mqbench = 'produce'\naims = [{ figure = 'rate', at_least = 1, at_most = 2 }]", "exactly one");
    refused(step, "mqbench = 'produce'\naims = [{ figure = 'rate', at_least_times_reference = 1 }]", "reference");
    let gone = "reference = [{ step = 'gone', figure = 'rate' }]";
    let aim = format!("mqbench = 'produce'\naims = [{{ figure = 'rate', at_least_times_reference = 1, {gone} }}]");
    refused(step, &aim, "gone");
    refused(step, "mqbench = 'produce'\n[[broker.step]]\nname = 's'\nmqbench = 'produce'", "two measured steps");
}
