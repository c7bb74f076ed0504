"""One file, one reading: relay.toml becomes frozen Settings that both the edge and the relay are built from."""
