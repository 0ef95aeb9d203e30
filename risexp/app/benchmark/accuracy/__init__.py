"""Count accuracy and localisation of all methods by SNR."""
