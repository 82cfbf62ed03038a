"""Templates and message catalogues: French, English, German."""
