"""``python -m benchmarks.orders``: what an order costs, and a fill's way, beside other clients."""
