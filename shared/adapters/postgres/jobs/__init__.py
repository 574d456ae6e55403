"""What the scheduled jobs read and write: sums in, baselines and findings out. The statements do the counting."""
