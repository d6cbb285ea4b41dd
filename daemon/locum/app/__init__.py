"""The daemon put together: adapters from the config, signals, reload, stop."""
