"""`upstream demo`: a month played through the whole pipeline, and checked."""
