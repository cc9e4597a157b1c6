# The same verbs as `cargo xtask`, for those who have `just`.

# Shows the main job: who is moved to another variation, without a store and with it.
demo:
    cargo run --release -- demo

# Brings what the tests need, and runs them all.
test:
    cargo xtask test --install

# What a change has to pass.
ci:
    cargo xtask ci

# Which conformance case catches which broken store.
kill-matrix:
    cargo xtask kill-matrix

# A minute of callers on Redis while everything fails that can: is an assignment lost?
torture:
    cargo xtask torture

# What the stores cost beside the bare drivers.
bench:
    cargo xtask bench

# The servers of the stores in containers of docker or podman.
up:
    cargo xtask up

# Takes them down.
down:
    cargo xtask down
