"""Search spaces: specification, dimensions, samplers, pruners and static checks; no torch."""
