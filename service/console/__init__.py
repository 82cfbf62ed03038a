"""Pages: server-rendered HTML for people, over the same use cases and the same scope as the API."""
