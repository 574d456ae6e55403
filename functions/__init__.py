"""Entry points: they translate between HTTP and handlers, and decide nothing."""
