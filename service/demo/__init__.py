"""The demonstration: real public incidents, and what the service makes of them."""
