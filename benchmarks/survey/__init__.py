"""How far is `diagnose` to be trusted? Many small trainings, healthy and broken, and what it finds in each."""
