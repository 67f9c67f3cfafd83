#!/bin/sh
# The main job on this example, command by command.
set -eu
cd "$(dirname "$0")"
PATH="$BIN:$PATH"
export PATH

say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }
run() { say "$@"; "$@"; }

run studio validate --env "$ENV"
run studio plan --env "$ENV"
run studio apply --yes --env "$ENV"
run studio status --env "$ENV"
run studio show EvaluationJob/router-vs-base --env "$ENV"
run studio plan --env "$ENV"
