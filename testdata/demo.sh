#!/bin/sh
# The main job, shown on an image that is really outdated: plan, rebuild, diff, verify.
#
# usage: testdata/demo.sh NANOPATCH FIXTURE [DIR]
#
# NANOPATCH and FIXTURE are the two programs, as `make demo` builds them; everything is written below DIR. The image is
# a Debian 12 of three layers, made from a mirror's main pocket ($DEBIAN_MIRROR, the host's own, or Debian's), or its
# small twin where no mirror is in reach.
set -eu

nanopatch=$1
fixture=$2
dir=${3:-.cache/demo}

rm -rf "$dir"
mkdir -p "$dir"
export COSIGN_PASSWORD=demo # of the key that is made below, for this run alone

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() {
	printf '$ nanopatch %s\n' "$*"
	"$nanopatch" "$@"
}

say 'An outdated image'
old=oci:$dir/image:old
new=oci:$dir/image:new
set --
code=0
"$fixture" debian -o "$old" -sources "$dir/mirror.sources" || code=$?
case $code in
0)
	# A mirror that is not Debian's own stands in for the hosts that the image names.
	[ ! -f "$dir/mirror.sources" ] || set -- --repo-override "$dir/mirror.sources"
	;;
3)
	echo 'No Debian mirror is in reach: showing the twin, a small image made here, with a repository of its own.'
	rm -rf "$dir/image"
	"$fixture" twin -o "$old" -repository "$dir/repository"
	set -- --repo-override "$dir/repository/debian" --keyring "$dir/repository/keyring.gpg"
	;;
*) exit "$code" ;;
esac

say 'What would change, layer by layer, and what is held and why'
run plan "$old" "$@"

say 'A key to sign with'
run keygen --output-prefix "$dir/cosign"

say 'The main job: rewrite those layers alone, compare the SBOMs, sign, attest, verify, tag'
run rebuild "$old" -t "$new" --key "$dir/cosign.key" "$@"

say 'What changed, package by package'
run diff "$old" "$new"

say 'Who rebuilt what from what'
run verify "$new" --key "$dir/cosign.pub"

say 'Nothing is left to do'
run plan --detailed-exitcode "$new" "$@"
