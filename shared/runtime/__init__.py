"""How functions run: settings, errors and their consequences, logs, and the one place that wires adapters."""
