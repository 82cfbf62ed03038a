"""The use cases of the three kinds of user: one module per use case, with numbered steps."""
