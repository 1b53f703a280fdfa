"""Data structures and number formats: values in, values out; knows nothing of commands."""
