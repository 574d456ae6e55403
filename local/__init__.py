"""The whole pipeline on one machine: PostgreSQL, a broker that misbehaves on request, and every function on one port."""
