"""How good an answer is, beside chance, references and bounds of the very scenes it is about."""
