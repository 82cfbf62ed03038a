"""The audit log: entries, Merkle tree, tiles, checkpoints. Pure; the sequencer in ``service`` writes."""
