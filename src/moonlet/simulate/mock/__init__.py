"""A world for tools that are known by their declarations alone: somebody's MCP server, with nobody behind it."""
