"""A small real exchange that runs in this process, speaking any plugin's protocol on loopback."""
