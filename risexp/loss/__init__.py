"""What is learned: a table of terms, how they are weighed, and the labels they compare with."""
