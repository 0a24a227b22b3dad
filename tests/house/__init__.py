"""Tests of the house rules: they read the tree, they run nothing of it."""
