"""Pages in a real browser, and what stands behind them."""
