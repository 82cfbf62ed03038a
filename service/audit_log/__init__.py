"""The running audit log: sequencer, published head, cosignatures, timestamps, export, bundles, backup.

Imports ``store``, ``crypto`` and below. The sequencer is the only writer of the tree; nothing here changes an
entry.
"""
