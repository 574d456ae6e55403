"""Plays the same deliveries twice, once undisturbed and once through everything that can go wrong, and compares.

`deliveries` says what is sent, `payer` sends it as a payer would, `world` is who sends and who is told, `trouble`
breaks things, `state` is what is left in the end, `play` puts it together, and `verdict` compares. `make soak` runs it;
docs/reliability.md has the figures. The pieces serve the tests of single crashes and outages too.
"""
