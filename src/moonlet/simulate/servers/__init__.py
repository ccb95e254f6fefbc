"""Made-up MCP servers in the manner of real ones: many tools of one subject, long descriptions, schemas as their
libraries write them, results as servers write them, and requests that hand over paths, zones, ids and quoted words."""
