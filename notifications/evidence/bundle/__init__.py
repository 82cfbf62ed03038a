"""The evidence bundle: one archive that an outsider verifies without us. What it holds, its form, its verification."""
