"""The parts that every function is made of: domain, rules, formats, handlers, ports, adapters, runtime."""
