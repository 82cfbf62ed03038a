"""Pages of monthly reports and yearly statistics."""
