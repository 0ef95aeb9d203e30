"""Studies: specification, start points, tables, and studies derived from others."""
