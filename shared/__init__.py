"""The parts that every function is made of: domain, rules, formats, handlers, ports, adapters, runtime."""

import os

# gRPC hooks every fork of its process, and breaks those that meet a call under way: of 150 programs started beside
# three callers, 32 died before they began. We never fork without exec, so its hooks have nothing to do.
# Read when gRPC is first imported. Source: gRPC core, doc/environment_variables.md and doc/fork_support.md.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
