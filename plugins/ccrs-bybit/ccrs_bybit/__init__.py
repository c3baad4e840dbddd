"""Bybit v5 for ccrs."""
