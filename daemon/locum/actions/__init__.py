"""What can be looked up and done in a meeting: skills, tools, MCP servers, in a sandbox."""
