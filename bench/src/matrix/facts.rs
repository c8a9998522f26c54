//! What must be known of the machine to read a report.
//!
//! Owns the reading of /proc, /sys and of `uname`. Must not measure anything. What cannot be found out is left out.

use std::fs;
use std::path::Path;

/// A name and what it is.
pub type Fact = (String, String);

/// Machine, kernel, file system and block device of the folder with the stores.
pub fn machine(work: &Path) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut put = |name: &str, value: Option<String>| {
        facts.extend(value.filter(|value| !value.is_empty()).map(|value| (name.to_owned(), value)));
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = after_colon("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown CPU".into());
    put("machine", Some(format!("{cores} cores, {model}, {} of memory", memory().unwrap_or_default())));
    put("kernel", read("/proc/sys/kernel/osrelease"));
    put("CPU governor", read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"));
    if let Some(mount) = mount_of(work) {
        put("file system of the stores", Some(format!("{}, mounted on {} ({})", mount.kind, mount.on, mount.options)));
        put("block device", Some(device(&mount)));
    }
    facts
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn after_colon(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.split(':').next().is_some_and(|name| name.trim() == key))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn memory() -> Option<String> {
    let kib: f64 = after_colon("/proc/meminfo", "MemTotal")?.split_whitespace().next()?.parse().ok()?;
    Some(format!("{:.1} GiB", kib / 1_048_576.0))
}

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    number: String,
    on: String,
    options: String,
    kind: String,
    source: String,
}

fn mount_of(folder: &Path) -> Option<Mount> {
    let folder = fs::canonicalize(folder).ok()?;
    deepest(&fs::read_to_string("/proc/self/mountinfo").ok()?, &folder)
}

/// Of the mounts the folder lies in, the deepest, and of those on the same place the latest.
fn deepest(mountinfo: &str, folder: &Path) -> Option<Mount> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        let mut right = right.split(' ');
        Some(Mount {
            number: left.get(2)?.to_string(),
            on: left.get(4)?.replace("\\040", " "),
            options: left.get(5)?.to_string(),
            kind: right.next()?.to_owned(),
            source: right.next()?.to_owned(),
        })
    });
    mounts.filter(|mount| folder.starts_with(&mount.on)).max_by_key(|mount| Path::new(&mount.on).components().count())
}

fn device(mount: &Mount) -> String {
    let of_device = format!("/sys/dev/block/{}", mount.number);
    // A partition has no queue of its own; its disk lies one step up.
    let disk = if Path::new(&of_device).join("queue").exists() { of_device } else { format!("{of_device}/..") };
    let mut words = vec![mount.source.clone()];
    words.extend(read(&format!("{disk}/device/model")));
    let queue = |name: &str| read(&format!("{disk}/queue/{name}"));
    words.extend(queue("rotational").map(|value| if value == "0" { "not rotating" } else { "rotating" }.to_owned()));
    words.extend(queue("scheduler").map(|value| format!("scheduler {value}")));
    words.extend(queue("write_cache").map(|value| format!("write cache: {value}")));
    words.join(", ")
}

/// The command as it could be typed again.
pub fn command_line() -> String {
    std::env::args().map(|word| quoted(&word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |byte: char| byte.is_ascii_alphanumeric() || "-_./:,=+@%".contains(byte);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let text = "22 1 253:0 / / rw,relatime - ext4 /dev/vda rw\n\
            30 22 0:5 / /mnt/a rw - tmpfs none rw\n31 30 0:6 / /mnt/a\\040b rw,noatime shared:7 - xfs /dev/vdb rw\n";
        let on = |folder: &str| deepest(text, Path::new(folder)).map(|mount| (mount.on, mount.kind, mount.source));
        let told = |on: &str, kind: &str, source: &str| Some((on.to_owned(), kind.to_owned(), source.to_owned()));
        assert_eq!(on("/home"), told("/", "ext4", "/dev/vda"));
        assert_eq!(on("/mnt/a/x"), told("/mnt/a", "tmpfs", "none"));
        assert_eq!(on("/mnt/ab"), told("/", "ext4", "/dev/vda"));
        assert_eq!(on("/mnt/a b/c"), told("/mnt/a b", "xfs", "/dev/vdb"));
        assert_eq!(deepest("nonsense\n - \n", Path::new("/")), None);
    }

    #[test]
    fn words_are_quoted_when_a_shell_would_split_them() {
        for (word, expected) in
            [("--out", "--out"), ("a b", "'a b'"), ("", "''"), ("it's", "'it'\\''s'"), ("a=1,2", "a=1,2")]
        {
            assert_eq!(quoted(word), expected);
        }
    }
}
