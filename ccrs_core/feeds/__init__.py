"""What a consumer holds: a bounded queue with notices.

May import ``transport`` and what that may. Only ``feed`` waits.
"""
