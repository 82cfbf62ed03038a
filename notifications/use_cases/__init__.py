"""What the three users can do, one module per act, numbered steps."""
