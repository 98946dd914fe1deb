# `bash pages.sh FOLDER`, in a network of its own: a server as docs/guides/features.md starts it, then each script of FOLDER/blocks.
# A script that fails leaves its name in FOLDER/failed.
cd "$1" || exit 2
ip link set lo up
unset MAKEFLAGS MAKELEVEL  # of a make that runs the tests
export PATH=$PWD/.venv/bin:$PATH
export OMP_NUM_THREADS=1  # of torch: other tests use the processors too, and threads that wait for each other spin
export LOAD_USERS=1  # of `make load`: traffic for a canary, and no more, as other tests use the processors too
onnxserve serve --features models/churn/store > serve.log 2>&1 &
server=$!
until curl -sf 127.0.0.1:8000/v2/health/ready > /dev/null; do
  kill -0 $server || { echo "no server" > failed; exit 1; }
  sleep 1
done

# In a block: the server of all pages runs already; another one runs in the background until the block ends.
onnxserve() {
  case "$*" in
    "serve --features models/churn/store") kill -0 $server ;;
    serve*)
      command onnxserve "$@" > other.log 2>&1 &
      until grep -q '^ready on' other.log; do kill -0 $! || return 1; sleep 1; done ;;
    *) command onnxserve "$@" ;;
  esac
}
export -f onnxserve
export server

for block in blocks/*; do
  rm -f model_store/*.mar  # of earlier blocks; the server has its own copies
  cp pristine/*.mar model_store/
  case $block in
    *.py)
      # Our own package is in our environment; clients of others are in theirs. Modules of earlier blocks lie here.
      if grep -Eq '^(from|import) onnxserve' "$block"; then .venv/bin/python - < "$block"; else clients/bin/python "$block"; fi ;;
    *) bash -c 'set -eo pipefail; trap "set +e; kill \$(jobs -p) 2> /dev/null; wait" EXIT; . "$0"' "$block" ;;
  esac > "$block.log" 2>&1 || echo "$block" >> failed
done
kill -TERM $server
wait $server
exit 0
