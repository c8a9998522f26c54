//! `ringmq cluster plan …`: its words, and what it prints.
//!
//! Owns the command line of planning. Decides nothing; writes files only where `--out` says. One thread.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Topology, Wishes, files, plan, port_table, write};

/// What can be done about a cluster.
#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Write every host's files for a topology: properties, start script, table of ports
    Plan(PlanArgs),
}

/// When a broker answers a send.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FlushDiskType {
    #[value(name = "ASYNC_FLUSH")]
    Async,
    #[value(name = "SYNC_FLUSH")]
    Sync,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    /// 2m-noslave, 2m-2s-async, 2m-2s-sync, 1m-2s, or other numbers of them
    #[arg(long)]
    topology: Topology,
    /// Names or IPv4 addresses, as clients and the other hosts reach them: h1,h2
    #[arg(long, value_delimiter = ',', required = true)]
    hosts: Vec<String>,
    /// Nameservers, host or host:port [default: the first three hosts]
    #[arg(long, value_delimiter = ',')]
    namesrv: Vec<String>,
    /// Directory that holds the stores on each host
    #[arg(long, value_name = "DIR", default_value = "/data/rocketmq")]
    store_root: String,
    /// Directory to write to: new, or empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// brokerClusterName
    #[arg(long, default_value = "DefaultCluster")]
    cluster: String,
    /// listenPort of the first broker on each host
    #[arg(long, default_value_t = 10911)]
    listen_port: u16,
    /// Port of nameservers named without one
    #[arg(long, default_value_t = 9876)]
    namesrv_port: u16,
    /// flushDiskType of every broker
    #[arg(long, value_enum, default_value = "ASYNC_FLUSH")]
    flush_disk_type: FlushDiskType,
    /// Take a plan where one host's end takes several masters or all copies of a broker
    #[arg(long)]
    shared_hosts: bool,
}

/// Does it; what there is to read about it, or why it cannot be done.
pub fn run(command: &Cluster) -> Result<String, String> {
    let Cluster::Plan(args) = command;
    let trimmed = |list: &[String], separators: &[char]| -> Vec<String> {
        let parts = list.iter().flat_map(|text| text.split(separators));
        parts.map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    };
    let wishes = Wishes {
        topology: args.topology,
        hosts: trimmed(&args.hosts, &[',']),
        // As in namesrvAddr, too.
        namesrv: trimmed(&args.namesrv, &[',', ';']),
        store_root: args.store_root.trim().to_owned(),
        cluster: args.cluster.trim().to_owned(),
        listen_port: args.listen_port,
        namesrv_port: args.namesrv_port,
        shared_hosts: args.shared_hosts,
    };
    let plan = plan(&wishes)?;
    let flush_disk_type = match args.flush_disk_type {
        FlushDiskType::Async => "ASYNC_FLUSH",
        FlushDiskType::Sync => "SYNC_FLUSH",
    };
    write(&args.out, &files(&plan, flush_disk_type))?;
    let out = args.out.display();
    let mut text = format!(
        "{} on {} host(s), written to {out}\n\n{}\nOpen these ports between the hosts and for clients. Copy {out}/HOST \
         to each host and run its start.sh.\n",
        plan.topology,
        plan.hosts.len(),
        port_table(&plan)
    );
    for note in &plan.notes {
        text.push_str(&format!("Note: {note}.\n"));
    }
    Ok(text)
}
