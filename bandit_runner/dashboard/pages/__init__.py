"""The pages: live (what runs, or how a stored run went), learn (Thompson sampling by hand), compare (all runs)."""
