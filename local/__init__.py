"""The whole pipeline on one machine: PostgreSQL, a broker, and every function on one port."""

import shared  # noqa: F401 - tells gRPC to leave forks alone, before a module here imports gRPC
