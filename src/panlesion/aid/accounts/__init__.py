"""Accounts: who there is, how they log in, and what slows guessing."""
