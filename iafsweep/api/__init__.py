"""What a user can do, as functions that print nothing and exit nothing: ``run`` a trained model, ``sweep`` a sweep."""
