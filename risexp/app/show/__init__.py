"""`risexp show`: a scene, a run and the spectra of a scene."""
