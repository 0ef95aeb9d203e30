"""The loss: a table of terms, their weights, and the labels they compare with."""
