"""Servers of the Model Context Protocol, used as tools: `host.Host` is the way in."""
