/// What `portcullis init` writes. It works as it is.
pub const TEMPLATE: &str = r##"# Portcullis. Paths are relative to the directory of this file.
# A setting behind one # shows its default, a line behind ## is an example.

# include = []                    # files with further targets, as ["targets.d/*.toml"]

[listen]
ssh = "127.0.0.1:2222"            # address and port, or a list
host_key = "keys/host_ed25519"
# names = []                      # what clients call this bastion; empty: host name, localhost, the address
# node = ""                       # stands in every event; empty: the host name

[identity]
principals = "login"              # login: the target login must be a principal of the certificate
                                  # identity: the identity must be one; policy alone decides logins
revoked = ["keys/revoked.krl"]    # OpenSSH KRLs, or lists of public keys; watched for changes
# revoked_grace = "10m"           # revocations unreadable for this long: nobody new comes in
max_lifetime = "8h"               # refuse what is still valid for longer than this (and 5 minutes)
# from_targets = "refuse"         # logins from the address of a listed target: refuse or allow
## groups = "groups.toml"         # ana = ["auditors", "dba"]: further groups of an identity

[[identity.ca]]                   # any number: ours, Vault's, step-ca's, ssh-keygen's
file = "keys/user_ca.pub"
identities = "*"                  # which key ids it may speak for
# principals = []                 # which principals it may name; empty: any
believe = ["groups", "grant", "approvers"]   # extensions it is trusted for

[ca]                              # each a file or "agent:SHA256:..."
user = "keys/user_ca"             # only where `ca issue` is used
host = "keys/host_ca"
target = "keys/target_ca"

[state]
dir = "state"

[policies]
dir = "policies"

[justification]
required = true                   # a session without a reason is not opened

[recording]
# typed = "withhold"              # what is typed on terminals is kept once it is shown; "off": never;
                                  # "record": always, passwords with it
# warn = "15%"                    # free space below which there is an alert; or "2000MiB"
# refuse = "5%"                   # free space below which no session opens; or "500MiB"
# chunk_age = "60s"               # a running session is readable up to this long ago
# segment_mib = 64                # size of a piece of the journal
# recipients = []                 # age public keys of auditors (not available yet)

[index]
# screen = true                   # `search` finds what was on screens as well; false: what is there goes

[notice]
# on = true                       # shown as SSH banner
## text = "This is a recorded session: ..."
## certificate = "ask your operator for one: ..."   # how people get a certificate here

[limits]
# login_grace = "60s"             # from connect to a checked certificate
# unauthenticated = 200           # connections that have not logged in, over all sources
# unauthenticated_per_source = 32 # the same from one address (IPv6: one /64)
# attempts = 6                    # failed logins of a connection
# offers = 20                     # keys that a connection may offer
# connections = 4096              # connections that have logged in
# connections_per_person = 512    # of one identity
# channels = 64                   # open at once on a connection
# env = 128                       # environment variables of a channel
# memory = "2GiB"                 # what waits for slow peers, over all connections

[session]
# idle = "never"                  # no byte either way for this long ends a session, as "1h"
# max_duration = "never"          # as "12h"
# keepalive = "30s"               # three unanswered ones end the connection
# dial_timeout = "15s"            # name look-up, TCP and login at the target together
# env = ["LANG", "LC_*", "TERM", "COLORTERM"]   # variables that go on to the target
# drain = "60s"                   # what running sessions get when the bastion stops

## [[target]]
## name = "db1"                   # what people type
## address = "10.0.3.17:22"       # default: the name
## logins = ["root", "postgres"]  # none if absent; "$identity" for personal accounts
## labels = { env = "prod", team = "data" }
## host = { ca = "keys/targets_host_ca.pub" }   # or { known_hosts = "FILE" } or { keys = ["SHA256:..."] }
## auth = "certificate"           # default; or { key = "FILE" } for appliances
## source_address = "auto"        # session certificates are good only from this bastion's address; a list, or "off"
## durability = "batch"           # "sync": no byte goes on before the disk has its record for certain

## [[target]]                     # a fleet needs no list, but a policy
## match = "*.prod.example.com"
## host = { ca = "keys/targets_host_ca.pub" }
"##;
