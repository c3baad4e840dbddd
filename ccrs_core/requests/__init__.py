"""A question and its answer: budgets, pages, retries, the exchange's clock.

May import ``transport`` and what that may: no sessions, no books. Only ``requester`` and
``instruments`` wait.
"""
