"""Clouds: each folder reads one cloud and yields items and gaps; none knows the store or another part of the product."""
