#!/usr/bin/env bash
# All that CI runs, stage by stage, and what each took of its time budget: minutes on two cores, 45 in all.
# usage: tools/test.sh MAKE
set -uo pipefail

BUDGETS="setup:2 check:2 unit:4 integration:20 proof:17"

told="" status=0
for each in $BUDGETS; do
    stage=${each%:*} budget=${each#*:} began=$SECONDS
    "$1" --no-print-directory "$stage" || status=$?
    took=$((SECONDS - began))
    over=""
    [ "$took" -le $((budget * 60)) ] || over="over its budget"
    told+=$(printf '%-12s %3d min %2d s  of %2d min  %s' "$stage" $((took / 60)) $((took % 60)) "$budget" "$over")$'\n'
    [ "$status" -eq 0 ] || break
done
printf '\n%s%-12s %3d min %2d s  of 45 min\n' "$told" "in all" $((SECONDS / 60)) $((SECONDS % 60))
[ "$status" -eq 0 ] || echo "failed: make $stage ended with status $status"
exit "$status"
