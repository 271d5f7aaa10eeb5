#!/bin/sh
# Watches the system calls of a working process: no acknowledgement before the sync it needs, no frame in a segment
# whose name is not durable. Says SKIPPED where strace is missing or may not trace. The check itself is syscalls.rs.
cd "$(dirname "$0")/.." && exec cargo test --test syscalls -- --nocapture
