#!/bin/sh
# Makes the secrets that compose.yaml mounts, in the folder secrets beside it; leaves
# alone what is there. The containers read them as users of their own, so the files
# are readable by all and their folder by nobody else.
set -eu
cd "$(dirname "$0")"
mkdir -p -m 700 secrets
random() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n'; }
[ -e secrets/token ] || random > secrets/token
[ -e secrets/mysql-password ] || random > secrets/mysql-password
[ -e secrets/s3-credentials ] || printf '[default]\naws_access_key_id = centrifuge\naws_secret_access_key = %s\n' "$(random)" > secrets/s3-credentials
chmod 644 secrets/*
