#!/usr/bin/env bash
# radosgw.sh DIR PORT: a throw-away Ceph with radosgw, whose STS hands out sets
# that live from one second on, and whose S3 refuses them once they have expired.
# All of it is in memory and in DIR, and listens on 127.0.0.1 alone (PORT,
# PORT+1 and the OSD's 6800 and up).
#
# Prints "ready PID", the pid being radosgw's, then waits for the end of its
# standard input, and ends what it started. User ops (AKIATESTOPS with the secret
# in $RADOSGW_SECRET) may assume arn:aws:iam::123456789012:role/App.
set -eu

dir=$1
port=$2
monitor=$((port + 1))
secret=${RADOSGW_SECRET:?}
mkdir -p "$dir"/{mon,osd,run,log}
fsid=$(cat /proc/sys/kernel/random/uuid)
osd=$(cat /proc/sys/kernel/random/uuid)
address="[v2:127.0.0.1:$monitor]"

# The short Paxos interval is what brings the start from 12 seconds to one.
cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = $address
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
mon data avail warn = 2
paxos propose interval = 0.01
paxos min wait = 0.01
run dir = $dir/run
admin socket = $dir/run/\$name.\$pid.asok
log file = $dir/log/\$name.log
keyring = $dir/keyring
setuser =
setgroup =
mon data = $dir/mon
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 268435456
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$port
rgw sts key = abcdefghijklmnop
rgw s3 auth use sts = true
rgw sts min session duration = 1
rgw enable gc threads = false
rgw enable lc threads = false
rgw enable quota threads = false
rgw run sync thread = false
CONF
export CEPH_CONF="$dir/ceph.conf"

started=()
finish() {
	[ ${#started[@]} = 0 ] || kill -KILL "${started[@]}" 2>/dev/null || true
}
trap finish EXIT

keyring() { ceph-authtool "$dir/keyring" --gen-key "$@" >/dev/null; }
ceph-authtool --create-keyring "$dir/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
keyring -n client.admin --cap mon 'allow *' --cap osd 'allow *'
keyring -n client.rgw --cap mon 'allow rwx' --cap osd 'allow rwx'
keyring -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'

monmaptool --create --fsid "$fsid" --addv a "$address" "$dir/monmap" >/dev/null
ceph-mon -i a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring"
ceph-mon -i a -f >"$dir/log/mon.out" 2>&1 </dev/null &
started+=($!)
timeout 30 ceph osd new "$osd" >/dev/null
ceph-osd -i 0 --mkfs --osd-uuid "$osd" >"$dir/log/mkfs.out" 2>&1
ceph-osd -i 0 -f >"$dir/log/osd.out" 2>&1 </dev/null &
started+=($!)
radosgw -n client.rgw -f >"$dir/log/rgw.out" 2>&1 </dev/null &
started+=($!)
gateway=$!
for _ in $(seq 300); do
	curl -fs -o /dev/null "http://127.0.0.1:$port/" && break
	sleep 0.1
done
if ! curl -fs -o /dev/null "http://127.0.0.1:$port/"; then
	tail -n 20 "$dir"/log/*.out
	echo failed
	exit 1
fi

admin() { radosgw-admin -n client.rgw "$@" --tenant 123456789012 >"$dir/log/admin.out" 2>&1; }
admin user create --uid=ops --display-name=ops --access-key=AKIATESTOPS --secret-key="$secret"
admin role create --role-name=App --path=/ --assume-role-policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::123456789012:user/ops"]},"Action":["sts:AssumeRole"]}]}'
admin role-policy put --role-name=App --policy-name=p --policy-doc='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'

echo "ready $gateway"
cat >/dev/null
