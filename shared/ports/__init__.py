"""What handlers need of the world, as Protocols named by role."""
