"""TOML to one frozen Config: the schema, every error at once, and hot reload."""
