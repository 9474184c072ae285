#!/bin/bash
# Unpacks a MySQL server into the folder named, as the program `mysqld` there.
#
# Debian has MySQL in its unstable release only, built against newer libraries
# than a stable system has. So the package is unpacked with all that it needs,
# down to the dynamic linker, and nothing of it is installed. apt checks the
# signatures, as ever. Which version it is depends on the day.
set -euo pipefail
target=$1

# The mirror of the system; what it calls unstable may be older than a week.
repository() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Label: Debian' | head -n 1; }
if [ -z "$(repository)" ]; then
	sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
	$sudo apt-get update -qq
fi
mirror=$(repository)
[ -n "$mirror" ] || { echo "no mirror of Debian among apt's sources" >&2; exit 1; }

apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt"/{etc/apt/{apt.conf,preferences}.d,state/lists/partial,cache/archives/partial}
touch "$apt/status"
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror unstable main" > "$apt/etc/apt/sources.list"
cat > "$apt/apt.conf" <<END
Dir::Etc "$apt/etc/apt";
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
END
export APT_CONFIG=$apt/apt.conf
apt-get update -qq
apt-get install -qq -y --download-only mysql-server-core >&2

rm -rf "$target"
mkdir -p "$target"
for package in "$apt"/cache/archives/*.deb; do
	dpkg-deb --extract "$package" "$target"
done
linker=$(cd "$target" && find usr/lib* -name 'ld-linux-*.so.*' -print -quit)
libraries=$(cd "$target" && echo usr/lib/*-linux-gnu)
cat > "$target/mysqld" <<END
#!/bin/sh
# Runs the server with the libraries that it was unpacked with.
here=\$(dirname "\$(readlink -f "\$0")")
exec "\$here/$linker" --library-path "\$here/$libraries" "\$here/usr/sbin/mysqld" "\$@"
END
chmod +x "$target/mysqld"
"$target/mysqld" --no-defaults --version
