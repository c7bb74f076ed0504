"""Where keys, channels and (later) the ledger live. For now: immutable snapshots in memory, made from Settings."""
