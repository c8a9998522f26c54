//! What surrounds the process and decides defaults: variables, host name, cores, network cards.
//!
//! Plain data. [`Environment::from_process`] reads it once at start; tests write it by hand, so that nothing else in
//! this crate looks at the machine. Network cards are enumerated by the caller (getifaddrs) and put into `interfaces`.

use crate::nic::Interface;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// Environment variables: ROCKETMQ_HOME, NAMESRV_ADDR and whatever `${NAME}` in a value may ask for.
    pub variables: BTreeMap<String, String>,
    /// Home directory of the user; `~/store` and `~/namesrv` lie in it.
    pub user_home: Option<String>,
    /// Default of brokerName.
    pub host_name: Option<String>,
    /// Cores this process may use; defaults of thread counts that Java prints come from it.
    pub cores: usize,
    /// Candidates for brokerIP1.
    pub interfaces: Vec<Interface>,
}

impl Environment {
    /// Variables, host name and cores of this process. `interfaces` is left empty for the caller to fill.
    pub fn from_process() -> Environment {
        let variables: BTreeMap<String, String> =
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect();
        let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname")
            .map(|name| name.trim().to_owned())
            .ok()
            .filter(|name| !name.is_empty());
        Environment {
            user_home: variables.get("HOME").filter(|home| !home.is_empty()).cloned(),
            variables,
            host_name,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            interfaces: Vec::new(),
        }
    }

    /// A variable that is set to something; an empty one counts as unset.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Replaces every `${NAME}` by the variable, `${user.home}` by the home directory. Java leaves such text as it is;
    /// users write it nevertheless. The error is the name that has no value. A `${` without `}` stays text.
    pub fn expand(&self, value: &str) -> Result<String, String> {
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, behind)) = after.split_once('}') else { break };
            out.push_str(before);
            let found = match name {
                "user.home" => self.user_home.as_deref(),
                _ => self.variable(name),
            };
            out.push_str(found.ok_or_else(|| name.to_owned())?);
            rest = behind;
        }
        out.push_str(rest);
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let variables = [("ROCKETMQ_HOME", "/opt/mq"), ("EMPTY", "")].map(|(k, v)| (k.into(), v.into())).into();
        let environment = Environment { variables, user_home: Some("/home/u".into()), ..Default::default() };
        for (value, expected) in [
            ("${ROCKETMQ_HOME}/store", Ok("/opt/mq/store")),
            ("a${ROCKETMQ_HOME}${user.home}b", Ok("a/opt/mq/home/ub")),
            ("plain $HOME", Ok("plain $HOME")),
            ("${ROCKETMQ_HOME", Ok("${ROCKETMQ_HOME")),
            ("${EMPTY}/x", Err("EMPTY")),
            ("${NOT_SET}", Err("NOT_SET")),
        ] {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(environment.expand(value), expected, "{value}");
        }
    }
}
