"""Channels: how a notice leaves the house. Each implements ``notifications.ports.Channel``."""
