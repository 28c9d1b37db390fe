"""The answer gets its original wording back."""
