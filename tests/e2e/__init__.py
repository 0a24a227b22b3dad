"""Tests that drive the whole program: server and lab as processes of their own."""
