//! The text of a plan: properties files, start scripts, and the table of ports for the firewall.
//!
//! Owns these texts. Must not decide or write anything. Pure, any thread.

use std::fmt::Write;
use std::path::PathBuf;

use super::plan::{Broker, Host, Namesrv, Plan};

/// One file to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Below the directory of the plan; the first part is the host.
    pub path: PathBuf,
    pub text: String,
    pub executable: bool,
}

/// All files: a directory a host, and `ports.txt`. `flush_disk_type` is the key's value for every broker.
pub fn files(plan: &Plan, flush_disk_type: &str) -> Vec<File> {
    let mut files = Vec::new();
    for host in &plan.hosts {
        let mut file = |name: &str, text: String, executable: bool| {
            files.push(File { path: PathBuf::from(&host.name).join(name), text, executable });
        };
        for namesrv in &host.namesrv {
            file(&namesrv.file, namesrv_properties(host, namesrv), false);
        }
        for broker in &host.brokers {
            file(&broker.file, broker_properties(plan, host, broker, flush_disk_type), false);
        }
        file("start.sh", start_script(plan, host), true);
    }
    files.push(File { path: PathBuf::from("ports.txt"), text: port_table(plan), executable: false });
    files
}

/// Every port of every host, as a table with a heading.
pub fn port_table(plan: &Plan) -> String {
    let mut rows = vec![["HOST", "PORT", "PROGRAM", "FOR"].map(str::to_owned)];
    for host in &plan.hosts {
        for namesrv in &host.namesrv {
            let purpose = "clients and brokers (listenPort)";
            rows.push([host.name.clone(), namesrv.port.to_string(), "mqnamesrv".into(), purpose.into()]);
        }
        for broker in &host.brokers {
            let program = format!("{} {}", broker.name, role(broker));
            for (port, purpose) in broker.ports() {
                rows.push([host.name.clone(), port.to_string(), program.clone(), purpose.into()]);
            }
        }
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let [host, port, program] = [width(0), width(1), width(2)];
    rows.iter().fold(String::new(), |mut text, [a, b, c, d]| {
        let _ = writeln!(text, "{a:<host$}  {b:>port$}  {c:<program$}  {d}");
        text
    })
}

fn role(broker: &Broker) -> String {
    if broker.id == 0 { "master".to_owned() } else { format!("slave {}", broker.id) }
}

fn broker_properties(plan: &Plan, host: &Host, broker: &Broker, flush_disk_type: &str) -> String {
    let broker_role = match (broker.id, plan.topology.sync) {
        (0, true) => "SYNC_MASTER",
        (0, false) => "ASYNC_MASTER",
        _ => "SLAVE",
    };
    let [(listen, _), (vip, _), (ha, _)] = broker.ports();
    format!(
        "# {}, {} of {} on {}; planned as {}.\n\
         # Takes the ports {listen}, {vip} and {ha}. Check changes with: mqbroker -c FILE --check\n\
         \n\
         brokerClusterName={}\n\
         brokerName={}\n\
         brokerId={}\n\
         brokerRole={broker_role}\n\
         flushDiskType={flush_disk_type}\n\
         namesrvAddr={}\n\
         brokerIP1={}\n\
         brokerIP2={}\n\
         listenPort={listen}\n\
         storePathRootDir={}\n\
         deleteWhen=04\n\
         fileReservedTime=48\n",
        broker.file,
        role(broker),
        broker.name,
        host.name,
        plan.topology,
        plan.cluster,
        broker.name,
        broker.id,
        plan.namesrv_addr,
        host.name,
        host.name,
        broker.store_root,
    )
}

fn namesrv_properties(host: &Host, namesrv: &Namesrv) -> String {
    format!(
        "# Nameserver on {}. Check changes with: mqnamesrv -c FILE --check\n\n\
         listenPort={}\n\
         kvConfigPath={}/kvConfig.json\n",
        host.name, namesrv.port, namesrv.root
    )
}

fn start_script(plan: &Plan, host: &Host) -> String {
    let namesrv = host.namesrv.iter().map(|namesrv| ("mqnamesrv", &namesrv.file));
    let brokers = host.brokers.iter().map(|broker| ("mqbroker", &broker.file));
    let programs: Vec<_> = namesrv.chain(brokers).collect();
    let mut text = format!(
        "#!/bin/sh\n\
         # Starts what the plan puts on {}. Stop with: mqshutdown broker, mqshutdown namesrv\n\
         : \"${{ROCKETMQ_HOME:?set it to the installation, the directory that holds bin/mqbroker}}\"\n\
         here=$(cd \"$(dirname \"$0\")\" && pwd -P) || exit 1\n\
         if [ ! -f \"$ROCKETMQ_HOME/bin/mqbroker\" ]; then\n    \
         echo \"start.sh: there is no $ROCKETMQ_HOME/bin/mqbroker; set ROCKETMQ_HOME to the installation\" >&2\n    \
         exit 1\n\
         fi\n\n\
         # Nothing starts unless every file is sound on this host.\n",
        host.name
    );
    for (program, file) in &programs {
        let _ = writeln!(text, "sh \"$ROCKETMQ_HOME/bin/{program}\" -c \"$here/{file}\" --check || exit 1");
    }
    text.push('\n');
    for (program, file) in &programs {
        let out = file.trim_end_matches(".properties");
        let _ = writeln!(
            text,
            "nohup sh \"$ROCKETMQ_HOME/bin/{program}\" -c \"$here/{file}\" >> \"$here/{out}.out\" 2>&1 &"
        );
    }
    let _ = write!(
        text,
        "\necho \"Starting. Each program says 'boot success', or why not, in its $here/*.out; the cluster is shown by:\"\n\
         echo \"sh $ROCKETMQ_HOME/bin/mqadmin clusterList -n '{}'\"\n",
        plan.namesrv_addr
    );
    text
}
