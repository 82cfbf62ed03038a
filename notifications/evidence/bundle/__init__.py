"""The evidence bundle: one archive that an outsider can verify without us. Its contents, format and verification."""
