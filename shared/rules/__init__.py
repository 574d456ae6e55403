"""The rule language: facts in, decisions out. Pure, but for reading the files this project declares itself in."""
