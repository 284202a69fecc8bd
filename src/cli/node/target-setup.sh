#!/bin/sh
# For @WHOM@, as root: its sshd then accepts this bastion's session certificates. May be run again at
# any time. Nothing else is changed, and everything is put back if sshd does not take it.
#
#   SSHD_CONFIG=/etc/ssh/sshd_config   another configuration
#   BASTION=10.0.0.5                   addresses of the bastion, comma separated
#   RELOAD='kill -HUP 1234'            how sshd is told; default: systemctl reload ssh (or sshd)
set -eu

key='@KEY@'
bastion=${BASTION-'@ADDRESSES@'}
config=${SSHD_CONFIG:-/etc/ssh/sshd_config}
dir=$(dirname "$config")
sshd=$(command -v sshd || echo /usr/sbin/sshd)
# sshd uses the first value that it finds: this file must come first.
drop=$dir/sshd_config.d/00-portcullis.conf
ca=$dir/portcullis_target_ca.pub

fail() {
    echo "portcullis: $*" >&2
    exit 1
}

[ -x "$sshd" ] || fail "there is no sshd here: install openssh-server"
[ -r "$config" ] || fail "$config cannot be read: run this as root"
"$sshd" -t -f "$config" || fail "sshd does not take $config as it is now: mend that first"

old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
cp -p "$config" "$old/config"
[ ! -e "$drop" ] || cp -p "$drop" "$old/drop"

# What is in force without our lines.
rm -f "$drop"
setting() { "$sshd" -T -f "$config" 2>/dev/null | awk -v key="$1" '$1 == key { $1 = ""; print substr($0, 2); exit }'; }
theirs=$(setting trustedusercakeys)
startups=$(setting maxstartups)
penalties=$(setting persourcepenalties)
exempt=$(setting persourcepenaltyexemptlist)
principals=$(setting authorizedprincipalsfile)

put_back() {
    cp -p "$old/config" "$config"
    rm -f "$drop"
    [ ! -e "$old/drop" ] || cp -p "$old/drop" "$drop"
    fail "sshd does not take the settings ($1): they were removed again"
}

mkdir -p "$dir/sshd_config.d"
if ! grep -Eiq '^[[:space:]]*Include[[:space:]].*sshd_config\.d/\*' "$config"; then
    { echo "Include $dir/sshd_config.d/*.conf"; cat "$old/config"; } > "$config"
fi

{
    echo '# Written by the script of `portcullis target-setup`; run that again instead of editing.'
    case $theirs in
    '' | none | "$ca")
        printf '%s\n' "$key" > "$ca"
        chmod 644 "$ca"
        echo "TrustedUserCAKeys $ca"
        ;;
    *)
        # Another CA is trusted already: both are.
        grep -qxF "$key" "$theirs" || printf '%s\n' "$key" >> "$theirs"
        ;;
    esac
    # All connections of the bastion come from one address.
    [ "${startups%%:*}" -ge 200 ] 2>/dev/null || echo 'MaxStartups 200:30:500'
    case $penalties in
    '' | no) ;;
    *)
        [ -n "$bastion" ] || echo 'portcullis: the address of the bastion is not known: say BASTION=ADDRESS' >&2
        [ "$exempt" != none ] || exempt=
        list=$exempt
        for address in $(echo "$bastion" | tr , ' '); do
            case ",$list," in
            *",$address,"*) ;;
            *) list=${list:+$list,}$address ;;
            esac
        done
        [ -z "$list" ] || echo "PerSourcePenaltyExemptList $list"
        ;;
    esac
} > "$drop"
chmod 644 "$drop"

"$sshd" -t -f "$config" || put_back 'sshd -t'
trusted=$(setting trustedusercakeys)
[ -r "$trusted" ] && grep -qxF "$key" "$trusted" || put_back 'another TrustedUserCAKeys comes first'

case $principals in
'' | none) ;;
*) echo "portcullis: AuthorizedPrincipalsFile is $principals: each login must stand in its file" >&2 ;;
esac

if [ -n "${RELOAD-}" ]; then
    sh -c "$RELOAD"
else
    systemctl reload ssh 2>/dev/null || systemctl reload sshd || fail 'reload sshd yourself'
fi
echo "portcullis: $config accepts the bastion"
