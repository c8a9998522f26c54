# Read by mqbroker, mqnamesrv, mqadmin, mqshutdown and ringmq: finds the binary `program` and runs it with their arguments.
# They set `program` and `here` (the directory of the script, links followed).

# A checkout keeps scripts in dist/bin and the rest at its top; an installation keeps bin, conf and lib side by side.
if [ -f "$here/../../Cargo.toml" ] && [ "$(basename "$(dirname "$here")")" = dist ]; then
    checkout=$(cd "$here/../.." && pwd -P)
    home=$checkout
else
    checkout=
    home=$(cd "$here/.." && pwd -P)
fi
: "${ROCKETMQ_HOME:=$home}"
export ROCKETMQ_HOME

# The scripts have the names of the binaries, and both may be in PATH: only an ELF file is what we look for.
is_binary() {
    [ -f "$1" ] && [ -x "$1" ] && [ "$(od -An -N4 -tx1 "$1" 2>/dev/null | tr -d ' \n')" = 7f454c46 ]
}

looked=
binary=
try() {
    [ -n "$binary" ] && return
    looked="$looked
    $1"
    if is_binary "$1"; then binary=$1; fi
}

# The script's own place first: it belongs to this version, ROCKETMQ_HOME may still name another one.
try "$home/lib/$program"
if [ -n "$checkout" ]; then
    [ -n "${CARGO_TARGET_DIR:-}" ] && try "$CARGO_TARGET_DIR/release/$program"
    try "$checkout/target/release/$program"
fi
[ "$ROCKETMQ_HOME" = "$home" ] || try "$ROCKETMQ_HOME/lib/$program"
if [ -z "$binary" ]; then
    rest=${PATH:-}:
    while [ -n "$rest" ]; do
        directory=${rest%%:*}
        rest=${rest#*:}
        [ -n "$directory" ] && [ -z "$binary" ] && is_binary "$directory/$program" && binary=$directory/$program
    done
    looked="$looked
    every directory in PATH"
fi

if [ -z "$binary" ]; then
    {
        echo "$program: the binary was not found. Looked at:$looked"
        if [ -n "$checkout" ]; then
            echo "Build it with: cd $checkout && cargo build --release"
        else
            echo "Put it into $home/lib, or build it in a checkout with: cargo build --release"
        fi
    } >&2
    exit 127
fi
exec "$binary" "$@"
