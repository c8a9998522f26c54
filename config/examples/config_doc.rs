//! Writes docs/config.md from the table of keys.

fn main() -> std::io::Result<()> {
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/config.md"), config::doc::config_md())
}
