#!/usr/bin/env bash
# Three hosts on one machine: network namespaces ID1, ID2, ID3 with the addresses 10.77.0.1 to 10.77.0.3, and IDs as their switch.
#
#   three_hosts.sh up ID               makes them
#   three_hosts.sh cut ID N SECONDS    pulls the cable of host N for that long
#   three_hosts.sh down ID             removes them, and all that runs there
#   three_hosts.sh flights PONIARD FLIGHTS
#       the example `flights` as worker 1 on the first host and a worker on each of the others, joined by `poniard worker
#       start` over TLS: the table must be the same as without workers
#
# They are one machine, on which processes could read each other's memory: PONIARD_NODE names each host, and those of different
# names do not.
#
# Where there is no root, or no `ip`, it prints `SKIP: ` and why, and exits with 77.
set -euo pipefail

skip() {
    echo "SKIP: $1"
    exit 77
}

up() {
    local id=$1 host
    [[ $(id -u) == 0 ]] || skip "network namespaces need root"
    command -v ip >/dev/null || skip "there is no command ip (Debian: iproute2)"
    ip netns add "${id}s" 2>/dev/null || skip "this machine does not allow network namespaces"
    ip -n "${id}s" link add br0 type bridge
    ip -n "${id}s" link set br0 up
    for host in 1 2 3; do
        ip netns add "$id$host"
        ip link add eth0 netns "$id$host" type veth peer name "p$host" netns "${id}s"
        ip -n "${id}s" link set "p$host" master br0 up
        ip -n "$id$host" addr add "10.77.0.$host/24" dev eth0
        ip -n "$id$host" link set lo up
        ip -n "$id$host" link set eth0 up
    done
}

down() {
    local id=$1 host
    for host in 1 2 3 s; do
        ip netns pids "$id$host" 2>/dev/null | xargs -r kill -9 2>/dev/null || true
        ip netns del "$id$host" 2>/dev/null || true
    done
}

cut_cable() {
    ip -n "${1}s" link set "p$2" down
    sleep "$3"
    ip -n "${1}s" link set "p$2" up
}

# The lines of the output that do not depend on how long anything took.
table() {
    grep -E '^hour|^ *[0-9]+:00|minutes of delay|serial pass: equal|checked' "$1"
}

flights() {
    local poniard=$1 flights=$2
    # Known to the trap, which comes when this function is over.
    id="pf$$"
    up "$id"
    trap 'down "$id"' EXIT
    folder=$(mktemp -d)
    trap 'down "$id"; rm -rf "$folder"' EXIT
    "$flights" --workers 0 --svg "$folder/alone.svg" >"$folder/alone"
    local host pids=()
    for host in 2 3; do
        PONIARD_NODE="host$host" ip netns exec "$id$host" "$poniard" worker start --connect "$folder/connection" -- "$flights" &
        pids+=($!)
    done
    PONIARD_NODE=host1 timeout 100 ip netns exec "${id}1" "$poniard" scheduler start --file "$folder/connection" \
        --listen 10.77.0.1:7100 --wait 2 -- "$flights" --svg "$folder/together.svg" >"$folder/together"
    # They have ended in order.
    wait "${pids[0]}"
    wait "${pids[1]}"
    diff <(table "$folder/alone") <(table "$folder/together")
    cmp "$folder/alone.svg" "$folder/together.svg"
    [[ ! -e $folder/connection ]]
    table "$folder/together"
    echo "the same table on three hosts"
}

case ${1-} in
up) up "$2" ;;
down) down "$2" ;;
cut) cut_cable "$2" "$3" "$4" ;;
flights) flights "$2" "$3" ;;
*)
    sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//'
    exit 2
    ;;
esac
