#!/bin/bash
# A Slurm of one node on this machine, to try the templates of this folder before a real cluster sees them.
#
#   apt-get install -y --no-install-recommends slurm-wlm munge     # Debian, Ubuntu
#   cluster/slurm_here.sh start /tmp/slurm                         # as root; all it writes is in that new folder
#   export SLURM_CONF=/tmp/slurm/slurm.conf
#   sbatch cluster/job.sbatch
#   cluster/slurm_here.sh stop /tmp/slurm                          # ends jobs and daemons and removes the folder
#
# The node says it has 8 cores if it has fewer, so that jobs of several processes can be tried anywhere.
# SLURM_HERE_PORT (default 26817): two ports from there on; two such Slurms need different ones.
set -euo pipefail

usage() { sed -n '2,/^set /{/^#/s/^# \?//p}' "$0"; exit 2; }
[ $# -eq 2 ] || usage
case $2 in /?*) folder=$2 ;; *) echo "slurm_here.sh: give the folder as an absolute path" >&2; exit 2 ;; esac

start() {
  [ "$(id -u)" -eq 0 ] || { echo "slurm_here.sh: start it as root: slurmd begins jobs in the name of users" >&2; exit 1; }
  for program in munged slurmctld slurmd sbatch; do
    command -v "$program" > /dev/null || { echo "slurm_here.sh: no $program: apt-get install slurm-wlm munge" >&2; exit 1; }
  done
  mkdir -m 755 "$folder" || { echo "slurm_here.sh: $folder is there already: stop it, or name another" >&2; exit 1; }
  mkdir "$folder"/{state,spool,log,munge}
  (umask 077 && head -c 1024 /dev/urandom > "$folder/munge/key")
  configure > "$folder/slurm.conf"
  trap 'status=$?; tail -n 5 "$folder"/log/* >&2; stop; exit $status' ERR
  # --force: the daemon is root here, and the folder may lie in /tmp
  munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/log/munged.log" --seed-file="$folder/munge/seed" 2>> "$folder/log/munged.err"
  slurmctld -f "$folder/slurm.conf" 2>> "$folder/log/slurmctld.err"
  slurmd -f "$folder/slurm.conf" 2>> "$folder/log/slurmd.err"
  export SLURM_CONF=$folder/slurm.conf
  for _ in $(seq 60); do
    [ "$(sinfo --noheader --format=%T 2> /dev/null)" = idle ] && { echo "export SLURM_CONF=$SLURM_CONF"; return; }
    sleep 0.5
  done
  echo "slurm_here.sh: the node does not come up" >&2
  false
}

configure() {
  local host port memory cores
  host=$(hostname -s)
  port=${SLURM_HERE_PORT:-26817}
  cores=$(nproc --all)
  memory=$(awk '/^MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo)
  cat << EOF
ClusterName=here
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
JobRequeue=1
SlurmdParameters=config_overrides
KillWait=10
MinJobAge=3600
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
NodeName=$host NodeHostname=$host NodeAddr=127.0.0.1 CPUs=$((cores < 8 ? 8 : cores)) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
EOF
}

stop() {
  [ -f "$folder/slurm.conf" ] || { echo "slurm_here.sh: there is no Slurm in $folder" >&2; exit 1; }
  export SLURM_CONF=$folder/slurm.conf
  timeout 10 scancel --user=root 2> /dev/null || true
  for _ in $(seq 40); do
    [ -z "$(timeout 5 squeue --noheader 2> /dev/null)" ] && break
    sleep 0.5
  done
  for daemon in slurmctld slurmd munged; do
    [ -s "$folder/$daemon.pid" ] || continue
    pid=$(cat "$folder/$daemon.pid")
    kill "$pid" 2> /dev/null || continue
    for _ in $(seq 40); do kill -0 "$pid" 2> /dev/null || break; sleep 0.25; done
    kill -KILL "$pid" 2> /dev/null || true
  done
  rm -rf "$folder"
}

case $1 in start) start ;; stop) stop ;; *) usage ;; esac
