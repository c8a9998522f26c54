//! The scripts in dist/bin, called as users call them. A copy of `env` or `echo` stands in for the binaries.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An installation in a directory of its own, removed at the end.
struct Installation(PathBuf);

impl Installation {
    /// `stand_in` is the program that lies in lib as mqbroker, mqnamesrv, mqadmin, mqshutdown and ringmq.
    fn new(name: &str, stand_in: Option<&str>) -> Installation {
        let home = std::env::temp_dir().join(format!("config-wrappers-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&home);
        fs::create_dir_all(home.join("bin")).expect("bin");
        fs::create_dir_all(home.join("lib")).expect("lib");
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist/bin");
        for entry in fs::read_dir(scripts).expect("dist/bin") {
            let entry = entry.expect("a directory entry");
            fs::copy(entry.path(), home.join("bin").join(entry.file_name())).expect("copy of a script");
        }
        for program in ["mqbroker", "mqnamesrv", "mqadmin", "mqshutdown", "ringmq"] {
            if let Some(stand_in) = stand_in {
                fs::copy(stand_in, home.join("lib").join(program)).expect("copy of a stand-in");
            }
        }
        Installation(home.canonicalize().expect("home"))
    }

    fn run(&self, directory: &Path, command: &str, variables: &[(&str, &str)]) -> Output {
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).current_dir(directory).env_clear().env("PATH", "/usr/bin:/bin");
        shell.envs(variables.iter().copied()).output().expect("sh runs")
    }

    fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn arguments_reach_the_binary_from_every_place() {
    let installation = Installation::new("arguments", Some("/bin/echo"));
    let home = installation.0.display().to_string();
    symlink(installation.bin().join("mqbroker"), installation.0.join("link")).expect("link");
    let path = format!("{home}/bin:/usr/bin:/bin");
    for (directory, command) in [
        (installation.bin(), "sh mqbroker -c '../conf/a b.conf' -n h:1".to_owned()),
        (installation.bin(), "nohup sh mqbroker -c '../conf/a b.conf' -n h:1 2>/dev/null".to_owned()),
        (installation.0.clone(), "sh bin/mqbroker -c '../conf/a b.conf' -n h:1".to_owned()),
        (PathBuf::from("/"), "mqbroker -c '../conf/a b.conf' -n h:1".to_owned()),
        (PathBuf::from("/"), format!("sh {home}/link -c '../conf/a b.conf' -n h:1")),
    ] {
        let output = installation.run(&directory, &command, &[("PATH", &path)]);
        assert_eq!(stdout(&output), "-c ../conf/a b.conf -n h:1\n", "{command}");
    }
    let output = installation.run(
        &installation.bin(),
        "sh mqshutdown broker; sh mqnamesrv; sh mqadmin topicRoute -t T; sh ringmq cluster plan",
        &[],
    );
    assert_eq!(stdout(&output), "broker\n\ntopicRoute -t T\ncluster plan\n");
}

#[test]
fn the_home_is_exported() {
    let installation = Installation::new("home", Some("/usr/bin/env"));
    let own = format!("ROCKETMQ_HOME={}", installation.0.display());
    for (variables, expected) in
        [(vec![], own.as_str()), (vec![("ROCKETMQ_HOME", "/opt/other")], "ROCKETMQ_HOME=/opt/other")]
    {
        let output = installation.run(&installation.bin(), "sh mqnamesrv", &variables);
        assert!(stdout(&output).lines().any(|line| line == expected), "{output:?}");
    }
}

#[test]
fn a_missing_binary_is_explained() {
    let installation = Installation::new("missing", None);
    let path = format!("{}:/usr/bin:/bin", installation.bin().display());
    let variables = [("PATH", path.as_str()), ("ROCKETMQ_HOME", "/opt/other")];
    let output = installation.run(&installation.bin(), "sh mqbroker -c x", &variables);
    let text = String::from_utf8_lossy(&output.stderr);
    let own = format!("{}/lib/mqbroker", installation.0.display());
    assert_eq!(output.status.code(), Some(127), "{text}");
    for part in [own.as_str(), "/opt/other/lib/mqbroker", "every directory in PATH", "cargo build --release"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
