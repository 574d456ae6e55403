"""What the business means, in the standard library only: money, claims, events, commands."""
