"""The whole pipeline on one machine: PostgreSQL, a broker, and every function on one port."""
