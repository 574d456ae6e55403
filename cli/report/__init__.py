"""`upstream report payer`: what a payer did over time, with what was believed of it and what was found."""
